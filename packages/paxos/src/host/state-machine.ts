import { badArgument, checkInteger } from "../core/errors.js";
import type { ResultCodec } from "./results.js";

/** What a group replicates. Lives beside the group; the group calls it, one call at a time, from the event loop's turn. */
export interface StateMachine<R = unknown> {
  /** The slot through which its state is durable at the time of `join`: replay starts behind it. 0 for one that begins anew each time. */
  readonly appliedThrough: number;
  /**
   * Carries out one chosen command and returns what `propose` answers. Synchronous and deterministic; called in slot order, exactly once a
   * slot in one life of the process. `command` is shared with the log: read it, keep it if you like, never write to it.
   * Throwing stops the group on this node (`ERR_PAXOS_APPLY`): a replica that skips a command is no replica any more.
   */
  apply(entry: { readonly slot: number; readonly command: Uint8Array }): R;
  /**
   * Asked before chosen entries are applied, and cheap where there is room: undefined then. Otherwise a promise that resolves when it may be asked again. Until then nothing is applied here, and nothing of what is
   * chosen meanwhile is kept in memory: it is read again from the log, which keeps what is not applied. So a state machine that moves its state to a disk and lags behind the log bounds what it gathers.
   *
   * Who leads and is ready is not asked: whoever proposes there can be slowed down, and readers wait for what is chosen. One that begins to lead while it lags is ready once it has caught up, no faster than it has room.
   * Rejecting stops the group, as throwing in `apply` does. Must resolve before the state machine is closed.
   */
  room?(): Promise<void> | undefined;
  /**
   * Everything through `slot` is applied, among it slots without a command. Called after each run of `apply`. `clientTable` gives the table of clients as it is at the
   * moment at which it is called, now or later: see there. It costs about 10 bytes a client and what the kept results take.
   */
  advance?(slot: number, clientTable: () => Uint8Array): void;
  /**
   * Of a state that outlives the process, in a group that remembers clients: what `advance`'s `clientTable` gave when the state at `appliedThrough` became durable, kept
   * by the same durable step. Undefined where there was none yet. Without it such commands would be carried out again after a restart, so `join` refuses a state machine that tells
   * `durableThrough` or begins above slot 0, and does not have this property. A state that begins anew with each process need not have it.
   */
  readonly clientTable?: Uint8Array | undefined;
  /**
   * How results are kept for a client that asks again. Unless told: undefined, null, booleans, strings, finite numbers and bytes come back as they were; after anything else
   * the second answer is `ERR_PAXOS_RESULT`.
   */
  readonly results?: ResultCodec<R>;
  /**
   * The slot through which its state is durable now. A group whose state machine tells lets go of its log by itself: what is durable here and
   * beyond `logKeptBytesMax`, or the node's `logsKeptBytesMax`. Of one that does not, the log is let go only by `trim`.
   */
  readonly durableThrough?: number;
  /**
   * The state at one moment, for a replica that has fallen behind the log. Called between two `apply`s; commands applied afterwards must not show
   * in it. A state machine without it cannot help others; without `install` it cannot be helped.
   */
  snapshot?(): Snapshot | Promise<Snapshot>;
  /**
   * Takes the place of the whole state by that of `snapshot.slot`, atomically and durably:
   *
   * - Read `chunks` to the end, into a place of your own beside the state. `apply` may be called meanwhile, and is about the state as it is.
   * - When `chunks` throws (the sender died, a checksum is wrong, the log came past it), drop what you have, and reject with anything.
   * - When `chunks` ends, all of it was right. From then on until you resolve `apply` is not called. Make it durable, then switch by one durable step
   *   (a rename and a sync of its directory, a transaction) that sets state and `appliedThrough` = `slot` together, and resolve.
   * - A crash at any point must leave the old state with the old `appliedThrough`, or the new one with the new. Leftovers are yours to clear away.
   * - Rejecting says that the old state stands: the group goes on and will try again. Resolving before the end stops the group.
   */
  install?(snapshot: IncomingSnapshot): Promise<void>;
}

export interface Snapshot {
  /** Everything through this slot is in it, nothing above. */
  readonly slot: number;
  readonly sizeBytes: number;
  /** `length` bytes from `offset` on (never beyond `sizeBytes`). Called in ascending order, one call at a time, each piece once. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** The table of clients at `slot`. Needed where `slot` is not the one that was applied last when `snapshot` was called. */
  readonly clientTable?: Uint8Array;
  /** Called once, when nobody will read it any more. */
  close?(): void | Promise<void>;
}

export interface IncomingSnapshot {
  readonly slot: number;
  readonly sizeBytes: number;
  /** The table of clients at `slot`, to be made durable in the same step. Only in a group that remembers clients; undefined while nobody ever registered. */
  readonly clientTable?: Uint8Array;
  /** Once, in order; each chunk is the reader's own. The next one is asked for when the last one was taken: read at your own pace. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A snapshot that lies in memory as a whole. The bytes must not change afterwards. */
export function snapshotOf(slot: number, bytes: Uint8Array): Snapshot {
  checkInteger("slot", slot, 0, Number.MAX_SAFE_INTEGER);
  if (!(bytes instanceof Uint8Array)) throw badArgument("bytes", "a Uint8Array", bytes);
  return { slot, sizeBytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** Reads an incoming snapshot into memory as a whole. */
export async function collect({ sizeBytes, chunks }: IncomingSnapshot): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for await (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
