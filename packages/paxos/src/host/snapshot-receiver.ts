import { createHash } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import { rm } from "node:fs/promises";
import { PaxosError } from "../core/errors.js";
import type { Position } from "../core/types.js";
import type { HostMessage } from "./host-messages.js";
import { type SnapshotOffer, SnapshotSpool } from "./snapshot-spool.js";
import type { StateMachine } from "./state-machine.js";
import { tableOf } from "./table-in-front.js";

const snapshotFailed = channel("evenkeel:paxos:snapshot-failed");
const snapshotInstalled = channel("evenkeel:paxos:snapshot-installed");

/** A piece that has not come after this long is asked for again; after so many times its sender counts as dead. */
const retryMs = 500;
const triesMax = 20;
/** What an earlier life has kept is of no use after this: its sender has given it up by then. */
const leftoverMs = 60_000;

type Piece = Extract<HostMessage, { type: "piece" }>;

interface Asking {
  readonly from: string;
  readonly id: string;
  readonly offset: number;
  atMs: number;
  tries: number;
  resolve(piece: Piece): void;
  reject(error: Error): void;
}

export interface ReceiverParts {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly machine: StateMachine<unknown>;
  readonly now: () => number;
  /** Whether a snapshot of this slot would still bring the state machine forward. */
  readonly wants: (slot: number) => boolean;
  readonly post: (to: string, message: HostMessage) => void;
  /** Durable when it resolves: the state machine is about to be at this position. From here on nothing is applied. */
  readonly prepare: (position: Position) => Promise<void>;
  /** The state machine is at this position, durably; or, undefined, it stays where it was. */
  readonly done: (position: Position | undefined, clientTable?: Uint8Array) => void;
  /** Where what has come is kept for the next life; nowhere unless told. */
  readonly spoolFile?: string | undefined;
  /** Throws unless these bytes are a table of clients. */
  readonly checkTable: (bytes: Uint8Array) => void;
  /** The contract was broken, or the log failed: the group must stop. */
  readonly fail: (error: unknown) => void;
}

/**
 * Takes one snapshot at a time. The receiver sets the pace: a piece is asked for when the state machine wants it, and asked
 * for again when it does not come, so a lost message or a broken connection costs a moment, not the transfer.
 */
export class SnapshotReceiver {
  readonly #parts: ReceiverParts;
  #asking: Asking | undefined;
  #installing: Promise<void> | undefined;
  #id = "";
  #closed = false;
  #gaveUp: PaxosError | undefined;
  /** When what an earlier life has left is cleared away. */
  #clearAtMs: number;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
    this.#clearAtMs = parts.spoolFile === undefined ? Number.POSITIVE_INFINITY : parts.now() + leftoverMs;
  }

  get active(): boolean {
    return this.#installing !== undefined;
  }

  offer(from: string, offer: SnapshotOffer): void {
    const { machine, wants } = this.#parts;
    if (this.#closed || machine.install === undefined || !wants(offer.position.slot)) return;
    if (this.#installing !== undefined) {
      // One that is on its way goes on; who offers will offer again if it was not enough. Unless its sender has fallen silent.
      if (this.#asking && this.#asking.from !== from && this.#asking.tries >= 2) this.#giveUp("another has one");
      return;
    }
    this.#id = offer.id;
    this.#clearAtMs = Number.POSITIVE_INFINITY;
    this.#installing = this.#install(from, offer).finally(() => {
      this.#installing = undefined;
      this.#asking = undefined;
      this.#id = "";
    });
  }

  piece(from: string, piece: Piece): void {
    const asking = this.#asking;
    if (asking?.id !== piece.id || asking.from !== from || asking.offset !== piece.offset) return;
    this.#asking = undefined;
    asking.resolve(piece);
  }

  gone(from: string, id: string): void {
    if (this.#asking?.id === id && this.#asking.from === from) this.#giveUp(`${from} does not have it any more`);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#clearAtMs) this.#clear();
    const asking = this.#asking;
    if (asking === undefined || nowMs - asking.atMs < retryMs) return;
    if (++asking.tries > triesMax) {
      this.#giveUp(`${asking.from} does not answer`);
      return;
    }
    asking.atMs = nowMs;
    this.#parts.post(asking.from, { type: "fetch", id: asking.id, offset: asking.offset });
  }

  close(): void {
    this.#closed = true;
    this.#giveUp("the group is closed");
  }

  /** Resolves when the state machine is left alone. */
  async settled(): Promise<void> {
    await this.#installing;
  }

  async #install(from: string, offer: SnapshotOffer): Promise<void> {
    const { ids, machine, prepare, done, fail, wants } = this.#parts;
    const { position, sizeBytes, id } = offer;
    const tableBytes = offer.type === "offerWithClients" ? offer.tableBytes : 0;
    let prepared = false;
    let logFailure: unknown;
    const ask = (offset: number) => this.#ask(from, id, offset);
    const { spoolFile } = this.#parts;
    const spool = spoolFile === undefined ? undefined : await SnapshotSpool.open(spoolFile, { ...ids, from, offer });
    let resumedBytes = 0;
    /** Whether what came was wrong, whatever the state machine makes of it. */
    let broke = false;
    const isBroken = (cause: unknown) =>
      cause instanceof PaxosError && cause.code === "ERR_PAXOS_SNAPSHOT" && cause !== this.#gaveUp;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        yield* pieces();
      } catch (cause) {
        broke = isBroken(cause);
        throw cause;
      }
    }
    async function* pieces(): AsyncGenerator<Uint8Array> {
      const hash = createHash("sha256");
      let offset = 0;
      for await (const bytes of spool?.kept() ?? []) {
        hash.update(bytes);
        offset += bytes.length;
        resumedBytes = offset;
        // The last piece is never kept: with it comes the checksum over all of them.
        if (offset >= sizeBytes) throw broken(`${offset} bytes of it were kept, it has ${sizeBytes}`);
        yield bytes;
      }
      for (;;) {
        const piece = await ask(offset);
        if (offset + piece.bytes.length > sizeBytes) throw broken(`more than the ${sizeBytes} bytes announced`);
        hash.update(piece.bytes);
        offset += piece.bytes.length;
        // Before it is handed on: a chunk is its reader's own.
        if (offset < sizeBytes && piece.bytes.length > 0) await spool?.keep(piece.bytes);
        if (piece.bytes.length > 0) yield piece.bytes;
        if (offset < sizeBytes && piece.bytes.length > 0) continue;
        if (offset < sizeBytes) throw broken(`it ended after ${offset} of ${sizeBytes} bytes`);
        if (!hash.digest().equals(piece.digest)) throw broken("its checksum is wrong");
        break;
      }
      if (!wants(position.slot)) throw new PaxosError("ERR_PAXOS_SNAPSHOT", "the log has come past this snapshot");
      try {
        await prepare(position);
      } catch (cause) {
        logFailure = cause;
        throw cause;
      }
      prepared = true;
    }
    let clientTable: Uint8Array | undefined;
    try {
      const parts = await tableOf(chunks(), tableBytes);
      if (tableBytes > 0) {
        clientTable = parts.table;
        // Until it has been read it counts as wrong: what is kept of it would be found wrong again and again.
        broke = true;
        this.#parts.checkTable(clientTable);
        broke = false;
      }
      await (machine.install as NonNullable<typeof machine.install>)({
        slot: position.slot,
        sizeBytes: sizeBytes - tableBytes,
        ...(clientTable === undefined ? {} : { clientTable: clientTable.slice() }),
        chunks: parts.chunks,
      });
    } catch (cause) {
      // What came wrong is not to be gone on with. All else may be offered again.
      await (broke ? spool?.discard() : spool?.close());
      if (spool !== undefined) this.#clearAtMs = this.#parts.now() + leftoverMs;
      if (prepared) done(undefined);
      if (logFailure !== undefined) fail(logFailure);
      else if (snapshotFailed.hasSubscribers) snapshotFailed.publish({ ...ids, from, slot: position.slot, cause });
      return;
    }
    await spool?.discard();
    if (!prepared) {
      fail(new PaxosError("ERR_PAXOS_APPLY", `group ${ids.groupId}: install resolved before it had read the snapshot`));
      return;
    }
    if (snapshotInstalled.hasSubscribers) {
      snapshotInstalled.publish({ ...ids, from, slot: position.slot, sizeBytes, resumedBytes });
    }
    done(position, clientTable);
  }

  #clear(): void {
    this.#clearAtMs = Number.POSITIVE_INFINITY;
    void rm(this.#parts.spoolFile as string, { force: true }).catch(() => {});
  }

  #ask(from: string, id: string, offset: number): Promise<Piece> {
    return new Promise<Piece>((resolve, reject) => {
      if (this.#closed || this.#id !== id) {
        reject(new PaxosError("ERR_PAXOS_CLOSED", "the snapshot is not wanted any more"));
        return;
      }
      this.#asking = { from, id, offset, atMs: this.#parts.now(), tries: 0, resolve, reject };
      this.#parts.post(from, { type: "fetch", id, offset });
    });
  }

  #giveUp(why: string): void {
    const asking = this.#asking;
    this.#asking = undefined;
    this.#gaveUp = new PaxosError("ERR_PAXOS_SNAPSHOT", `the snapshot was given up: ${why}`);
    asking?.reject(this.#gaveUp);
  }
}

function broken(what: string): PaxosError {
  return new PaxosError("ERR_PAXOS_SNAPSHOT", `a snapshot came broken: ${what}`);
}
