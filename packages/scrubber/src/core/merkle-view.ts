import { compareBytes, NO_BYTES, successor } from "./bytes.js";
import { ScrubberError } from "./errors.js";
import { addTo, measure, type Run, replace, type Sum, type Tail } from "./merkle-runs.js";
import { digestOf, type RunSum } from "./run-digest.js";
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

interface ViewParts {
  readonly runs: SortedTree<Run, Sum>;
  tail: Tail;
  /** All runs of `runs` without a sum, in any order, and others that are there no more. */
  readonly touched: readonly Run[];
  readonly epoch: number;
  readonly reader: RunReader;
  readonly entries: MerkleViewOptions["entries"];
  /** Gives the index what a run was found to be; `behind`: what is left of the tail behind them. */
  readonly adopt: (run: Run | Tail, found: readonly Run[], behind: Tail | undefined) => void;
  /** After each question. */
  readonly onAnswer: () => void;
  readonly onClose: () => void;
}

/** What a MerkleIndex knew at one moment; reads what it did not know, and tells the index. */
export class MerkleView implements KeptDigests {
  readonly #parts: ViewParts;
  #turn: Promise<unknown> = Promise.resolve();
  /** `touched` in order. */
  #due: readonly Run[] | undefined;
  #closed = false;

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  /**
   * Ends what it was for, after what is under way: the next `touch` copies nothing for its sake. Who forgets it pays with a copy of each node that is changed, once. What is asked of it afterwards is
   * refused with ERR_SCRUBBER_CLOSED. Entries that it reads from must stay open until this has resolved.
   */
  async close(): Promise<void> {
    const closed = this.#turn.then(() => {
      if (!this.#closed) this.#parts.onClose();
      this.#closed = true;
    });
    this.#turn = closed;
    return closed;
  }

  /** Bytes of keys and values that had to be read so far. */
  get bytesRead(): number {
    return this.#parts.reader.bytesRead;
  }

  /** The same digests as `RunDigester` makes of the entries, for the price of the runs that changed and of two runs for each range. */
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

  /** The digests of what lies there, read from end to end, as `RangeDigester` makes them; what is not known yet is learned besides. */
  async read(ranges: readonly KeyRange[]): Promise<readonly Digest[]> {
    return this.#alone(async () => {
      const digests: Digest[] = [];
      for (const range of ranges) {
        digests.push(await this.#readAndLearn(range));
        // What was written to since, and the runs that the range cuts through: few beside what was read.
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
    const { runs, reader, epoch } = this.#parts;
    const due = this.#dueRuns();
    for (let at = firstFrom(due, from); at < due.length; at++) {
      const run = due[at] as Run;
      if (to !== undefined && compareBytes(run.key, to) >= 0) break;
      const located = runs.locate(run.key);
      if (located?.item !== run) continue;
      const from = beginOf(located.before);
      let last: Run = run;
      let reading = reader.readAgain({ from, to: successor(run.key) }, run);
      const waited = reading instanceof Promise;
      let { found, rest } = reading instanceof Promise ? await reading : reading;
      // Where the last of them ends none any more, they go on to the end of the next: rare, so it is read once more with that.
      while (last.loose === true && (rest.keys > 0 || found.length === 0)) {
        const next = runs.peek().ceiling(successor(last.key));
        if (next === undefined) break;
        last = next;
        reading = reader.readAgain({ from, to: successor(last.key) }, last);
        ({ found, rest } = reading instanceof Promise ? await reading : reading);
      }
      // Another view of the same tree may have come first.
      if ((waited || reading instanceof Promise) && runs.peek().get(run.key) !== run) continue;
      // The end of a run that was not written to still ends one, unless what lies there has rotted; then its sum says so.
      if (rest.keys > 0 || found.length === 0) found.push({ key: last.key, sum: rest, epoch });
      if (last === run) this.#adopt(run, found);
      else this.#join(run, last, found);
    }
    const behind = this.#behindRuns();
    if (this.#parts.tail.sum !== undefined || (to !== undefined && compareBytes(to, behind) <= 0)) return;
    const { found, rest, ended } = await this.#parts.reader.readRuns({ from: behind, to: undefined }, to);
    this.#adoptTail(found, ended ? rest : undefined);
  }

  /** A look at what nobody has looked at yet, where it is not a part of what is kept alone, makes both in one reading. */
  async #readAndLearn({ from, to }: KeyRange): Promise<Digest> {
    const { runs } = this.#parts;
    const tailKnown =
      this.#parts.tail.sum !== undefined || (to !== undefined && compareBytes(to, this.#behindRuns()) <= 0);
    if (tailKnown) return this.#parts.reader.digest({ from, to });
    const { found, rest, digest } = await this.#parts.reader.digestAndRuns({ from, to });
    // The first run may have begun before the range; every other one is whole.
    const first = runs.peek().ceiling(from);
    const aligned = beginsBehind(
      runs.peek().below(first?.key ?? from) ?? (first === undefined ? runs.peek().last() : undefined),
      from,
    );
    const whole = aligned ? found : found.slice(1);
    const starts = aligned ? from : found[0] === undefined ? undefined : successor(found[0].key);
    if (starts === undefined) return digest;
    const due = this.#dueRuns();
    for (let at = firstFrom(due, from); at < due.length; at++) {
      const run = due[at] as Run;
      if (to !== undefined && compareBytes(run.key, to) >= 0) break;
      const located = runs.locate(run.key);
      if (located?.item !== run) continue;
      const { before } = located;
      const begin = beginOf(before);
      // Behind an end that may be none any more, what was found may begin before this run.
      if (compareBytes(begin, starts) < 0 || (before !== undefined && runs.peek().get(before)?.loose)) continue;
      const inside = whole.filter(({ key }) => compareBytes(key, begin) >= 0 && compareBytes(key, run.key) <= 0);
      const last = inside.at(-1);
      if (last !== undefined && compareBytes(last.key, run.key) === 0) this.#adopt(run, inside);
    }
    const behind = this.#behindRuns();
    if (this.#parts.tail.sum === undefined && compareBytes(behind, starts) >= 0) {
      const inTail = whole.filter(({ key }) => compareBytes(key, behind) >= 0);
      if (inTail.length > 0 || to === undefined) this.#adoptTail(inTail, to === undefined ? rest : undefined);
    }
    return digest;
  }

  /**
   * The runs whose sums were not known, in order. Each is looked up by its key then, because to find them in the tree is to look at everything that lies beside the way to them.
   */
  #dueRuns(): readonly Run[] {
    this.#due ??= this.#parts.touched.toSorted((a, b) => compareBytes(a.key, b.key));
    return this.#due;
  }

  #behindRuns(): Uint8Array {
    const last = this.#parts.runs.peek().last();
    return last === undefined ? NO_BYTES : successor(last.key);
  }

  #adopt(run: Run, found: readonly Run[]): void {
    replace(this.#parts.runs, run, found);
    this.#parts.adopt(run, found, undefined);
  }

  /**
   * Several runs have become these. An index that has gone on in the meantime is not told: it knows itself that the first of them is to be read again, and how far that reaches may be
   * another matter there.
   */
  #join(first: Run, last: Run, found: readonly Run[]): void {
    const { runs } = this.#parts;
    for (let run: Run | undefined = first; run !== undefined && compareBytes(run.key, last.key) < 0; ) {
      runs.delete(run.key);
      run = runs.peek().ceiling(run.key);
    }
    replace(runs, last, found);
  }

  #adoptTail(found: readonly Run[], sum: RunSum | undefined): void {
    const { runs, tail, epoch } = this.#parts;
    for (const one of found) runs.set(one);
    const behind = { sum, epoch };
    this.#parts.tail = behind;
    this.#parts.adopt(tail, found, behind);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const answer = async (): Promise<T> => {
      if (this.#closed) throw new ScrubberError("ERR_SCRUBBER_CLOSED", "this view of a MerkleIndex was closed");
      try {
        return await work();
      } finally {
        this.#parts.onAnswer();
      }
    };
    const turn = this.#turn.then(answer, answer);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** Where a run begins that follows on this one. */
const beginOf = (before: Uint8Array | undefined): Uint8Array => (before === undefined ? NO_BYTES : successor(before));

/** Index of the first of ascending runs that ends at `key` or behind it. */
function firstFrom(runs: readonly Run[], key: Uint8Array): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((runs[middle] as Run).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a range that begins here leaves nothing of the run out that follows on `before`. */
function beginsBehind(before: Run | undefined, from: Uint8Array): boolean {
  return before === undefined ? from.length === 0 : compareBytes(from, successor(before.key)) === 0;
}
