import { EntryType, entryHeaderBytes } from "./core/entry.js";
import { StreamState } from "./core/stream-state.js";
import { declarationBytes } from "./core/stream-table.js";
import { badArgument, checkOptions, WalError } from "./errors.js";
import { followRecords } from "./follow.js";
import type { WalFileSystem } from "./fs/file-system.js";
import type { Log } from "./log.js";
import { type AppendWaiter, PendingBatch } from "./pending-batch.js";
import { readBlocks, readRecords, readRecordsBackwards, truncated, type WalRecord } from "./reader.js";

export interface AppendOptions {
  /** Gives up waiting. The records may be written all the same: an abort cannot call them back. */
  readonly signal?: AbortSignal;
  /** First drops every record above this sequence, in the same atomic batch. */
  readonly truncateAfter?: number;
}

export interface ReadOptions {
  /** First sequence wanted. Default: the first one there is. */
  readonly from?: number;
  /** Last sequence wanted. Default: the last one that is durable when reading starts. */
  readonly to?: number;
  /** From the last one wanted down to the first. Default false. */
  readonly backwards?: boolean;
  /** Ends the reading, with its reason. */
  readonly signal?: AbortSignal;
}

export interface FollowOptions {
  /** First sequence wanted, which may still be to come. Default: the first one there is. */
  readonly from?: number;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const appendNames: Record<keyof AppendOptions, 0> = { signal: 0, truncateAfter: 0 };

const readNames: Record<keyof ReadOptions, 0> = { from: 0, to: 0, backwards: 0, signal: 0 };

const blockNames: Record<keyof Omit<ReadOptions, "backwards">, 0> = { from: 0, to: 0, signal: 0 };

const followNames: Record<keyof FollowOptions, 0> = { from: 0, signal: 0 };

/** What a stream needs of the log that it lives in. */
export interface StreamHome {
  readonly log: Log;
  readonly fileSystem: WalFileSystem;
  readonly appendBytesMax: number;
  readonly streamsMax: number;
  /** Why there may not be one stream more, if so. */
  streamRefusal(): WalError | undefined;
  /** The id of a stream that comes into being. */
  nextStreamId(): number;
  streamRemoved(): void;
}

const none: readonly Uint8Array[] = [];

/** One log among those that share the files: its records are numbered from 1 without holes. */
export class WalStream {
  readonly name: string;
  readonly #home: StreamHome;
  /** As it was found last; undefined until the first append gave the stream its id. */
  #state: StreamState | undefined;

  /** @internal Use `wal.stream(name)`. */
  constructor(home: StreamHome, name: string) {
    this.#home = home;
    this.name = name;
  }

  /** The oldest sequence that can be read; `lastSequence + 1` when there is none. */
  get firstSequence(): number {
    return this.#current?.first ?? 1;
  }

  /** The newest durable sequence; `firstSequence - 1` when there is none. */
  get lastSequence(): number {
    return (this.#current?.next ?? 1) - 1;
  }

  /** What all handles of one name share. It is looked up anew once it was packed for want of use, or removed. */
  get #current(): StreamState | undefined {
    let state = this.#state;
    if (state?.current !== true) {
      state = this.#home.log.table.named(this.name);
      this.#state = state;
    }
    if (state !== undefined) state.used = true;
    return state;
  }

  /**
   * Appends one record or several, all or none. Resolves to the sequence of the last one, once they are on disk. Calls are carried out in the
   * order in which they were made. The bytes are copied before this returns: the caller may reuse them at once.
   *
   * Rejects with `ERR_WAL_OVERLOADED` (nothing was written; await `wal.room()`), `ERR_WAL_POISONED`, `ERR_WAL_CLOSED`, `ERR_WAL_TOO_LARGE` (the
   * first append of a stream that would be one over `streamsMax`) or the signal's reason.
   */
  append(data: Uint8Array | readonly Uint8Array[], options?: AppendOptions): Promise<number> {
    const batch = this.#enter(data, options);
    if (!(batch instanceof PendingBatch)) return Promise.reject(batch.refusal);
    const last = this.#lastAssigned;
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      if (signal === undefined) batch.wait(resolve, reject, last);
      else waitWith(signal, batch, resolve, reject, last);
    });
  }

  /**
   * The same without a promise, for who appends to thousands of streams and has a place of his own to note what is under way: calls `appended` with the sequence of the last record once they are on disk,
   * or `notAppended`; in the order of the calls, from a turn of the log, and neither may throw. Returns why nothing was written where `append` would have rejected at once; then neither is called.
   */
  appendThen(data: Uint8Array | readonly Uint8Array[], waiter: AppendWaiter): Error | undefined {
    const batch = this.#enter(data, undefined);
    if (!(batch instanceof PendingBatch)) return batch.refusal;
    batch.waitAs(waiter, this.#lastAssigned);
    return undefined;
  }

  /** Of the records that were put into a batch just now the last one's sequence. */
  get #lastAssigned(): number {
    return (this.#state as StreamState).nextAssigned - 1;
  }

  /** Puts the records into the batch that gathers, or says why not. */
  #enter(
    data: Uint8Array | readonly Uint8Array[],
    options: AppendOptions | undefined,
  ): PendingBatch | { readonly refusal: Error } {
    // A truncateAfter with a typo would leave what was to be replaced.
    if (options !== undefined) checkOptions("append", options, appendNames);
    const records = data instanceof Uint8Array ? undefined : data;
    let bytes = records === undefined ? entryHeaderBytes + (data as Uint8Array).length : 0;
    for (const record of records ?? none) {
      if (!(record instanceof Uint8Array)) throw badArgument("data", "a Uint8Array or an array of them", record);
      bytes += entryHeaderBytes + record.length;
    }
    const truncateAfter = options?.truncateAfter;
    const known = this.#current;
    if (truncateAfter !== undefined) checkTruncateAfter(known, truncateAfter, "truncateAfter");
    else if (bytes === 0) throw badArgument("data", "at least one record", data);
    if (bytes > this.#home.appendBytesMax) {
      const message = `an append of ${bytes} bytes with framing is over appendBytesMax (${this.#home.appendBytesMax})`;
      throw new WalError("ERR_WAL_TOO_LARGE", message, { stream: this.name });
    }
    let refusal = options?.signal?.aborted === true ? (options.signal.reason as Error) : this.#home.log.refusal();
    if (known === undefined) refusal ??= this.#home.streamRefusal();
    if (refusal !== undefined) return { refusal };

    const truncates = truncateAfter !== undefined && truncateAfter < (known?.nextAssigned ?? 1) - 1;
    const batch = this.#gather(bytes + (truncates ? entryHeaderBytes : 0));
    const state = this.#state as StreamState;
    if (truncates) {
      putControl(batch, state, EntryType.truncateAfter, truncateAfter, () => state.truncateAfter(truncateAfter));
      state.nextAssigned = truncateAfter + 1;
    }
    if (bytes > 0) {
      const goesOn = state.runBatch === batch.id && state.runControls === batch.controls;
      state.run = batch.extend(state, records?.length ?? 1, bytes, goesOn ? state.run : -1);
      state.runBatch = batch.id;
      state.runControls = batch.controls;
    }
    if (records === undefined) {
      batch.putRecord(state.id, state.nextAssigned++, data as Uint8Array);
    } else {
      for (const record of records) batch.putRecord(state.id, state.nextAssigned++, record);
    }
    return batch;
  }

  /** Drops every record above `sequence`; the next append continues with `sequence + 1`. Durable when it resolves. */
  truncateAfter(sequence: number): Promise<void> {
    const known = this.#current;
    checkTruncateAfter(known, sequence, "sequence");
    if (sequence >= (known?.nextAssigned ?? 1) - 1) return this.#home.log.settled();
    return this.#control(
      EntryType.truncateAfter,
      sequence,
      (state) => state.truncateAfter(sequence),
      (state) => {
        state.nextAssigned = sequence + 1;
      },
    );
  }

  /** Drops every record below `sequence`, which may be one past the last. Segments in which nothing is left alive are freed. */
  truncateBefore(sequence: number): Promise<void> {
    const { firstAssigned, nextAssigned } = this.#current ?? unborn;
    if (!Number.isSafeInteger(sequence) || sequence < 1 || sequence > nextAssigned) {
      throw badArgument("sequence", `a whole number from 1 to ${nextAssigned}`, sequence);
    }
    if (sequence <= firstAssigned) return this.#home.log.settled();
    return this.#control(
      EntryType.truncateBefore,
      sequence,
      (state) => state.truncateBefore(sequence),
      (state) => {
        state.firstAssigned = sequence;
      },
    );
  }

  /** Deletes the stream with all its records. A later append begins a new one, at sequence 1. */
  remove(): Promise<void> {
    if (this.#current === undefined) return this.#home.log.settled();
    const { table } = this.#home.log;
    return this.#control(
      EntryType.remove,
      0,
      (state) => {
        state.remove();
        table.delete(state);
        this.#home.streamRemoved();
      },
      (state) => table.unname(state),
    );
  }

  /**
   * Reads durable records in order, each verified, holding two blocks (256 KiB each, or one batch if that is larger) in memory. What is appended
   * after the call is not read. Throws `ERR_WAL_TRUNCATED` when `from` is, or meanwhile comes to be, before `firstSequence`, and
   * `ERR_WAL_CORRUPT` at damage; ends early when records at the end are truncated while it reads (backwards: `ERR_WAL_TRUNCATED`).
   */
  read(options: ReadOptions = {}): AsyncIterable<WalRecord> {
    const range = this.#range(checkOptions("read", options, readNames));
    if (range === undefined) return nothing;
    const { state, from, last } = range;
    const read = options.backwards === true ? readRecordsBackwards : readRecords;
    return read(this.#home.fileSystem, state, from, last, options.signal);
  }

  /**
   * What `read` reads, forwards, as lists: all records of a block at once (none is empty; 256 KiB of log, or one batch if that is larger). For who goes
   * through much of a log: waiting for each record costs more than reading it.
   */
  readBlocks(options: Omit<ReadOptions, "backwards"> = {}): AsyncIterable<readonly WalRecord[]> {
    const range = this.#range(checkOptions("readBlocks", options, blockNames));
    if (range === undefined) return nothing;
    return readBlocks(this.#home.fileSystem, range.state, range.from, range.last, options.signal);
  }

  #range(
    options: ReadOptions,
  ): { readonly state: StreamState; readonly from: number; readonly last: number } | undefined {
    const state = this.#current;
    const first = state?.first ?? 1;
    const newest = (state?.next ?? 1) - 1;
    const { from = first, to = newest } = options;
    if (!Number.isSafeInteger(from) || from < 1) throw badArgument("from", "a whole number from 1", from);
    if (!Number.isSafeInteger(to) || to < 0) throw badArgument("to", "a whole number from 0", to);
    if (this.#home.log.closed) throw new WalError("ERR_WAL_CLOSED", "the log is closed", { stream: this.name });
    const last = Math.min(to, newest);
    if (from < first && from <= last) throw truncated({ name: this.name, first }, from);
    return state === undefined || from > last ? undefined : { state, from, last };
  }

  /**
   * Reads durable records in order and then waits for what becomes durable, until the log is closed (ends) or the signal aborts (throws its
   * reason). Each is verified as it is read from the file. Holds what `read` holds, however far it is behind.
   *
   * Throws `ERR_WAL_TRUNCATED` when it is overtaken by `truncateBefore`, or when the end is cut back below what it was already given;
   * `ERR_WAL_CORRUPT` at damage; `ERR_WAL_POISONED` once it has given out what was durable before a write failed.
   */
  follow(options: FollowOptions = {}): AsyncIterable<WalRecord> {
    const { from = this.firstSequence, signal } = checkOptions("follow", options, followNames);
    if (!Number.isSafeInteger(from) || from < 1) throw badArgument("from", "a whole number from 1", from);
    const { log, fileSystem } = this.#home;
    if (log.closed) throw new WalError("ERR_WAL_CLOSED", "the log is closed", { stream: this.name });
    if (from < this.firstSequence) throw truncated({ name: this.name, first: this.firstSequence }, from);
    const followed = { name: this.name, log, fileSystem };
    return followRecords(followed, from, signal);
  }

  /** The batch for `bytes` more bytes; with the stream's declaration, if it has none yet. */
  #gather(bytes: number): PendingBatch {
    const { log } = this.#home;
    if (this.#state !== undefined) return log.gather(bytes);
    // A name put together from two parts would keep both of them: in a million streams that is felt.
    const state = new StreamState(this.#home.nextStreamId(), Buffer.from(this.name).toString());
    const batch = log.gather(bytes + declarationBytes(this.name));
    batch.putStream(state);
    batch.control(() => log.table.add(state));
    log.table.name(state);
    this.#state = state;
    return batch;
  }

  /** Of a stream that there is. */
  #control(
    type: EntryType,
    sequence: number,
    apply: (state: StreamState) => void,
    assign: (state: StreamState) => void,
  ): Promise<void> {
    const refusal = this.#home.log.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const batch = this.#gather(entryHeaderBytes);
    const state = this.#state as StreamState;
    putControl(batch, state, type, sequence, apply);
    assign(state);
    return new Promise((resolve, reject) => batch.wait(() => resolve(), reject, sequence));
  }
}

/** What is assigned of a stream that does not exist. */
const unborn = { firstAssigned: 1, nextAssigned: 1 };

function checkTruncateAfter(state: StreamState | undefined, sequence: number, argument: string): void {
  const { firstAssigned } = state ?? unborn;
  if (Number.isSafeInteger(sequence) && sequence >= firstAssigned - 1) return;
  throw badArgument(argument, `a whole number from ${firstAssigned - 1}`, sequence);
}

const nothing: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

function putControl(
  batch: PendingBatch,
  state: StreamState,
  type: EntryType,
  sequence: number,
  apply: (state: StreamState) => void,
): void {
  batch.putControl(type, state.id, sequence);
  state.truncationsCalled++;
  batch.control(() => {
    state.truncationsApplied++;
    apply(state);
  });
}

function waitWith(
  signal: AbortSignal,
  batch: PendingBatch,
  resolve: (sequence: number) => void,
  reject: (reason: unknown) => void,
  last: number,
): void {
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const stop = () => signal.removeEventListener("abort", abort);
  const answered = (sequence: number) => {
    stop();
    resolve(sequence);
  };
  const rejected = (reason: unknown) => {
    stop();
    reject(reason);
  };
  batch.wait(answered, rejected, last);
}
