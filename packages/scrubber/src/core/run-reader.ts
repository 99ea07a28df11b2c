import { compareBytes, copyOf, equalBytes } from "./bytes.js";
import { type CreateHash, RangeDigester } from "./digest.js";
import type { Run } from "./merkle-runs.js";
import { RunDigester, type RunSum } from "./run-digest.js";
import type { Digest, Entry, KeyRange } from "./source.js";

const PAUSE_BYTES = 1024 * 1024;

export interface RunReaderParts {
  readonly createHash: CreateHash;
  /** Those that nobody uses at the moment: each has a buffer of 64 KiB. */
  readonly digesters: RunDigester[];
  /** The entries of a range as they are at the moment that is looked at, ascending. */
  readonly entries: (range: KeyRange) => AsyncIterable<Entry> | Iterable<Entry>;
  /** Awaited after about each mebibyte, with the bytes read. */
  readonly pause: ((bytes: number) => Promise<void> | void) | undefined;
  readonly epoch: number;
}

export interface RunsRead {
  readonly found: Run[];
  /** What is left behind the last of them. */
  readonly rest: RunSum;
  /** Not where it was enough before the range's end. */
  readonly ended: boolean;
}

interface RunsOptions {
  readonly until?: Uint8Array | undefined;
  readonly expected?: Uint8Array;
  /** What is read is added to it too. */
  readonly besides?: RangeDigester;
}

const bothOf = (one: Digester, other: Digester): Digester => ({
  add: (key, value) => {
    one.add(key, value);
    other.add(key, value);
  },
});

type Digester = Pick<RunDigester, "add">;

const NOTHING_FOUND: Run[] = [];

/**
 * Reads and hashes entries, run by run, for a view of a Merkle tree; one range at a time. What is under way lies in fields, not in closures and small objects of each reading: there are thousands of
 * short ones in a pass, and what they leave behind is collected while it runs.
 */
export class RunReader {
  readonly #parts: RunReaderParts;
  #bytesRead = 0;
  /** Read since the last pause. */
  #unpaused = 0;
  #found = NOTHING_FOUND;
  #until: Uint8Array | undefined;
  #expected: Uint8Array | undefined;
  /** That `#until` was reached. */
  #enough = false;
  readonly #onRun = (end: Uint8Array, sum: RunSum): void => this.#foundRun(end, sum);

  constructor(parts: RunReaderParts) {
    this.#parts = parts;
  }

  /** Bytes of keys and values. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  #digester(): RunDigester {
    return this.#parts.digesters.pop() ?? new RunDigester(this.#parts.createHash);
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
  #feed(digester: Digester, range: KeyRange, stops = false): Promise<void> | undefined {
    const entries = this.#parts.entries(range);
    if (!(Symbol.iterator in entries)) return this.#feedSlowly(digester, entries, stops);
    const iterator = entries[Symbol.iterator]();
    let ended = true;
    try {
      ended = this.#pump(iterator, digester, stops);
    } finally {
      if (ended) iterator.return?.();
    }
    return ended ? undefined : this.#feedOn(digester, iterator, stops);
  }

  async #feedOn(digester: Digester, iterator: Iterator<Entry>, stops: boolean): Promise<void> {
    try {
      do await this.#rest();
      while (!this.#pump(iterator, digester, stops));
    } finally {
      iterator.return?.();
    }
  }

  async #feedSlowly(digester: Digester, entries: AsyncIterable<Entry>, stops: boolean): Promise<void> {
    for await (const { key, value } of entries) {
      digester.add(key, value);
      this.#unpaused += key.length + value.length;
      this.#bytesRead += key.length + value.length;
      if (this.#unpaused >= PAUSE_BYTES) await this.#rest();
      if (stops && this.#enough) break;
    }
  }

  /** As much as may be read without a pause; true when that was all, or enough. */
  #pump(iterator: Iterator<Entry>, digester: Digester, stops: boolean): boolean {
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
      ended = stops && this.#enough;
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

  /** The digest of what lies there. */
  async digest(range: KeyRange): Promise<Digest> {
    const digester = new RangeDigester(this.#parts.createHash);
    await this.#feed(digester, range);
    return digester.finish();
  }

  /** Its runs, and its digest besides, in one reading. */
  async digestAndRuns(range: KeyRange): Promise<RunsRead & { readonly digest: Digest }> {
    const digester = new RangeDigester(this.#parts.createHash);
    const runs = await this.#readRuns(range, { besides: digester });
    return { ...runs, digest: digester.finish() };
  }

  /** One run that was written to: it ends at its key mostly, which is then kept as it is. */
  readAgain(range: KeyRange, run: Run): RunsRead | Promise<RunsRead> {
    return this.#readRuns(range, { expected: run.key });
  }

  /** With `until`, ends with the run that reaches so far. */
  readRuns(range: KeyRange, until?: Uint8Array): RunsRead | Promise<RunsRead> {
    return this.#readRuns(range, { until });
  }

  #readRuns(range: KeyRange, { until, expected, besides }: RunsOptions): RunsRead | Promise<RunsRead> {
    const digester = this.#digester();
    this.#found = NOTHING_FOUND;
    this.#until = until;
    this.#expected = expected;
    this.#enough = false;
    digester.eachRun(this.#onRun);
    const into = besides === undefined ? digester : bothOf(besides, digester);
    const feeding = this.#feed(into, range, until !== undefined);
    return feeding === undefined ? this.#endRuns(digester) : feeding.then(() => this.#endRuns(digester));
  }

  #foundRun(end: Uint8Array, sum: RunSum): void {
    const expected = this.#expected;
    const key = expected !== undefined && equalBytes(end, expected) ? expected : copyOf(end);
    const run = { key, sum, epoch: this.#parts.epoch };
    // Mostly there is one: an array that grows has room for many.
    if (this.#found === NOTHING_FOUND) this.#found = [run];
    else this.#found.push(run);
    this.#enough = this.#until !== undefined && compareBytes(end, this.#until) >= 0;
  }

  #endRuns(digester: RunDigester): RunsRead {
    const rest = digester.finishSum();
    this.#parts.digesters.push(digester);
    const found = this.#found === NOTHING_FOUND ? [] : this.#found;
    return { found, rest, ended: !this.#enough };
  }
}
