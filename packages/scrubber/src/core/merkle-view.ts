import { compareBytes, NO_BYTES, successor } from "./bytes.js";
import { digestOf, type RunSum } from "./digest.js";
import { addTo, measure, type Run, replace, type Sum, type Tail, type UnknownRun } from "./merkle-runs.js";
import type { RunReader } from "./run-reader.js";
import type { SortedTree } from "./sorted-tree.js";
import type { Digest, Entry, KeptDigests, KeyRange, SplitOptions } from "./source.js";
import { splitsOf } from "./streaming.js";

export interface MerkleViewOptions {
  /** The entries of a range as they are at the moment of `view()`, ascending. */
  readonly entries: (range: KeyRange) => AsyncIterable<Entry> | Iterable<Entry>;
  /** Awaited after about each mebibyte that has to be read again, with the bytes read: a long first look leaves room for others, and keeps its pace. */
  readonly pause?: (bytes: number) => Promise<void> | void;
}

export interface Learned {
  readonly runs: SortedTree<Run, Sum>;
  readonly tail: Tail;
  /** All runs of `runs` without a sum, and others that are there no more. */
  readonly touched: readonly Run[];
}

export interface LearnedRun {
  readonly run: Run | Tail;
  readonly found: readonly Run[];
  /** What is left of the tail behind them. */
  readonly behind: Tail | undefined;
}

interface ViewParts {
  readonly runs: SortedTree<Run, Sum>;
  tail: Tail;
  touched: readonly Run[];
  readonly epoch: number;
  readonly reader: RunReader;
  readonly entries: MerkleViewOptions["entries"];
  readonly adopt: (now: Learned, learned: readonly LearnedRun[]) => void;
}

/** What a MerkleIndex knew at one moment; reads what it did not know, and tells the index. */
export class MerkleView implements KeptDigests {
  readonly #parts: ViewParts;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #learned: LearnedRun[] = [];

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  /** Bytes of keys and values that had to be read so far. */
  get bytesRead(): number {
    return this.#parts.reader.bytesRead;
  }

  /** The same digests as `RangeDigester` makes of the entries, for the price of the runs that changed and of two runs for each range. */
  async digests(ranges: readonly KeyRange[]): Promise<readonly Digest[]> {
    return this.#alone(async () => {
      const digests: Digest[] = [];
      for (const range of ranges) {
        await this.#learn(range);
        digests.push(digestOf(await this.#sum(range)));
      }
      return digests;
    });
  }

  /**
   * The digests of what lies there, read from end to end; what is not known yet is learned on the way.
   */
  async read(ranges: readonly KeyRange[]): Promise<readonly Digest[]> {
    return this.#alone(async () => {
      const digests: Digest[] = [];
      for (const range of ranges) {
        digests.push(digestOf(await this.#readAndLearn(range)));
        // At most the runs that the range cuts through.
        const { from, to } = range;
        const last = to === undefined ? undefined : this.#parts.runs.peek().ceiling(to);
        await this.#learn({ from, to: last === undefined ? to : successor(last.key) });
      }
      return digests;
    });
  }

  /** Where to cut: behind the ends of runs where there are any, because there sums add up. */
  async splits(range: KeyRange, options: SplitOptions): Promise<readonly Uint8Array[]> {
    return this.#alone(async () => {
      await this.#learn(range);
      const splits: Uint8Array[] = [];
      let bytes = 0;
      this.#parts.runs.peek().walk(
        range.from,
        range.to,
        measure,
        (sum) => {
          if (bytes + sum.bytes >= options.bytes) return false;
          bytes += sum.bytes;
          return true;
        },
        ({ key, sum }) => {
          bytes += sum?.bytes ?? 0;
          if (bytes < options.bytes) return false;
          const split = successor(key);
          if (range.to !== undefined && compareBytes(split, range.to) >= 0) return true;
          splits.push(split);
          bytes = 0;
          return splits.length >= options.splitsMax;
        },
      );
      return splits.length > 0 ? splits : splitsOf(this.#parts.entries(range), options);
    });
  }

  /**
   * Whether what lies there now is what was written there, over the runs that the range touches; undefined where that is not known, because
   * they were written to and not looked at since.
   */
  async intact({ from, to }: KeyRange): Promise<boolean | undefined> {
    return this.#alone(async () => {
      const runs = this.#parts.runs.peek();
      const first = runs.ceiling(from);
      const before = runs.below(first?.key ?? from);
      const ending = to === undefined ? undefined : runs.below(to);
      const ends = ending !== undefined && to !== undefined && compareBytes(to, successor(ending.key)) <= 0;
      const last = ends ? ending : to === undefined ? undefined : runs.ceiling(to);
      const whole = {
        from: before === undefined ? NO_BYTES : successor(before.key),
        to: last === undefined ? undefined : successor(last.key),
      };
      const kept = measure.empty();
      runs.walk(
        whole.from,
        whole.to,
        measure,
        () => false,
        (run) => measure.addItem(kept, run),
      );
      if (whole.to === undefined) {
        if (this.#parts.tail.sum === undefined) return undefined;
        addTo(kept, this.#parts.tail.sum);
      }
      if (kept.unknown > 0) return undefined;
      const lies = await this.#parts.reader.read(whole);
      return (
        lies.keys === kept.keys &&
        lies.bytes === kept.bytes &&
        lies.lanes.every((word, lane) => word === kept.lanes[lane])
      );
    });
  }

  async #sum({ from, to }: KeyRange): Promise<RunSum> {
    const runs = this.#parts.runs.peek();
    const sum = measure.empty();
    let start = from;
    const first = runs.ceiling(from);
    if (first !== undefined && !beginsBehind(runs.below(first.key), from)) {
      const end = successor(first.key);
      if (to !== undefined && compareBytes(to, end) <= 0) return this.#parts.reader.read({ from, to });
      addTo(sum, await this.#parts.reader.read({ from, to: end }));
      start = end;
    }
    runs.walk(
      start,
      to,
      measure,
      (whole) => {
        addTo(sum, whole);
        return true;
      },
      (run) => measure.addItem(sum, run),
    );
    const last = to === undefined ? runs.last() : runs.below(to);
    const behind = last === undefined ? NO_BYTES : successor(last.key);
    const rest = compareBytes(behind, start) > 0 ? behind : start;
    const { tail } = this.#parts;
    if (to === undefined && tail.sum !== undefined && compareBytes(rest, behind) === 0) addTo(sum, tail.sum);
    else if (to === undefined || compareBytes(rest, to) < 0)
      addTo(sum, await this.#parts.reader.read({ from: rest, to }));
    return sum;
  }

  /** Reads the runs of the range whose sums are not known. */
  async #learn({ from, to }: KeyRange): Promise<void> {
    const { epoch } = this.#parts;
    for (const { run, start } of this.#unknown(from, to)) {
      const reading = this.#parts.reader.readRuns({ from: start, to: successor(run.key) });
      const { found, rest } = reading instanceof Promise ? await reading : reading;
      // The end of a run that was not written to still ends one, unless what lies there has rotted; then its sum says so.
      if (rest.keys > 0 || found.length === 0) found.push({ key: run.key, sum: rest, epoch });
      this.#adopt(run, found);
    }
    const behind = this.#behindRuns();
    if (this.#parts.tail.sum !== undefined || (to !== undefined && compareBytes(to, behind) <= 0)) return;
    const { found, rest, ended } = await this.#parts.reader.readRuns({ from: behind, to: undefined }, to);
    this.#adoptTail(found, ended ? rest : undefined);
  }

  async #readAndLearn({ from, to }: KeyRange): Promise<RunSum> {
    const { runs } = this.#parts;
    const tailKnown =
      this.#parts.tail.sum !== undefined || (to !== undefined && compareBytes(to, this.#behindRuns()) <= 0);
    if (tailKnown && this.#isKnown(from, to)) return this.#parts.reader.read({ from, to });
    const { found, rest } = await this.#parts.reader.readRuns({ from, to });
    const total = measure.empty();
    addTo(total, rest);
    for (const run of found) measure.addItem(total, run);
    // The first run may have begun before the range; every other one is whole.
    const first = runs.peek().ceiling(from);
    const aligned = beginsBehind(
      runs.peek().below(first?.key ?? from) ?? (first === undefined ? runs.peek().last() : undefined),
      from,
    );
    const whole = aligned ? found : found.slice(1);
    const starts = aligned ? from : found[0] === undefined ? undefined : successor(found[0].key);
    if (starts === undefined) return total;
    for (const { run, start: begin } of [...this.#unknown(from, to)]) {
      if (compareBytes(begin, starts) < 0) continue;
      const inside = whole.filter(({ key }) => compareBytes(key, begin) >= 0 && compareBytes(key, run.key) <= 0);
      const last = inside.at(-1);
      if (last !== undefined && compareBytes(last.key, run.key) === 0) this.#adopt(run, inside);
    }
    const behind = this.#behindRuns();
    if (this.#parts.tail.sum === undefined && compareBytes(behind, starts) >= 0) {
      const inTail = whole.filter(({ key }) => compareBytes(key, behind) >= 0);
      if (inTail.length > 0 || to === undefined) this.#adoptTail(inTail, to === undefined ? rest : undefined);
    }
    return total;
  }

  #isKnown(from: Uint8Array, to: Uint8Array | undefined): boolean {
    return this.#unknown(from, to).next().done === true;
  }

  /**
   * The runs of the range whose sums are not known, in order; each may be replaced while its turn is. They are looked up by their keys, because to find them in the tree is to look at
   * everything that lies beside the way to them.
   */
  *#unknown(from: Uint8Array, to: Uint8Array | undefined): Generator<UnknownRun, void, undefined> {
    const { runs } = this.#parts;
    const inRange = ({ key }: Run) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0);
    const due = this.#parts.touched.filter(inRange).sort((a, b) => compareBytes(a.key, b.key));
    for (const run of due) {
      const found = runs.peek().locate(run.key);
      if (found?.item !== run) continue;
      const { before } = found;
      yield { run, start: before === undefined ? NO_BYTES : successor(before) };
    }
  }

  #behindRuns(): Uint8Array {
    const last = this.#parts.runs.peek().last();
    return last === undefined ? NO_BYTES : successor(last.key);
  }

  #adopt(run: Run, found: readonly Run[]): void {
    replace(this.#parts.runs, run, found);
    this.#learned.push({ run, found, behind: undefined });
  }

  #adoptTail(found: readonly Run[], sum: RunSum | undefined): void {
    const { runs, tail, epoch } = this.#parts;
    for (const one of found) runs.set(one);
    const behind = { sum, epoch };
    this.#parts.tail = behind;
    this.#learned.push({ run: tail, found, behind });
  }

  /** Gives the index what was learned since the last time. */
  #tell(): void {
    const learned = this.#learned.splice(0);
    if (learned.length === 0) return;
    const known = new Set<unknown>(learned.map(({ run }) => run));
    this.#parts.touched = this.#parts.touched.filter((run) => !known.has(run));
    this.#parts.adopt(this.#parts, learned);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const told = async (): Promise<T> => {
      try {
        return await work();
      } finally {
        this.#tell();
      }
    };
    const turn = this.#turn.then(told, told);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** Whether a range that begins here leaves nothing of the run out that follows on `before`. */
function beginsBehind(before: Run | undefined, from: Uint8Array): boolean {
  return before === undefined ? from.length === 0 : compareBytes(from, successor(before.key)) === 0;
}
