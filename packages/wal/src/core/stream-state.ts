import { type IndexPoint, PointList, type SegmentRef } from "./point-list.js";

/**
 * At most this much log lies between two points of a busy stream, and behind its last point an entry of the stream is never further than
 * this away without a point of its own. So the index of a gigabyte stays small, and a reader of a quiet stream skips what is not its own.
 */
export const pointEveryBytes = 64 * 1024;

/** Records `first` to `end - 1` are found by walking a segment's batches from `offset`, from entry number `entry` of the first one on. */
export interface RecordPlace {
  readonly first: number;
  readonly end: number;
  readonly offset: number;
  readonly entry: number;
}

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
  points = new PointList();
  /** What is appended next needs a point of its own. */
  fresh = true;
  /** Truncations that were called, and those of them that are durable: what is read in between must not be written again behind them. */
  truncationsCalled = 0;
  truncationsApplied = 0;
  /** Bounds once everything that was called so far will be done. */
  firstAssigned: number;
  nextAssigned: number;
  /** The run that the last append went to: its number, and the batch's `id` and `controls` then. */
  run = -1;
  runBatch = 0;
  runControls = 0;
  /** Somebody needed it since it was last looked at. */
  used = true;
  /** Who needs it to stay this very object. */
  holders = 0;
  /** Whoever asks for the stream by its name is given this one: it was not put to rest, and nobody has called for its removal. */
  current = true;
  /** Once it was put to rest: where the stream is now. */
  rested: ((id: number) => StreamState | undefined) | undefined;

  constructor(id: number, name: string, first = 1, next = 1) {
    this.id = id;
    this.name = name;
    this.first = first;
    this.next = next;
    this.firstAssigned = first;
    this.nextAssigned = next;
  }

  /** Nothing is under way, and nobody watches: it can be put to rest. */
  get quiet(): boolean {
    return (
      this.nextAssigned === this.next &&
      this.firstAssigned === this.first &&
      this.truncationsCalled === this.truncationsApplied &&
      this.watchers.size === 0 &&
      this.holders === 0 &&
      this.current
    );
  }

  /** The same stream as it is now, where this one was put to rest meanwhile; one that is removed where it does not exist any more. */
  get awake(): StreamState {
    if (this.rested === undefined) return this;
    const now = this.rested(this.id);
    if (now !== undefined) return now;
    this.removed = true;
    return this;
  }

  /** `count` records starting at `next` stand in the batch at `offset`, from its entry number `entry` on. */
  extend(count: number, bytes: number, segment: SegmentRef, offset: number, entry: number): void {
    const first = this.next;
    this.next += count;
    if (this.fresh || !this.points.reaches(segment, offset, pointEveryBytes)) {
      this.points.push(first, segment, offset, entry, this.next, bytes);
      segment.streams.add(this.id);
      this.fresh = false;
    } else this.points.stretch(this.next, bytes);
    // Nearly always nobody; and who goes through an empty set makes an object to find that out.
    if (this.watchers.size > 0) for (const watcher of this.watchers) watcher.grown();
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
    this.fresh = true;
    let live = this.points.length;
    while (live > 0 && this.points.sequence(live - 1) >= this.next) live--;
    this.points.drop(live, this.points.length);
    this.#dropDead();
    for (const watcher of this.watchers) watcher.cut(this.next);
  }

  remove(): void {
    this.removed = true;
    this.truncations++;
    this.points.drop(0, this.points.length);
    for (const watcher of this.watchers) watcher.cut(1);
  }

  /**
   * Records `points[0].sequence` to `through` were written again further on, and are found there from now on. The points before and behind
   * stay; one that led to records on both sides of an end of the range is kept or repeated for the part outside.
   */
  carry(points: readonly IndexPoint[], through: number): void {
    const from = points[0]?.sequence;
    if (from === undefined || through < this.first || from >= this.next) return;
    const old = this.points;
    this.points = new PointList();
    const keep = (point: IndexPoint) =>
      this.points.push(point.sequence, point.segment, point.offset, point.entry, point.end, point.bytes);
    const all = Array.from({ length: old.length }, (_, at) => old.get(at));
    for (const point of all) if (point.sequence < from) keep(point);
    for (const point of points) {
      keep(point);
      point.segment.streams.add(this.id);
    }
    all.forEach((point, at) => {
      const end = all[at + 1]?.sequence ?? this.next;
      if (end <= through + 1) return;
      if (point.sequence > through) keep(point);
      else keep({ ...point, sequence: through + 1, bytes: point.sequence < from ? 0 : point.bytes });
    });
    old.drop(0, old.length);
    this.fresh = true;
    this.truncations++;
    this.#dropDead();
  }

  /** The first live records that are found in `segment`: a range without interruption, though there may be another. */
  rangeIn(segment: SegmentRef): { readonly first: number; readonly last: number } | undefined {
    let from = 0;
    while (from < this.points.length && this.points.segment(from) !== segment) from++;
    if (from === this.points.length) return undefined;
    let to = from;
    while (this.points.segment(to + 1) === segment) to++;
    return { first: Math.max(this.points.sequence(from), this.first), last: this.#end(to) - 1 };
  }

  /** Where in `segment` live records are found. */
  placesIn(segment: SegmentRef): RecordPlace[] {
    const places: RecordPlace[] = [];
    for (let at = 0; at < this.points.length; at++) {
      if (this.points.segment(at) !== segment) continue;
      const { sequence, offset, entry } = this.points.get(at);
      const first = Math.max(sequence, this.first);
      const end = this.#end(at);
      if (first < end) places.push({ first, end, offset, entry });
    }
    return places;
  }

  /** The first live record that no point leads to: it was in a segment, or a batch, that is missing. */
  get lost(): number | undefined {
    let found = this.first;
    for (let at = 0; at < this.points.length && found < this.next; at++) {
      if (this.points.sequence(at) > found) return found;
      found = Math.max(found, Math.min(this.points.end(at), this.#end(at)));
    }
    return found < this.next ? found : undefined;
  }

  /** The point to start from for `sequence`, and the first sequence that the point does not lead to. */
  find(sequence: number): { readonly point: IndexPoint; readonly end: number } | undefined {
    const at = this.points.find(sequence);
    return at < 0 ? undefined : { point: this.points.get(at), end: this.#end(at) };
  }

  #end(at: number): number {
    return at + 1 < this.points.length ? this.points.sequence(at + 1) : this.next;
  }

  #dropDead(): void {
    let dead = 0;
    while (dead < this.points.length && this.#end(dead) <= this.first) dead++;
    this.points.drop(0, dead);
    if (this.points.length === 0) this.fresh = true;
  }
}

export const nobody: ReadonlySet<StreamWatcher> = new Set();
