import { archiveEntryBytes, type EntryToArchive } from "../core/archive-object.js";
import type { WalRecord } from "../reader.js";

export interface TailOptions {
  readonly bytesPerObjectMax: number;
  readonly ageMaxMs: number;
  follow(signal: AbortSignal): AsyncIterable<WalRecord>;
  /** The newest record that is durable: what is below is had without waiting. */
  lastSequence(): number;
  entryOf(record: WalRecord): EntryToArchive;
}

/** Long enough for a follower to read its next block. */
const lingerMs = 20;

/** A follower's records as entries, in runs that end when what was gathered last gets too old, when enough were had, or when somebody asks for it. */
export class Tail {
  readonly #options: TailOptions;
  readonly #records: AsyncIterator<WalRecord>;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  /** The next record, where somebody has begun to wait for it. */
  #pending: Promise<void> | undefined;
  #arrived: IteratorResult<WalRecord> | undefined;
  #failure: Error | undefined;
  /** Every record up to here is wanted in the archive as soon as it is had. */
  #closeBy = 0;
  #last = 0;
  #overdue = false;
  #woken: () => void = () => undefined;
  ended = false;

  constructor(options: TailOptions, signal: AbortSignal) {
    const abort = () => this.#stop.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#unlink = () => signal.removeEventListener("abort", abort);
    this.#options = options;
    this.#records = options.follow(this.#stop.signal)[Symbol.asyncIterator]();
  }

  closeBy(sequence: number): void {
    this.#closeBy = Math.max(this.#closeBy, sequence);
    this.#woken();
  }

  /** Waits for the next record; false when there will be none. */
  async hasNext(): Promise<boolean> {
    if (this.#arrived === undefined) await this.#await();
    if (this.#failure !== undefined) throw this.#failure;
    return !this.ended;
  }

  /** Entries up to and including `sequence`. */
  async *through(sequence: number): AsyncGenerator<EntryToArchive, void, undefined> {
    while (this.#last < sequence && (await this.hasNext())) yield this.#take();
  }

  /** The sequence of the last record that was handed out. */
  get last(): number {
    return this.#last;
  }

  /**
   * Entries of `bytesMax`, or fewer when the oldest of those that make up no whole object yet has waited for `ageMaxMs`. Begins with one that is there,
   * and does not end before `atLeastThrough`, however long that takes.
   */
  async *until(bytesMax: number, atLeastThrough = 0): AsyncGenerator<EntryToArchive, void, undefined> {
    const { bytesPerObjectMax, ageMaxMs } = this.#options;
    let inObject = 0;
    let timer: NodeJS.Timeout | undefined;
    const endIn = (ms: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.#overdue = true;
        this.#woken();
      }, ms).unref();
    };
    this.#overdue = false;
    try {
      for (let total = 0; total < bytesMax || this.#last < atLeastThrough; ) {
        if (this.#isAtHand()) {
          // The common case, at the price of one promise.
          this.#arrived = await this.#records.next();
          this.ended = this.#arrived.done === true;
          if (this.ended) return;
        } else if (total > 0) {
          if (!(await (this.#last < atLeastThrough ? this.hasNext() : this.#nextInTime()))) return;
        }
        const entry = this.#take();
        const bytes = archiveEntryBytes + entry.data.length;
        total += bytes;
        if (inObject === 0) endIn(ageMaxMs);
        inObject += bytes;
        if (inObject >= bytesPerObjectMax) {
          inObject = 0;
          clearTimeout(timer);
        }
        yield entry;
        // What is in whole objects is not kept waiting for a next record that may take long.
        if (inObject === 0) endIn(Math.min(ageMaxMs, lingerMs));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#unlink();
    this.#stop.abort();
    await this.#pending;
    await this.#records.return?.();
  }

  /** Waits for the next record however long it takes, or for what keeps it from coming. */
  #await(): Promise<void> {
    this.#pending ??= this.#records.next().then(
      (arrived) =>
        this.#settle(() => {
          this.#arrived = arrived;
          this.ended = arrived.done === true;
        }),
      (error: unknown) =>
        this.#settle(() => {
          this.#failure = error as Error;
        }),
    );
    return this.#pending;
  }

  #settle(how: () => void): void {
    this.#pending = undefined;
    how();
    this.#woken();
  }

  /** The record that has arrived. */
  #take(): EntryToArchive {
    const { value } = this.#arrived as { readonly value: WalRecord };
    this.#arrived = undefined;
    this.#last = value.sequence;
    return this.#options.entryOf(value);
  }

  /** Whether the next record is durable, nobody waits for it yet, and the run is to go on. */
  #isAtHand(): boolean {
    if (this.#arrived !== undefined || this.#pending !== undefined || this.#overdue) return false;
    const isComplete = this.#closeBy > 0 && this.#last >= this.#closeBy;
    return !isComplete && this.#last > 0 && this.#last < this.#options.lastSequence();
  }

  /** Whether the next record comes before the run is overdue, or before what was asked for is complete. */
  async #nextInTime(): Promise<boolean> {
    if (this.#overdue || this.#isComplete()) return false;
    if (this.#arrived === undefined) {
      const coming = this.#await();
      if (this.#last < this.#options.lastSequence()) await coming;
      else {
        while (this.#pending !== undefined && !this.#overdue && !this.#isComplete()) {
          await new Promise<void>((resolve) => {
            this.#woken = resolve;
          });
        }
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#arrived !== undefined && !this.ended;
  }

  #isComplete(): boolean {
    if (this.#closeBy === 0 || this.#last < this.#closeBy) return false;
    this.#closeBy = 0;
    return true;
  }
}
