import type { UncertainTailLike } from "./doubts.js";

/** Whom a log calls back: with the sequence of the last record, once they are durable, or with why they may not be. */
export interface AppendWaiterLike {
  appended(sequence: number): void;
  notAppended(cause: unknown): void;
}

/** What is needed of a `WalStream` of `@evenkeel/wal`. */
export interface WalStreamLike {
  /** Durable and atomic when it resolves, with the sequence of the last record; records are copied before it returns. */
  append(records: readonly Uint8Array[]): Promise<number>;
  /**
   * The same without a promise, in the order of the calls, from a turn of its own. Returns why nothing was written; then the waiter is not called. May be left out.
   */
  appendThen?(records: readonly Uint8Array[], waiter: AppendWaiterLike): Error | undefined;
  read(range?: { from?: number; to?: number }): AsyncIterable<{ readonly sequence: number; readonly data: Uint8Array }>;
  truncateBefore(sequence: number): Promise<unknown>;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** What is needed of a `Wal` of `@evenkeel/wal`. */
export interface WalLike {
  stream(name: string): WalStreamLike;
  /** Where the log was cut off when it was opened, if its last batch may have been acknowledged before. */
  readonly uncertainFrom?: UncertainTailLike | null;
  /** Called once that is written down here: until then the log says it again at each opening. A log without it says it once. */
  settleUncertain?(): Promise<void>;
}

export interface WalStorageOptions {
  /** Put before the group's id to name its stream. `"paxos/"` unless told. Who uses two on one log calls `walStorage` for both in the same turn that opened it. */
  readonly prefix?: string;
  /** Bytes of all groups that may wait in the log; further writes wait here for their turn. Less than the log itself allows: 32 MiB unless told. */
  readonly bytesInFlightMax?: number;
  /**
   * What to make of a log whose last batch was found torn when it was opened. Nearly always nobody was told of it; but a log cannot tell that from its last acknowledged
   * batch gone bad. `"ask"`, the default: each group asks all its other members before it votes again, so all of them must be up once. `"trust"`: take it for a write
   * that was cut off, for disks that are trusted not to rot.
   */
  readonly uncertainTail?: "ask" | "trust";
}
