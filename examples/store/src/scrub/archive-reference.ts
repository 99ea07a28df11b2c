import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  behind,
  type Entry,
  type ReplicaSnapshot,
  type ReplicaSource,
  sha256,
  streamingSnapshot,
} from "@evenkeel/scrubber";
import { type ArchiveEntry, type ObjectStore, type Restoration, restore, restoreState } from "@evenkeel/wal/archive";
import { decodeCommand } from "../storage-node/command.js";
import { StoreError } from "../storage-node/errors.js";
import { StateDecoder } from "../storage-node/partition-state.js";
import { encodeStored } from "../storage-node/stored-value.js";
import { Scratch } from "./scratch.js";

const PAGE_BYTES = 256 * 1024;

export interface ArchiveReferenceOptions {
  readonly archive: ObjectStore;
  readonly stream: string;
  /** Under which its files lie meanwhile; the system's directory for temporary files unless told. */
  readonly scratchDir?: string;
}

/**
 * A replica that nobody serves from, built out of the archive alone through the same commands as the live ones, with another storage behind it: a scratch
 * file, so that a partition may be of any size.
 *
 * It begins with the snapshot *before* the newest one, and where it comes past the newest, what the log has made of it must be what was written there: a
 * snapshot comes from a replica's B-tree, whose word is exactly what is in question, and is believed only after a pass has gone past it. So each of them is
 * proved by the one before it and the log, and a pass costs what was written since then, however old the table is.
 */
export class ArchiveReference implements ReplicaSource {
  readonly name = "reference";
  readonly #options: ArchiveReferenceOptions;
  readonly #scratch: Scratch;
  #position = 0;
  #begun = false;
  /** What is half done is not the state of any position: every later call fails as the first one did. */
  #failure: unknown;

  private constructor(options: ArchiveReferenceOptions, scratch: Scratch) {
    this.#options = options;
    this.#scratch = scratch;
  }

  static async open(options: ArchiveReferenceOptions): Promise<ArchiveReference> {
    const dir = await mkdtemp(join(options.scratchDir ?? tmpdir(), "evenkeel-scrub-"));
    return new ArchiveReference(options, new Scratch(dir));
  }

  get position(): number {
    return this.#position;
  }

  /** Brings it to a slot that is archived. Rejects with what is wrong with the archive, ERR_STORE_CORRUPT where a snapshot is not what the log says. */
  async advance(slot: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    try {
      const { archive: store, stream } = this.#options;
      if (this.#begun) {
        await this.#apply(restore({ store, stream, from: this.#position + 1, until: { sequence: slot } }));
      } else {
        this.#begun = true;
        await this.#build(slot);
      }
      if (this.#position !== slot)
        throw new StoreError("ERR_STORE_BEHIND", `the archive of ${stream} ends at ${this.#position}, not at ${slot}`);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #build(slot: number): Promise<void> {
    const { archive: store, stream } = this.#options;
    const until = { sequence: slot };
    const newest = await restoreState({ store, stream, until });
    if (newest.snapshot === undefined) return await this.#apply(newest.entries());
    const snapshotBefore = newest.snapshot.sequence;
    const before = await restoreState({ store, stream, until, snapshotBefore }).catch((error: unknown) => {
      // The archive begins with the newest one: retention has read it, and the log that led up to it is gone.
      if ((error as { code?: unknown }).code === "ERR_ARCHIVE_RANGE") return undefined;
      throw error;
    });
    if (before === undefined) {
      await this.#load(newest);
      return await this.#apply(newest.entries());
    }
    await this.#load(before);
    await this.#apply(before.entries(), newest);
  }

  async #load({ snapshot }: Restoration): Promise<void> {
    if (snapshot === undefined) return;
    const decoder = new StateDecoder();
    for await (const chunk of snapshot.chunks())
      for (const { key, bytes } of decoder.push(chunk)) await this.#scratch.set(key, bytes);
    decoder.finish();
    await this.#scratch.flush();
    this.#position = snapshot.sequence;
  }

  /** With what is to be compared on the way. */
  async #apply(entries: AsyncIterable<ArchiveEntry>, toPass?: Restoration): Promise<void> {
    for await (const { sequence, data } of entries) {
      const command = data.length === 0 ? undefined : decodeCommand(data);
      for (const write of command?.kind === "writes" ? command.writes : []) {
        const value =
          write.op === "put" ? encodeStored(write.key, sequence, write.itemSizeBytes, write.bytes) : undefined;
        await this.#scratch.set(write.key, value);
      }
      this.#position = sequence;
      if (sequence === toPass?.snapshot?.sequence) await this.#prove(toPass);
    }
    await this.#scratch.flush();
  }

  /** That a snapshot is what the log has made of it. */
  async #prove({ snapshot }: Restoration): Promise<void> {
    if (snapshot === undefined) return;
    await this.#scratch.flush();
    const ours = inOrder(this.#scratch.pages(PAGE_BYTES));
    const wrong = (key: Uint8Array) =>
      new StoreError(
        "ERR_STORE_CORRUPT",
        `the archive's snapshot of ${this.#options.stream} at ${snapshot.sequence} is not what the log says, at key ${Buffer.from(key).toString("hex")}`,
      );
    const decoder = new StateDecoder();
    for await (const chunk of snapshot.chunks()) {
      for (const { key, bytes } of decoder.push(chunk)) {
        const own = ours.next();
        if (own.done === true) throw wrong(key);
        if (Buffer.compare(own.value.key, key) !== 0 || Buffer.compare(own.value.value, bytes) !== 0) throw wrong(key);
      }
    }
    decoder.finish();
    const rest = ours.next();
    if (rest.done !== true) throw wrong(rest.value.key);
  }

  async snapshot(at: number): Promise<ReplicaSnapshot> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    if (at !== this.#position) throw behind(this.name, at, `it is at ${this.#position}`);
    return streamingSnapshot({ entries: (range) => this.#scratch.entries(range), createHash: sha256 });
  }

  async close(): Promise<void> {
    await this.#scratch.close();
  }
}

function* inOrder(pages: Iterable<readonly Entry[]>): Generator<Entry, void, undefined> {
  for (const page of pages) yield* page;
}
