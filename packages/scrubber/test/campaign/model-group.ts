import { createHash } from "node:crypto";
import { SortedTree } from "../../src/core/sorted-tree.js";
import {
  behind,
  type Entry,
  type LogEntry,
  logReplica,
  MerkleIndex,
  type ReferenceState,
  type ReplicaSource,
  sha256,
  streamingSnapshot,
} from "../../src/index.js";
import { bytes, text } from "../support/sources.js";
import { Disk } from "./disk.js";
import type { Random } from "./random.js";

export type Command =
  | { readonly op: "put"; readonly key: string; readonly value: string }
  | { readonly op: "append"; readonly key: string; readonly value: string }
  | { readonly op: "delete"; readonly key: string };

/** The state machine: the same function for the live replicas and for the reference. */
export function applyCommand(state: ReferenceState, command: Command): void {
  const key = bytes(command.key);
  if (command.op === "delete") state.delete(key);
  else if (command.op === "put") state.put(key, bytes(command.value));
  else state.put(key, bytes(((text(state.get(key)) ?? "") + command.value).slice(-400)));
}

export interface Place {
  readonly offset: number;
  readonly dataLength: number;
}

interface KeyedPlace extends Place {
  readonly key: Uint8Array;
}

/** One replica: a log, and a B-tree that says where on its disk a key's record lies. */
export class ModelReplica {
  readonly disk = new Disk();
  readonly logDisk = new Disk();
  /** Where each record lies; undefined where a fault has lost it. */
  readonly log: (Place | undefined)[] = [];
  tree = new SortedTree<KeyedPlace>();
  index = new MerkleIndex(sha256);
  applied = 0;

  constructor(readonly name: string) {}

  /** What its applies write through; a fault does so too, as a bug in the live storage path would. */
  readonly state: ReferenceState = {
    get: (key) => {
      const place = this.tree.peek().get(key);
      return place === undefined ? undefined : Disk.dataOf(this.disk.raw(place.offset, place.dataLength));
    },
    put: (key, value) => {
      this.index.touch(key);
      this.tree.set({ key, offset: this.disk.append(value), dataLength: value.length });
    },
    delete: (key) => {
      this.index.touch(key);
      this.tree.delete(key);
    },
  };

  logged(sequence: number, data: Uint8Array): void {
    this.log[sequence - 1] = { offset: this.logDisk.append(data), dataLength: data.length };
  }

  keys(): string[] {
    return [...this.tree.peek().range(new Uint8Array(0), undefined)].map(({ key }) => text(key) as string);
  }

  /** After a restart it has read its tree anew, and keeps no digests of before. */
  restart(): void {
    this.index = new MerkleIndex(sha256);
  }

  source(): ReplicaSource {
    return {
      name: this.name,
      snapshot: async (at) => {
        if (this.applied !== at) throw behind(this.name, at, `it has applied ${this.applied}`);
        const view = this.tree.snapshot();
        const entries = function* (this: ModelReplica, range: { from: Uint8Array; to: Uint8Array | undefined }) {
          for (const { key, offset, dataLength } of view.range(range.from, range.to))
            yield { key, value: this.disk.raw(offset, dataLength) } satisfies Entry;
        }.bind(this);
        return streamingSnapshot({
          entries,
          createHash: sha256,
          verify: ({ value }) => Disk.isSound(value),
          kept: this.index.view({ entries }),
        });
      },
    };
  }

  logSource(): ReplicaSource {
    const { log, logDisk } = this;
    return logReplica({
      name: this.name,
      last: () => log.length,
      read: function* (from): Iterable<LogEntry> {
        for (let sequence = Math.max(1, from); sequence <= log.length; sequence++) {
          const place = log[sequence - 1];
          if (place === undefined) continue;
          const { offset, dataLength } = place;
          const raw = logDisk.raw(offset, dataLength);
          if (!Disk.isSound(raw)) throw new Error(`record ${sequence} does not match its checksum`);
          yield { sequence, data: Disk.dataOf(raw) };
        }
      },
    });
  }
}

export const RECORDS_PER_OBJECT = 20;

/** Objects of so many records, each object with a checksum of its own. */
export class ModelArchive {
  readonly objects: Buffer[] = [];
  through = 0;

  put(entries: readonly LogEntry[]): void {
    const body = Buffer.from(JSON.stringify(entries.map(({ sequence, data }) => [sequence, text(data)])));
    this.objects.push(Buffer.concat([createHash("sha256").update(body).digest(), body]));
    this.through = entries.at(-1)?.sequence ?? this.through;
  }

  /** As whoever makes objects would do it who is wrong about one record. */
  rewrite(sequence: number, change: () => Buffer | undefined): void {
    const index = Math.floor((sequence - 1) / RECORDS_PER_OBJECT);
    const { through } = this;
    const kept = this.objects.slice(0, index);
    const later = this.objects.slice(index + 1);
    const entries = JSON.parse((this.objects[index] as Buffer).subarray(32).toString()) as [number, string][];
    this.objects.splice(0, this.objects.length, ...kept);
    this.put(
      entries.flatMap(([one, data]) => {
        const changed = one === sequence ? change() : bytes(data);
        return changed === undefined ? [] : [{ sequence: one, data: changed }];
      }),
    );
    this.objects.push(...later);
    this.through = through;
  }

  *read(from: number): Iterable<LogEntry> {
    for (const [index, object] of this.objects.entries()) {
      // The manifest, which is kept apart, knows which object holds which sequences.
      const first = index * RECORDS_PER_OBJECT + 1;
      if (first + RECORDS_PER_OBJECT <= from) continue;
      const body = object.subarray(32);
      if (!createHash("sha256").update(body).digest().equals(object.subarray(0, 32)))
        throw new Error(`object ${index} does not match its checksum`);
      for (const [sequence, data] of JSON.parse(body.toString()) as [number, string][])
        if (sequence >= from) yield { sequence, data: bytes(data) };
    }
  }
}

/** Three replicas that apply one log, and its archive. */
export class ModelGroup {
  readonly replicas = ["a", "b", "c"].map((name) => new ModelReplica(name));
  readonly archive = new ModelArchive();
  readonly #random: Random;
  readonly #history: Command[] = [];
  /** Keys that the workload leaves alone: a fault sits there, and a write would heal it. */
  readonly avoided = new Set<string>();
  /** Replicas that lag. */
  readonly lagging = new Set<string>();
  slot = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) this.#write(this.#command());
  }

  command(slot: number): Command {
    return this.#history[slot - 1] as Command;
  }

  /** Fills a whole number of objects, so that all that was written is archived. */
  settle(): number {
    while (this.slot % RECORDS_PER_OBJECT !== 0) this.write(1);
    const { log } = this.replicas[0] as ModelReplica;
    while (this.archive.through < this.slot) {
      const first = this.archive.through + 1;
      this.archive.put(
        Array.from({ length: Math.min(RECORDS_PER_OBJECT, log.length - first + 1) }, (_, i) => ({
          sequence: first + i,
          data: bytes(JSON.stringify(this.command(first + i))),
        })),
      );
    }
    return this.slot;
  }

  /** One command with whatever goes wrong while one replica applies it. */
  writeWith(command: Command, victim: ModelReplica, fault: (apply: () => void) => void): void {
    this.#write(command, victim, fault);
  }

  #write(command: Command, victim?: ModelReplica, fault?: (apply: () => void) => void): void {
    this.slot++;
    this.#history.push(command);
    const data = bytes(JSON.stringify(command));
    for (const replica of this.replicas) {
      replica.logged(this.slot, data);
      if (this.lagging.has(replica.name)) continue;
      for (; replica.applied < this.slot; replica.applied++) {
        const apply = () => applyCommand(replica.state, this.command(replica.applied + 1));
        if (replica === victim && replica.applied + 1 === this.slot) fault?.(apply);
        else apply();
      }
    }
  }

  #command(): Command {
    const random = this.#random;
    for (;;) {
      const key = `key/${String(random.int(400)).padStart(4, "0")}`;
      if (this.avoided.has(key)) continue;
      const value = `${random.int(1e9)}`.repeat(1 + random.int(random.chance(0.02) ? 200 : 8));
      const dice = random.next();
      return dice < 0.15 ? { op: "delete", key } : { op: dice < 0.4 ? "append" : "put", key, value };
    }
  }
}
