import { compareBytes, NO_BYTES, successor } from "./bytes.js";
import { type CreateHash, digestOf, LANES, RangeDigester, type RunSum } from "./digest.js";
import { type Measure, SortedTree } from "./sorted-tree.js";
import type { Digest, Entry, KeptDigests, KeyRange, SplitOptions } from "./source.js";
import { splitsOf } from "./streaming.js";

/** A stretch of entries up to and with `key`, beginning behind the run before it. Without a sum it has to be read again. */
interface Run {
  readonly key: Uint8Array;
  readonly sum: RunSum | undefined;
  readonly epoch: number;
}

/** What comes behind the last run's end. */
type Tail = Omit<Run, "key">;

interface Sum extends RunSum {
  readonly unknown: number;
}

const NOTHING: Sum = { lanes: new Uint32Array(LANES), keys: 0, bytes: 0, unknown: 0 };
const UNKNOWN: Sum = { ...NOTHING, unknown: 1 };
const PAUSE_BYTES = 1024 * 1024;

const measure: Measure<Run, Sum> = {
  zero: NOTHING,
  of: ({ sum }) => (sum === undefined ? UNKNOWN : { ...sum, unknown: 0 }),
  add: (a, b) => ({ ...addSums(a, b), unknown: a.unknown + b.unknown }),
};

function addSums(a: RunSum, b: RunSum): RunSum {
  const lanes = a.lanes.slice();
  for (let lane = 0; lane < LANES; lane++) lanes[lane] = (lanes[lane] as number) + (b.lanes[lane] as number);
  return { lanes, keys: a.keys + b.keys, bytes: a.bytes + b.bytes };
}

export interface MerkleViewOptions {
  /** The entries of a range as they are at the moment of `view()`, ascending. */
  readonly entries: (range: KeyRange) => AsyncIterable<Entry> | Iterable<Entry>;
  /** Awaited after about each mebibyte that has to be read again, with the bytes read: a long first look leaves room for others, and keeps its pace. */
  readonly pause?: (bytes: number) => Promise<void> | void;
}

/**
 * A Merkle tree over the runs of a replica's entries, kept along with its writes: it knows the sum of every run that was not written to
 * since it was last looked at, in about 100 bytes for 8 KiB of data.
 *
 * A write names its key (`touch`, O(log n)) and the run that it falls into loses its sum; the next look hashes that run alone. What was not
 * touched is answered for from memory. That is what makes it fast, and what it cannot do: rot in what lies on a disk does not touch
 * anything. So it answers for what was *written*, streaming digests answer for what *lies there*, and where the two differ there is rot.
 */
export class MerkleIndex {
  readonly #createHash: CreateHash;
  readonly #runs = new SortedTree<Run>();
  #tail: Tail = { sum: undefined, epoch: 0 };
  #epoch = 0;

  constructor(createHash: CreateHash) {
    this.#createHash = createHash;
  }

  /** The entry under this key was put, changed or deleted. To be called in one turn with the write, before the next `view()`. */
  touch(key: Uint8Array): void {
    let run = this.#runs.peek().ceiling(key);
    if (run !== undefined && compareBytes(run.key, key) === 0) {
      // It may end a run no more: what follows belongs to the same run then.
      this.#runs.delete(run.key);
      run = this.#runs.peek().ceiling(key);
    }
    const unknown = { sum: undefined, epoch: this.#epoch };
    if (run === undefined) this.#tail = unknown;
    else if (run.sum !== undefined || run.epoch !== this.#epoch) this.#runs.set({ key: run.key, ...unknown });
  }

  /** The index as it is now, over the entries as they are now. */
  view({ entries, pause }: MerkleViewOptions): MerkleView {
    this.#epoch++;
    const adopt = (run: Run | Tail, found: readonly Run[], tail: Tail | undefined): void => {
      if ("key" in run) {
        if (this.#runs.peek().get(run.key) !== run) return;
        this.#runs.delete(run.key);
      } else if (this.#tail !== run) return;
      for (const one of found) this.#runs.set(one);
      if (tail !== undefined) this.#tail = tail;
    };
    return new MerkleView({
      runs: this.#runs.fork(),
      tail: this.#tail,
      epoch: this.#epoch,
      createHash: this.#createHash,
      entries,
      pause,
      adopt,
    });
  }
}

interface ViewParts {
  readonly runs: SortedTree<Run>;
  tail: Tail;
  readonly epoch: number;
  readonly createHash: CreateHash;
  readonly entries: MerkleViewOptions["entries"];
  readonly pause: MerkleViewOptions["pause"];
  readonly adopt: (run: Run | Tail, found: readonly Run[], tail: Tail | undefined) => void;
}

/** What a MerkleIndex knew at one moment; reads what it did not know, and tells the index. */
export class MerkleView implements KeptDigests {
  readonly #parts: ViewParts;
  #turn: Promise<unknown> = Promise.resolve();
  #bytesRead = 0;

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  /** Bytes of keys and values that had to be read so far. */
  get bytesRead(): number {
    return this.#bytesRead;
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
      let kept: Sum = NOTHING;
      runs.walk(
        whole.from,
        whole.to,
        measure,
        () => false,
        (run) => {
          kept = measure.add(kept, measure.of(run));
        },
      );
      if (whole.to === undefined) {
        if (this.#parts.tail.sum === undefined) return undefined;
        kept = { ...addSums(kept, this.#parts.tail.sum), unknown: kept.unknown };
      }
      if (kept.unknown > 0) return undefined;
      const lies = await this.#read(whole);
      return (
        lies.keys === kept.keys &&
        lies.bytes === kept.bytes &&
        lies.lanes.every((word, lane) => word === kept.lanes[lane])
      );
    });
  }

  async #sum({ from, to }: KeyRange): Promise<RunSum> {
    const runs = this.#parts.runs.peek();
    let sum: RunSum = NOTHING;
    let start = from;
    const first = runs.ceiling(from);
    if (first !== undefined && !beginsBehind(runs.below(first.key), from)) {
      const end = successor(first.key);
      if (to !== undefined && compareBytes(to, end) <= 0) return this.#read({ from, to });
      sum = addSums(sum, await this.#read({ from, to: end }));
      start = end;
    }
    runs.walk(
      start,
      to,
      measure,
      (whole) => {
        sum = addSums(sum, whole);
        return true;
      },
      (run) => {
        sum = addSums(sum, measure.of(run));
      },
    );
    const last = to === undefined ? runs.last() : runs.below(to);
    const behind = last === undefined ? NO_BYTES : successor(last.key);
    const rest = compareBytes(behind, start) > 0 ? behind : start;
    if (to === undefined && this.#parts.tail.sum !== undefined && compareBytes(rest, behind) === 0)
      return addSums(sum, this.#parts.tail.sum);
    if (to !== undefined && compareBytes(rest, to) >= 0) return sum;
    return addSums(sum, await this.#read({ from: rest, to }));
  }

  async #read(range: KeyRange): Promise<RunSum> {
    const digester = new RangeDigester(this.#parts.createHash);
    await this.#feed(digester, range);
    return digester.finishSum();
  }

  async #feed(digester: RangeDigester, range: KeyRange, enough?: () => boolean): Promise<void> {
    let unpaused = 0;
    const pause = async (): Promise<void> => {
      const bytes = unpaused;
      unpaused = 0;
      await this.#parts.pause?.(bytes);
    };
    const count = ({ key, value }: Entry): boolean => {
      digester.add(key, value);
      this.#bytesRead += key.length + value.length;
      unpaused += key.length + value.length;
      return unpaused >= PAUSE_BYTES;
    };
    const entries = this.#parts.entries(range);
    if (Symbol.iterator in entries) {
      for (const entry of entries) {
        if (count(entry)) await pause();
        if (enough?.() === true) return;
      }
    } else {
      for await (const entry of entries) {
        if (count(entry)) await pause();
        if (enough?.() === true) return;
      }
    }
  }

  /** Reads the runs of the range whose sums are not known. */
  async #learn({ from, to }: KeyRange): Promise<void> {
    const { epoch } = this.#parts;
    for (const run of this.#unknown(from, to)) {
      const { found, rest } = await this.#readRuns({ from: this.#startOf(run), to: successor(run.key) });
      // The end of a run that was not written to still ends one, unless what lies there has rotted; then its sum says so.
      if (rest.keys > 0 || found.length === 0) found.push({ key: run.key, sum: rest, epoch });
      this.#adopt(run, found);
    }
    const behind = this.#behindRuns();
    if (this.#parts.tail.sum !== undefined || (to !== undefined && compareBytes(to, behind) <= 0)) return;
    const { found, rest, ended } = await this.#readRuns({ from: behind, to: undefined }, to);
    this.#adoptTail(found, ended ? rest : undefined);
  }

  async #readAndLearn({ from, to }: KeyRange): Promise<RunSum> {
    const { runs } = this.#parts;
    const { found, rest } = await this.#readRuns({ from, to });
    let total: RunSum = rest;
    for (const { sum } of found) total = addSums(total, sum as RunSum);
    // The first run may have begun before the range; every other one is whole.
    const first = runs.peek().ceiling(from);
    const aligned = beginsBehind(
      runs.peek().below(first?.key ?? from) ?? (first === undefined ? runs.peek().last() : undefined),
      from,
    );
    const whole = aligned ? found : found.slice(1);
    const starts = aligned ? from : found[0] === undefined ? undefined : successor(found[0].key);
    if (starts === undefined) return total;
    for (const run of this.#unknown(from, to)) {
      if (compareBytes(this.#startOf(run), starts) < 0) continue;
      const begin = this.#startOf(run);
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

  #unknown(from: Uint8Array, to: Uint8Array | undefined): Run[] {
    const unknown: Run[] = [];
    this.#parts.runs.peek().walk(
      from,
      to,
      measure,
      (sum) => sum.unknown === 0,
      (run) => {
        if (run.sum === undefined) unknown.push(run);
      },
    );
    return unknown;
  }

  #startOf(run: Run): Uint8Array {
    const before = this.#parts.runs.peek().below(run.key);
    return before === undefined ? NO_BYTES : successor(before.key);
  }

  #behindRuns(): Uint8Array {
    const last = this.#parts.runs.peek().last();
    return last === undefined ? NO_BYTES : successor(last.key);
  }

  #adopt(run: Run, found: readonly Run[]): void {
    const { runs, adopt } = this.#parts;
    runs.delete(run.key);
    for (const one of found) runs.set(one);
    adopt(run, found, undefined);
  }

  #adoptTail(found: readonly Run[], sum: RunSum | undefined): void {
    const { runs, tail, epoch, adopt } = this.#parts;
    for (const one of found) runs.set(one);
    this.#parts.tail = { sum, epoch };
    adopt(tail, found, this.#parts.tail);
  }

  /** With `until`, ends with the run that reaches so far. */
  async #readRuns(
    range: KeyRange,
    until?: Uint8Array,
  ): Promise<{ readonly found: Run[]; readonly rest: RunSum; readonly ended: boolean }> {
    const { createHash, epoch } = this.#parts;
    const found: Run[] = [];
    let enough = false;
    const digester = new RangeDigester(createHash, (end, sum) => {
      found.push({ key: end.slice(), sum, epoch });
      enough = until !== undefined && compareBytes(end, until) >= 0;
    });
    await this.#feed(digester, range, () => enough);
    return { found, rest: digester.finishSum(), ended: !enough };
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** Whether a range that begins here leaves nothing of the run out that follows on `before`. */
function beginsBehind(before: Run | undefined, from: Uint8Array): boolean {
  return before === undefined ? from.length === 0 : compareBytes(from, successor(before.key)) === 0;
}
