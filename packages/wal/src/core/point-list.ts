import type { IdList } from "./id-list.js";

/** A segment as far as the index cares: which one, how many index points stand in it, and how much of it they stand for. */
export interface SegmentRef {
  readonly number: number;
  /** Zero: nothing live is in it. */
  points: number;
  /** Bytes of live records, never less than there are. */
  liveBytes: number;
  /** The streams that were ever given a point in it: whoever wants to know what is left in it need not ask all there are. */
  readonly streams: IdList;
}

/**
 * From `sequence` on, records of the stream are found by walking the segment's batches from `offset`, skipping what stands before `entry` in the
 * first one: a record may be appended, truncated and replaced within one batch.
 */
export interface IndexPoint {
  readonly sequence: number;
  readonly segment: SegmentRef;
  readonly offset: number;
  readonly entry: number;
  /** The first sequence that the point does not lead to, as long as nothing was truncated or carried. */
  end: number;
  /** Bytes of the records that the point leads to. */
  bytes: number;
}

const width = 5;
const shortMax = 8;

/** Of lists without a point; never written to. */
const noSegments: SegmentRef[] = [];
const noNumbers: number[] = [];

/**
 * A stream's points in the order of their sequences. Packed: with ten thousand busy streams each append makes a point, and as objects
 * they kept the garbage collector busy for a third of the time. Keeps the segments' counts right.
 */
export class PointList {
  #segments = noSegments;
  /** For each point sequence, offset, entry, end and bytes. */
  #numbers = noNumbers;

  get length(): number {
    return this.#segments.length;
  }

  sequence(at: number): number {
    return this.#numbers[at * width] as number;
  }

  end(at: number): number {
    return this.#numbers[at * width + 3] as number;
  }

  segment(at: number): SegmentRef | undefined {
    return this.#segments[at];
  }

  get(at: number): IndexPoint {
    const segment = this.#segments[at] as SegmentRef;
    const [sequence, offset, entry, end, bytes] = this.#numbers.slice(at * width, (at + 1) * width);
    return { sequence, segment, offset, entry, end, bytes } as IndexPoint;
  }

  push(sequence: number, segment: SegmentRef, offset: number, entry: number, end: number, bytes: number): void {
    this.resume(segment, sequence, offset, entry, end, bytes);
    segment.points++;
    segment.liveBytes += bytes;
  }

  /** As `push`, of a point that its segment counts already. */
  resume(segment: SegmentRef, sequence: number, offset: number, entry: number, end: number, bytes: number): void {
    if (this.#segments.length < shortMax) {
      // Most lists stay short. These get no more room than they need: `push` would make some for sixteen more.
      this.#segments = this.#segments.concat(segment);
      this.#numbers = this.#numbers.concat(sequence, offset, entry, end, bytes);
    } else {
      this.#segments.push(segment);
      this.#numbers.push(sequence, offset, entry, end, bytes);
    }
  }

  /** Whether the last point stands in `segment`, less than `bytes` before `offset`. */
  reaches(segment: SegmentRef, offset: number, bytes: number): boolean {
    const last = this.#segments.length - 1;
    return (
      last >= 0 && this.#segments[last] === segment && offset - (this.#numbers[last * width + 1] as number) < bytes
    );
  }

  /** The last point leads to `bytes` more, up to `end`. */
  stretch(end: number, bytes: number): void {
    const last = this.#segments.length - 1;
    const at = last * width;
    this.#numbers[at + 3] = end;
    this.#numbers[at + 4] = (this.#numbers[at + 4] as number) + bytes;
    (this.#segments[last] as SegmentRef).liveBytes += bytes;
  }

  drop(from: number, to: number): void {
    if (from >= to) return;
    for (let at = from; at < to; at++) {
      const segment = this.#segments[at] as SegmentRef;
      segment.points--;
      segment.liveBytes -= this.#numbers[at * width + 4] as number;
    }
    if (to - from === this.#segments.length) {
      this.#segments = noSegments;
      this.#numbers = noNumbers;
      return;
    }
    this.#segments.splice(from, to - from);
    this.#numbers.splice(from * width, (to - from) * width);
  }

  /** The last point at or before `sequence`; -1 where there is none. */
  find(sequence: number): number {
    let low = -1;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.sequence(middle) <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
