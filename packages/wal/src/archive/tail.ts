import { archiveEntryBytes } from "../core/archive-object.js";
import type { WalRecord } from "../reader.js";

export interface TailOptions {
  readonly bytesPerObjectMax: number;
  readonly ageMaxMs: number;
}

/** Long enough for a follower to read its next block. */
const lingerMs = 20;

type Follow = (signal: AbortSignal) => AsyncIterable<WalRecord>;

/** A follower's records, in runs that end when what was gathered last gets too old, when enough were had, or when somebody asks for it. */
export class Tail {
  readonly #records: AsyncIterator<WalRecord>;
  readonly #options: TailOptions;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  #pending: Promise<IteratorResult<WalRecord>> | undefined;
  #isHere = false;
  /** Every record up to here is wanted in the archive as soon as it is had. */
  #closeBy = 0;
  #last = 0;
  #overdue = false;
  #woken: () => void = () => undefined;
  ended = false;

  constructor(follow: Follow, options: TailOptions, signal: AbortSignal) {
    const abort = () => this.#stop.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#unlink = () => signal.removeEventListener("abort", abort);
    this.#records = follow(this.#stop.signal)[Symbol.asyncIterator]();
    this.#options = options;
  }

  closeBy(sequence: number): void {
    this.#closeBy = Math.max(this.#closeBy, sequence);
    this.#woken();
  }

  /** Waits for the next record; false when there will be none. */
  async hasNext(): Promise<boolean> {
    this.ended = (await this.#peek()).done === true;
    return !this.ended;
  }

  /** Records up to and including `sequence`. */
  async *through(sequence: number): AsyncGenerator<WalRecord, void, undefined> {
    while (this.#last < sequence && (await this.hasNext())) yield await this.#take();
  }

  /** Records of `bytesMax`, or fewer when the oldest of those that make up no whole object yet has waited for `ageMaxMs`. Begins with one that is there. */
  async *until(bytesMax: number): AsyncGenerator<WalRecord, void, undefined> {
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
      for (let total = 0; total < bytesMax; ) {
        if (total > 0 && !(await this.#nextInTime())) return;
        const record = await this.#take();
        const bytes = archiveEntryBytes + record.data.length;
        total += bytes;
        if (inObject === 0) endIn(ageMaxMs);
        inObject += bytes;
        if (inObject >= bytesPerObjectMax) {
          inObject = 0;
          clearTimeout(timer);
        }
        yield record;
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
    await this.#pending?.catch(() => undefined);
    await this.#records.return?.();
  }

  #peek(): Promise<IteratorResult<WalRecord>> {
    if (this.#pending === undefined) {
      this.#isHere = false;
      this.#pending = this.#records.next();
      const here = () => {
        this.#isHere = true;
        this.#woken();
      };
      this.#pending.then(here, here);
    }
    return this.#pending;
  }

  /** The record that was peeked at. */
  async #take(): Promise<WalRecord> {
    const { value } = await this.#peek();
    this.#pending = undefined;
    this.#last = (value as WalRecord).sequence;
    return value as WalRecord;
  }

  /** Whether the next record comes before the run is overdue, or before what was asked for is complete. */
  async #nextInTime(): Promise<boolean> {
    const next = this.#peek();
    while (!this.#isHere) {
      if (this.#overdue || this.#isComplete()) return false;
      await new Promise<void>((resolve) => {
        this.#woken = resolve;
      });
    }
    this.ended = (await next).done === true;
    return !this.ended && !this.#overdue && !this.#isComplete();
  }

  #isComplete(): boolean {
    if (this.#closeBy === 0 || this.#last < this.#closeBy) return false;
    this.#closeBy = 0;
    return true;
  }
}
