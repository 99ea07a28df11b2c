import { compareBytes, copyOf } from "./bytes.js";
import { type CreateHash, RangeDigester, type RunSum } from "./digest.js";
import type { Run } from "./merkle-runs.js";
import type { Entry, KeyRange } from "./source.js";

const PAUSE_BYTES = 1024 * 1024;

export interface RunReaderParts {
  readonly createHash: CreateHash;
  /** Those that nobody uses at the moment: each has a buffer of 64 KiB. */
  readonly digesters: RangeDigester[];
  /** The entries of a range as they are at the moment that is looked at, ascending. */
  readonly entries: (range: KeyRange) => AsyncIterable<Entry> | Iterable<Entry>;
  /** Awaited after about each mebibyte, with the bytes read. */
  readonly pause: ((bytes: number) => Promise<void> | void) | undefined;
  readonly epoch: number;
}

interface RunsReading {
  readonly found: Run[];
  /** Not where it was enough before the range's end. */
  ended: boolean;
}

export interface RunsRead extends Readonly<RunsReading> {
  /** What is left behind the last of them. */
  readonly rest: RunSum;
}

/** Reads and hashes entries, run by run, for a view of a Merkle tree. */
export class RunReader {
  readonly #parts: RunReaderParts;
  #bytesRead = 0;
  /** Read since the last pause. */
  #unpaused = 0;

  constructor(parts: RunReaderParts) {
    this.#parts = parts;
  }

  /** Bytes of keys and values. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  #digester(): RangeDigester {
    return this.#parts.digesters.pop() ?? new RangeDigester(this.#parts.createHash);
  }

  /** The sum of the whole range. */
  async read(range: KeyRange): Promise<RunSum> {
    const digester = this.#digester();
    await this.#feed(digester, range);
    const sum = digester.finishSum();
    // One that failed half-way is not used again.
    this.#parts.digesters.push(digester);
    return sum;
  }

  /**
   * Resolves when the range is read; undefined where that is done at once. A pass over many short runs is made of many short readings: promises would cost
   * more than their hashing does.
   */
  #feed(digester: RangeDigester, range: KeyRange, enough?: () => boolean): Promise<void> | undefined {
    const entries = this.#parts.entries(range);
    if (!(Symbol.iterator in entries)) return this.#feedSlowly(digester, entries, enough);
    const iterator = entries[Symbol.iterator]();
    let ended = true;
    try {
      ended = this.#pump(iterator, digester, enough);
    } finally {
      if (ended) iterator.return?.();
    }
    return ended ? undefined : this.#feedOn(digester, iterator, enough);
  }

  async #feedOn(
    digester: RangeDigester,
    iterator: Iterator<Entry>,
    enough: (() => boolean) | undefined,
  ): Promise<void> {
    try {
      do await this.#rest();
      while (!this.#pump(iterator, digester, enough));
    } finally {
      iterator.return?.();
    }
  }

  async #feedSlowly(
    digester: RangeDigester,
    entries: AsyncIterable<Entry>,
    enough: (() => boolean) | undefined,
  ): Promise<void> {
    for await (const { key, value } of entries) {
      digester.add(key, value);
      this.#unpaused += key.length + value.length;
      this.#bytesRead += key.length + value.length;
      if (this.#unpaused >= PAUSE_BYTES) await this.#rest();
      if (enough?.() === true) break;
    }
  }

  /** As much as may be read without a pause; true when that was all, or enough. */
  #pump(iterator: Iterator<Entry>, digester: RangeDigester, enough: (() => boolean) | undefined): boolean {
    let bytes = 0;
    let ended = false;
    for (const most = PAUSE_BYTES - this.#unpaused; bytes < most && !ended; ) {
      const result = iterator.next();
      if (result.done === true) {
        ended = true;
        break;
      }
      const { key, value } = result.value;
      digester.add(key, value);
      bytes += key.length + value.length;
      ended = enough?.() === true;
    }
    this.#unpaused += bytes;
    this.#bytesRead += bytes;
    return ended;
  }

  async #rest(): Promise<void> {
    const read = this.#unpaused;
    this.#unpaused = 0;
    await this.#parts.pause?.(read);
  }

  /** With `until`, ends with the run that reaches so far. */
  readRuns(range: KeyRange, until?: Uint8Array): RunsRead | Promise<RunsRead> {
    const { epoch } = this.#parts;
    const read: RunsReading = { found: [], ended: true };
    const digester = this.#digester();
    digester.eachRun((end, sum) => {
      read.found.push({ key: copyOf(end), sum, epoch });
      read.ended = until === undefined || compareBytes(end, until) < 0;
    });
    const feeding = this.#feed(digester, range, until === undefined ? undefined : () => !read.ended);
    return feeding === undefined ? this.#endRuns(digester, read) : feeding.then(() => this.#endRuns(digester, read));
  }

  #endRuns(digester: RangeDigester, { found, ended }: RunsReading): RunsRead {
    const rest = digester.finishSum();
    this.#parts.digesters.push(digester);
    return { found, rest, ended };
  }
}
