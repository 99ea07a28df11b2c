import { createHash, type Hash } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import { PaxosError } from "../core/errors.js";
import type { Position } from "../core/types.js";
import type { HostMessage } from "./host-messages.js";
import type { Pace } from "./pace.js";
import { unsyncedBytesMax } from "./snapshot-spool.js";
import type { Snapshot, StateMachine } from "./state-machine.js";
import { withTable } from "./table-in-front.js";

const snapshotNeeded = channel("evenkeel:paxos:snapshot-needed");
const snapshotFailed = channel("evenkeel:paxos:snapshot-failed");

/** Snapshots on their way at once, of one group. Who comes while all are taken is offered one when its leader next sees that it lags. */
const sessionsMax = 2;
/** Nobody has asked for a piece for this long: it is given up. */
const idleMaxMs = 30_000;

type Piece = Extract<HostMessage, { readonly type: "piece" }>;

interface Session {
  readonly id: string;
  /** In front of what the state machine gave; 0 where there is none. */
  readonly tableBytes: number;
  readonly position: Position;
  readonly snapshot: Snapshot;
  readonly hash: Hash;
  /** The newest ones: a receiver asks for them again when they were lost, or when it restarts before they are on its disk. */
  pieces: Piece[];
  next: number;
  reading: Promise<void> | undefined;
  activeMs: number;
}

export interface SenderParts {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly machine: StateMachine<unknown>;
  readonly pieceBytes: number;
  readonly pace: Pace;
  readonly now: () => number;
  readonly random: () => number;
  /** The table of clients as it is now, and the slot that was applied last; undefined while nobody ever registered. */
  readonly table: () => { readonly slot: number; readonly bytes: Uint8Array } | undefined;
  /** Everything known of this slot, when it is. */
  readonly positionOf: (slot: number) => Position | undefined;
  readonly post: (to: string, message: HostMessage) => void;
}

/** Hands snapshots of the state machine out, piece by piece as they are asked for. One session a receiver. */
export class SnapshotSender {
  readonly #parts: SenderParts;
  readonly #sessions = new Map<string, Session>();
  readonly #starting = new Set<string>();
  readonly #ending = new Set<Promise<void>>();
  #count = 0;
  #closed = false;
  bytesSent = 0;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Lowest slot behind which somebody will go on by log; infinite while nothing is on its way. */
  get pinnedSlot(): number {
    let slot = Number.POSITIVE_INFINITY;
    for (const { position } of this.#sessions.values()) slot = Math.min(slot, position.slot);
    return slot;
  }

  get active(): boolean {
    return this.#sessions.size > 0;
  }

  get starting(): boolean {
    return this.#starting.size > 0;
  }

  /** Somebody lacks slots from `fromSlot` on that are not in the log any more. May be called again and again about the same one. */
  needed(to: string, fromSlot: number): void {
    const { ids, machine, now } = this.#parts;
    const session = this.#sessions.get(to);
    if (session !== undefined && session.position.slot >= fromSlot) {
      this.#offer(to, session);
      return;
    }
    if (snapshotNeeded.hasSubscribers) snapshotNeeded.publish({ ...ids, to, fromSlot });
    if (machine.snapshot === undefined || this.#closed) return;
    if (session === undefined && this.#sessions.size + this.#starting.size >= sessionsMax) return;
    if (this.#starting.has(to)) return;
    this.#starting.add(to);
    void this.#start(to, now()).finally(() => this.#starting.delete(to));
  }

  fetch(to: string, id: string, offset: number): void {
    const session = this.#sessions.get(to);
    if (session?.id !== id) {
      this.#parts.post(to, { type: "gone", id });
      return;
    }
    const sent = session.pieces.find((piece) => piece.offset === offset);
    if (sent === undefined && offset !== session.next) {
      // Who begins the same one again, or further back than we remember, has dropped what it had: it will be offered a new one.
      this.#end(to, session);
      this.#parts.post(to, { type: "gone", id });
      return;
    }
    session.activeMs = this.#parts.now();
    if (sent !== undefined) this.#send(to, sent);
    else session.reading ??= Promise.resolve().then(() => this.#read(to, session));
  }

  tick(nowMs: number): void {
    for (const [to, session] of this.#sessions) if (nowMs - session.activeMs > idleMaxMs) this.#end(to, session);
  }

  close(): void {
    this.#closed = true;
    for (const [to, session] of this.#sessions) this.#end(to, session);
  }

  /** Resolves when no snapshot is read any more, and those that were handed out are closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending);
  }

  async #start(to: string, nowMs: number): Promise<void> {
    const { machine, positionOf, random } = this.#parts;
    try {
      const table = this.#parts.table();
      const given = await (machine.snapshot as () => Snapshot | Promise<Snapshot>).call(machine);
      // Somebody may have registered while it was taken, for the first time.
      const { snapshot, tableBytes } = await inOne(given, table ?? this.#parts.table());
      const position = positionOf(snapshot.slot);
      if (position === undefined || this.#closed) {
        await snapshot.close?.();
        return;
      }
      const before = this.#sessions.get(to);
      if (before !== undefined) this.#end(to, before);
      const id = `${snapshot.slot}/${++this.#count}/${Math.floor(random() * 2 ** 48).toString(36)}`;
      const hash = createHash("sha256");
      const start = { pieces: [], next: 0, reading: undefined, activeMs: nowMs };
      const session: Session = { id, tableBytes, position, snapshot, hash, ...start };
      this.#sessions.set(to, session);
      this.#offer(to, session);
    } catch (cause) {
      this.#failed(to, cause);
    }
  }

  #offer(to: string, { id, tableBytes, position, snapshot: { sizeBytes } }: Session): void {
    if (tableBytes === 0) this.#parts.post(to, { type: "offer", id, position, sizeBytes });
    else this.#parts.post(to, { type: "offerWithClients", id, position, sizeBytes, tableBytes });
  }

  async #read(to: string, session: Session): Promise<void> {
    const { id, snapshot, hash, next: offset } = session;
    try {
      const length = Math.min(this.#parts.pieceBytes, snapshot.sizeBytes - offset);
      const bytes = length === 0 ? new Uint8Array(0) : await snapshot.read(offset, length);
      if (bytes.length !== length) throw new RangeError(`read gave ${bytes.length} bytes at ${offset}, not ${length}`);
      if (this.#sessions.get(to) !== session) return;
      hash.update(bytes);
      const last = offset + length === snapshot.sizeBytes;
      const digest = last ? hash.copy().digest() : new Uint8Array(0);
      session.next = offset + length;
      const piece: Piece = { type: "piece", id, offset, bytes, digest };
      remember(session.pieces, piece);
      this.#send(to, piece);
    } catch (cause) {
      if (this.#sessions.get(to) !== session) return;
      this.#end(to, session);
      this.#parts.post(to, { type: "gone", id });
      this.#failed(to, cause);
    } finally {
      session.reading = undefined;
    }
  }

  #send(to: string, piece: Piece): void {
    this.bytesSent += piece.bytes.length;
    this.#parts.pace.pass(piece.bytes.length, () => {
      if (!this.#closed) this.#parts.post(to, piece);
    });
  }

  #end(to: string, session: Session): void {
    this.#sessions.delete(to);
    // Not while it is being read.
    const ending = Promise.resolve(session.reading)
      .then(() => session.snapshot.close?.())
      .catch((cause: unknown) => this.#failed(to, cause))
      .finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #failed(to: string, cause: unknown): void {
    if (snapshotFailed.hasSubscribers) snapshotFailed.publish({ ...this.#parts.ids, to, cause });
  }
}

/** A snapshot without the clients of its slot is none: whoever took it over would carry their commands out again. */
async function inOne(snapshot: Snapshot, table: { slot: number; bytes: Uint8Array } | undefined) {
  if (table === undefined) return { snapshot, tableBytes: 0 };
  const bytes = snapshot.clientTable ?? (snapshot.slot === table.slot ? table.bytes : undefined);
  if (bytes !== undefined) return { snapshot: withTable(bytes, snapshot), tableBytes: bytes.length };
  await snapshot.close?.();
  const what = `a snapshot of slot ${snapshot.slot} where ${table.slot} was applied last has to bring its clientTable along`;
  throw new PaxosError("ERR_PAXOS_SNAPSHOT", what);
}

/** As many as a receiver may have been given and not made durable yet. */
function remember(pieces: Piece[], newest: Piece): void {
  pieces.push(newest);
  let bytes = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  for (let oldest = pieces[0] as Piece; oldest !== newest; oldest = pieces[0] as Piece) {
    bytes -= oldest.bytes.length;
    if (bytes < newest.bytes.length + unsyncedBytesMax) return;
    pieces.shift();
  }
}
