/** What a log keeps in memory of its chosen end, as `Tails` counts it. */
export interface TailOwner {
  /** Forgets chosen entries, the oldest first, until no more than this many bytes are left, if so many are chosen. Returns what is left. */
  shedTail(bytesMax: number): number;
}

/** One log's place among the others. Made by its owner, written by `Tails` alone. */
export class Tail {
  readonly owner: TailOwner | undefined;
  bytes = 0;
  before: Tail = this;
  behind: Tail = this;

  constructor(owner?: TailOwner) {
    this.owner = owner;
  }
}

/** So little is not worth being halved. */
const wholeBytes = 16 * 1024;
/** How many are looked at at once. Only where so many hold nothing but what is not chosen yet are the tails above their bound until the next time. */
const victimsMax = 64;

/**
 * The tails of all logs of one node, bounded together: each group has a bound of its own, but ten thousand times that is more than any machine has. When there is too much, that log gives up
 * the older half of its own that has chosen nothing for the longest time, and the rest when it is its turn again: what it forgets can be read from storage, and who asks for it is most likely to ask soon
 * after it was chosen. That is what its own, smaller bound would have made of it, and no more; so it may happen between any two of its steps.
 */
export class Tails {
  readonly bytesMax: number;
  #bytes = 0;
  /** Of a ring: behind it who has chosen nothing for the longest time. */
  readonly #ring = new Tail();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Something was chosen in this log, of which so much is in memory now. */
  weighed(tail: Tail, bytes: number): void {
    this.#count(tail, bytes);
    if (bytes === 0) {
      this.#unlink(tail);
      return;
    }
    this.#putLast(tail);
    if (this.#bytes > this.bytesMax) this.#shed();
  }

  /** This log is let go of. */
  remove(tail: Tail): void {
    this.#unlink(tail);
    this.#count(tail, 0);
  }

  #shed(): void {
    for (let victims = 0; victims < victimsMax && this.#bytes > this.bytesMax; victims++) {
      const tail = this.#ring.behind;
      const { owner, bytes } = tail;
      const left = owner?.shedTail(bytes <= wholeBytes ? 0 : bytes >> 1) ?? 0;
      this.#count(tail, left);
      // What is not chosen yet cannot be given up: it counts, has a bound of its own, and is asked for again when all others have been.
      if (left === 0) this.#unlink(tail);
      else if (left >= bytes) this.#putLast(tail);
    }
  }

  #count(tail: Tail, bytes: number): void {
    this.#bytes += bytes - tail.bytes;
    tail.bytes = bytes;
  }

  #putLast(tail: Tail): void {
    this.#unlink(tail);
    const last = this.#ring.before;
    tail.before = last;
    tail.behind = this.#ring;
    last.behind = this.#ring.before = tail;
  }

  #unlink(tail: Tail): void {
    tail.before.behind = tail.behind;
    tail.behind.before = tail.before;
    tail.before = tail.behind = tail;
  }
}
