/** Who keeps less is left alone and not counted: to let go of it would cost as much as it gives. */
export const countedBytesMin = 16 * 1024;
/** So many let go at the same time. */
const underWayMax = 16;
/** So many are asked in one tick: some may not let go of anything. */
const askedAtOnceMax = 16;
/** Who might not let go of anything is asked again after this, */
const againAfterMs = 1000;
/** and so many of them in one tick: each may have to be unpacked for that. */
const againAtOnceMax = 4;

/** One group's place among the others, in the ring of those that keep about as much, or of those that may let go of nothing. */
class Kept<T> {
  readonly owner: T | undefined;
  bytes = 0;
  /** It is letting go, and in no ring. */
  busy = false;
  askedMs = 0;
  before: Kept<T> = this;
  behind: Kept<T> = this;

  constructor(owner?: T) {
    this.owner = owner;
  }

  get alone(): boolean {
    return this.behind === this;
  }

  unlink(): void {
    this.before.behind = this.behind;
    this.behind.before = this.before;
    this.before = this.behind = this;
  }

  /** Puts another one last in this ring. */
  put(other: Kept<T>): void {
    other.unlink();
    other.before = this.before;
    other.behind = this;
    this.before.behind = other;
    this.before = other;
  }
}

export interface KeptLogsParts<T> {
  readonly bytesMax: number;
  /** Has it let go of the older half of what it keeps, or of what may go of that. Undefined when nothing may go now. */
  readonly halve: (owner: T) => Promise<void> | undefined;
}

/**
 * The logs that all groups of one node keep for laggards, bounded together: each has a bound of its own, but a thousand times that is more than most disks have. While there is too much, whoever keeps
 * most lets go of the older half of it (of those that keep about as much, who has said so for the longest time): so none keeps much less than the others for their sake, and little has to be done for much room. What a group may not let go of counts and stays.
 *
 * Groups say what they keep when it has become more by a step, and stay where they are while they are packed. Nothing here goes through all of them.
 */
export class KeptLogs<T> {
  readonly #parts: KeptLogsParts<T>;
  readonly #kept = new Map<T, Kept<T>>();
  /** At n whoever keeps 2^n bytes or more, and less than twice that. */
  readonly #rings: Kept<T>[] = [];
  /** Those that may let go of nothing, as they were asked. */
  readonly #waiting = new Kept<T>();
  #bytes = 0;
  #underWay = 0;

  constructor(parts: KeptLogsParts<T>) {
    this.#parts = parts;
  }

  /** Of all that are counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So much does it keep now. */
  weighed(owner: T, bytes: number): void {
    if (bytes < countedBytesMin) {
      this.forget(owner);
      return;
    }
    let kept = this.#kept.get(owner);
    if (kept === undefined) {
      kept = new Kept(owner);
      this.#kept.set(owner, kept);
    }
    this.#bytes += bytes - kept.bytes;
    kept.bytes = bytes;
    if (!kept.busy) this.#ring(bytes).put(kept);
  }

  /** It is closed on this node. */
  forget(owner: T): void {
    const kept = this.#kept.get(owner);
    if (kept === undefined) return;
    this.#kept.delete(owner);
    this.#bytes -= kept.bytes;
    kept.unlink();
  }

  tick(nowMs: number): void {
    if (this.#bytes <= this.#parts.bytesMax) return;
    this.#putBack(nowMs);
    for (let asked = 0; asked < askedAtOnceMax && this.#underWay < underWayMax; asked++) {
      const kept = this.#bytes > this.#parts.bytesMax ? this.#largest() : undefined;
      if (kept === undefined) return;
      this.#ask(kept, nowMs);
    }
  }

  #ask(kept: Kept<T>, nowMs: number): void {
    kept.busy = true;
    kept.unlink();
    const done = this.#parts.halve(kept.owner as T);
    if (done === undefined) {
      kept.busy = false;
      kept.askedMs = nowMs;
      this.#waiting.put(kept);
      return;
    }
    this.#underWay++;
    void done.finally(() => {
      this.#underWay--;
      kept.busy = false;
      if (this.#kept.get(kept.owner as T) === kept) this.#ring(kept.bytes).put(kept);
    });
  }

  #putBack(nowMs: number): void {
    for (let count = 0; count < againAtOnceMax && !this.#waiting.alone; count++) {
      const kept = this.#waiting.behind;
      if (nowMs < kept.askedMs + againAfterMs) return;
      this.#ring(kept.bytes).put(kept);
    }
  }

  #ring(bytes: number): Kept<T> {
    const at = Math.floor(Math.log2(bytes));
    while (this.#rings.length <= at) this.#rings.push(new Kept());
    return this.#rings[at] as Kept<T>;
  }

  /** There are as many rings as a number has digits, not as there are groups. */
  #largest(): Kept<T> | undefined {
    const ring = this.#rings.findLast(({ alone }) => !alone);
    return ring?.behind;
  }
}
