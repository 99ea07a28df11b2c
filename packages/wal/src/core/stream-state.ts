/** A segment as far as the index cares: which one, how many index points stand in it, and how much of it they stand for. */
export interface SegmentRef {
  readonly number: number;
  /** Zero: nothing live is in it. */
  points: number;
  /** Bytes of live records, never less than there are. */
  liveBytes: number;
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

/**
 * At most this much log lies between two points of a busy stream, and behind its last point an entry of the stream is never further than
 * this away without a point of its own. So the index of a gigabyte stays small, and a reader of a quiet stream skips what is not its own.
 */
export const pointEveryBytes = 64 * 1024;

/** Told of what became durable. */
export interface StreamWatcher {
  grown(): void;
  /** Records from `next` on are gone. */
  cut(next: number): void;
}

/**
 * What is durable of one stream: its bounds and a sparse index.
 *
 * Between two neighbouring points the sequences ascend by one without interruption, starting with the first point's, all in that point's
 * segment. A truncation of the end therefore forces a new point for what is appended next, and the dead records in between are never met:
 * a walk from a point ends where the next point's sequence begins.
 */
export class StreamState {
  readonly id: number;
  readonly name: string;
  first: number;
  next: number;
  /** Raised by truncations, so that a reader on its way notices that its plan is stale. */
  truncations = 0;
  removed = false;
  watchers: ReadonlySet<StreamWatcher> = nobody;
  #points: IndexPoint[] = [];
  #fresh = true;
  /** Truncations that were called, and those of them that are durable: what is read in between must not be written again behind them. */
  truncationsCalled = 0;
  truncationsApplied = 0;

  constructor(id: number, name: string, first = 1, next = 1) {
    this.id = id;
    this.name = name;
    this.first = first;
    this.next = next;
  }

  /** `count` records starting at `next` stand in the batch at `offset`, from its entry number `entry` on. */
  extend(count: number, bytes: number, segment: SegmentRef, offset: number, entry: number): void {
    let last = this.#points.at(-1);
    if (this.#fresh || last === undefined || last.segment !== segment || offset - last.offset >= pointEveryBytes) {
      last = { sequence: this.next, segment, offset, entry, end: this.next, bytes: 0 };
      this.#points.push(last);
      segment.points++;
      this.#fresh = false;
    }
    last.bytes += bytes;
    segment.liveBytes += bytes;
    this.next += count;
    last.end = this.next;
    for (const watcher of this.watchers) watcher.grown();
  }

  truncateBefore(sequence: number): void {
    if (sequence <= this.first) return;
    this.first = Math.min(sequence, this.next);
    this.truncations++;
    this.#dropDead();
  }

  truncateAfter(sequence: number): void {
    if (sequence >= this.next - 1) return;
    this.next = Math.max(sequence + 1, this.first);
    this.truncations++;
    this.#fresh = true;
    let live = this.#points.length;
    while (live > 0 && (this.#points[live - 1] as IndexPoint).sequence >= this.next) live--;
    this.#drop(live, this.#points.length);
    this.#dropDead();
    for (const watcher of this.watchers) watcher.cut(this.next);
  }

  remove(): void {
    this.removed = true;
    this.truncations++;
    this.#drop(0, this.#points.length);
    for (const watcher of this.watchers) watcher.cut(1);
  }

  /**
   * Records `points[0].sequence` to `through` were written again further on, and are found there from now on. The points before and behind
   * stay; one that led to records on both sides of an end of the range is kept or repeated for the part outside.
   */
  carry(points: readonly IndexPoint[], through: number): void {
    const from = points[0]?.sequence;
    if (from === undefined || through < this.first || from >= this.next) return;
    const before = this.#points.filter((point) => point.sequence < from);
    const behind: IndexPoint[] = [];
    for (let at = 0; at < this.#points.length; at++) {
      const point = this.#points[at] as IndexPoint;
      if (this.#end(at) <= through + 1) continue;
      const rest = { ...point, sequence: through + 1, bytes: point.sequence < from ? 0 : point.bytes };
      behind.push(point.sequence > through ? point : rest);
    }
    const old = this.#points;
    this.#points = [...before, ...points, ...behind];
    for (const point of this.#points) count(point, 1);
    for (const point of old) count(point, -1);
    this.#fresh = true;
    this.truncations++;
    this.#dropDead();
  }

  /** The first live records that are found in `segment`: a range without interruption, though there may be another. */
  rangeIn(segment: SegmentRef): { readonly first: number; readonly last: number } | undefined {
    const from = this.#points.findIndex((point) => point.segment === segment);
    if (from < 0) return undefined;
    let to = from;
    while (this.#points[to + 1]?.segment === segment) to++;
    return { first: Math.max((this.#points[from] as IndexPoint).sequence, this.first), last: this.#end(to) - 1 };
  }

  /** The first live record that no point leads to: it was in a segment, or a batch, that is missing. */
  get lost(): number | undefined {
    let found = this.first;
    for (let at = 0; at < this.#points.length && found < this.next; at++) {
      const point = this.#points[at] as IndexPoint;
      if (point.sequence > found) return found;
      found = Math.max(found, Math.min(point.end, this.#end(at)));
    }
    return found < this.next ? found : undefined;
  }

  /** The point to start from for `sequence`, and the first sequence that the point does not lead to. */
  find(sequence: number): { readonly point: IndexPoint; readonly end: number } | undefined {
    let low = 0;
    let high = this.#points.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#points[middle] as IndexPoint).sequence <= sequence) low = middle;
      else high = middle - 1;
    }
    const point = this.#points[low];
    return point === undefined || point.sequence > sequence ? undefined : { point, end: this.#end(low) };
  }

  #end(at: number): number {
    return this.#points[at + 1]?.sequence ?? this.next;
  }

  #dropDead(): void {
    let dead = 0;
    while (dead < this.#points.length && this.#end(dead) <= this.first) dead++;
    this.#drop(0, dead);
    if (this.#points.length === 0) this.#fresh = true;
  }

  #drop(from: number, to: number): void {
    for (const point of this.#points.splice(from, to - from)) count(point, -1);
  }
}

const nobody: ReadonlySet<StreamWatcher> = new Set();

function count(point: IndexPoint, sign: 1 | -1): void {
  point.segment.points += sign;
  point.segment.liveBytes += sign * point.bytes;
}
