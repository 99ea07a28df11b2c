import { checkOrder, compareBytes, NO_BYTES, successor } from "./bytes.js";
import type { Entry, KeyRange } from "./source.js";

/** Entries in ascending order of their keys' bytes, from `from` on. It may begin earlier: what comes before is passed over. */
export type EntriesFrom = (from: Uint8Array) => AsyncIterable<Entry> | Iterable<Entry>;

/**
 * Reads a source that knows one direction only, as often as a comparison has to look at a place: once forward over everything, with the entries
 * last read kept in a window, so that cutting a step, hashing it and narrowing in it cost one reading. What lies before the window, or
 * behind a failure, is read again from where it is.
 */
export class ForwardReader {
  readonly #open: EntriesFrom;
  readonly #windowBytes: number;
  #iterator: AsyncIterator<Entry> | Iterator<Entry> | undefined;
  #from: Uint8Array = NO_BYTES;
  /** The window: entries number `#dropped` and on. */
  #entries: Entry[] = [];
  #dropped = 0;
  #bytes = 0;
  #ended = false;
  #failed = false;
  #last: Uint8Array | undefined;
  #reading: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(open: EntriesFrom, windowBytes: number) {
    this.#open = open;
    this.#windowBytes = windowBytes;
  }

  async *entries({ from, to }: KeyRange): AsyncIterable<Entry> {
    if (this.#iterator === undefined && !this.#ended) this.#begin(from);
    let cursor = this.#find(from);
    let before: Uint8Array | undefined;
    while (cursor !== undefined) {
      const entry = this.#entries[cursor - this.#dropped];
      if (entry === undefined) {
        if (this.#ended) return;
        if (this.#failed) break;
        await this.#pull();
      } else {
        cursor++;
        if (compareBytes(entry.key, from) >= 0) {
          if (to !== undefined && compareBytes(entry.key, to) >= 0) return;
          before = entry.key;
          yield entry;
        }
      }
      if (cursor < this.#dropped) cursor = undefined;
    }
    yield* this.#again({ from: before === undefined ? from : successor(before), to });
  }

  async close(): Promise<void> {
    const iterator = this.#iterator;
    this.#ended = true;
    this.#entries = [];
    await this.#turn;
    await iterator?.return?.();
  }

  #begin(from: Uint8Array): void {
    const source = this.#open(from);
    this.#iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#from = from;
  }

  /** Number of the first entry of the window that may be `key` or greater; undefined when the window begins behind it. */
  #find(key: Uint8Array): number | undefined {
    if (compareBytes(key, this.#from) < 0) return undefined;
    const first = this.#entries[0];
    if (this.#dropped > 0 && (first === undefined || compareBytes(key, first.key) < 0)) return undefined;
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes((this.#entries[middle] as Entry).key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return this.#dropped + low;
  }

  /** One more entry; who waits for it at the same time waits for the same. */
  async #pull(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    this.#turn = this.#reading.catch(() => {});
    await this.#reading;
  }

  async #read(): Promise<void> {
    try {
      const result = await this.#iterator?.next();
      if (result === undefined || result.done === true) {
        this.#ended = true;
        return;
      }
      const entry = { key: result.value.key.slice(), value: result.value.value.slice() };
      checkOrder(this.#last, entry.key);
      this.#last = entry.key;
      if (compareBytes(entry.key, this.#from) < 0) return;
      this.#entries.push(entry);
      this.#bytes += entry.key.length + entry.value.length;
      while (this.#bytes > this.#windowBytes && this.#entries.length > 1) this.#drop();
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #drop(): void {
    const { key, value } = this.#entries.shift() as Entry;
    this.#bytes -= key.length + value.length;
    this.#dropped++;
  }

  async *#again({ from, to }: KeyRange): AsyncIterable<Entry> {
    let last: Uint8Array | undefined;
    for await (const entry of this.#open(from)) {
      checkOrder(last, entry.key);
      last = entry.key.slice();
      if (compareBytes(entry.key, from) < 0) continue;
      if (to !== undefined && compareBytes(entry.key, to) >= 0) return;
      yield entry;
    }
  }
}
