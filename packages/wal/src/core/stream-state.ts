/** A segment as far as the index cares: which one, and how many index points stand in it. No point left: nothing live is in it. */
export interface SegmentRef {
  readonly number: number;
  points: number;
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
}

/**
 * At most this much log lies between two points of a busy stream, and behind its last point an entry of the stream is never further than
 * this away without a point of its own. So the index of a gigabyte stays small, and a reader of a quiet stream skips what is not its own.
 */
export const pointEveryBytes = 64 * 1024;

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
  #points: IndexPoint[] = [];
  #fresh = true;

  constructor(id: number, name: string, first = 1, next = 1) {
    this.id = id;
    this.name = name;
    this.first = first;
    this.next = next;
  }

  /** `count` records starting at `next` stand in the batch at `offset`, from its entry number `entry` on. */
  extend(count: number, segment: SegmentRef, offset: number, entry: number): void {
    const last = this.#points.at(-1);
    if (this.#fresh || last === undefined || last.segment !== segment || offset - last.offset >= pointEveryBytes) {
      this.#points.push({ sequence: this.next, segment, offset, entry });
      segment.points++;
      this.#fresh = false;
    }
    this.next += count;
  }

  truncateBefore(sequence: number): void {
    if (sequence <= this.first) return;
    this.first = Math.min(sequence, this.next);
    this.truncations++;
    let dead = 0;
    while (dead < this.#points.length && this.#end(dead) <= this.first) dead++;
    this.#drop(0, dead);
    if (this.#points.length === 0) this.#fresh = true;
  }

  truncateAfter(sequence: number): void {
    if (sequence >= this.next - 1) return;
    this.next = Math.max(sequence + 1, this.first);
    this.truncations++;
    this.#fresh = true;
    let live = this.#points.length;
    while (live > 0 && (this.#points[live - 1] as IndexPoint).sequence >= this.next) live--;
    this.#drop(live, this.#points.length);
  }

  remove(): void {
    this.removed = true;
    this.truncations++;
    this.#drop(0, this.#points.length);
  }

  /** Records `points[0].sequence` to `through` were written again further on; what stood for them before is forgotten. */
  carry(points: readonly IndexPoint[], through: number): void {
    const from = points[0]?.sequence;
    if (from === undefined || through < this.first || from >= this.next) return;
    const kept: IndexPoint[] = [];
    for (let at = 0; at < this.#points.length; at++) {
      const point = this.#points[at] as IndexPoint;
      if (this.#end(at) <= through + 1) continue;
      kept.push(point.sequence > through ? point : { ...point, sequence: through + 1 });
    }
    const carried = points.filter((_, at) => (points[at + 1]?.sequence ?? through + 1) > this.first);
    for (const point of carried) point.segment.points++;
    for (const point of kept) point.segment.points++;
    for (const point of this.#points) point.segment.points--;
    this.#points = [...carried, ...kept];
    this.#fresh = true;
    this.truncations++;
  }

  /** Whether every live record can be found. False only where a segment that held some is missing. */
  get located(): boolean {
    return this.first === this.next || (this.#points[0]?.sequence ?? Number.POSITIVE_INFINITY) <= this.first;
  }

  get oldestPoint(): IndexPoint | undefined {
    return this.#points[0];
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

  #drop(from: number, to: number): void {
    for (let at = from; at < to; at++) (this.#points[at] as IndexPoint).segment.points--;
    this.#points.splice(from, to - from);
  }
}
