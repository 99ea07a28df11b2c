/** One caller that waits for tokens. The links belong to the line. */
export interface Waiter {
  readonly tokens: number;
  readonly admit: () => void;
  readonly fail: (reason: unknown) => void;
  previous?: this | undefined;
  next?: this | undefined;
}

/** First in, first out, and anybody may leave from the middle in constant time. */
export class WaitingLine<W extends Waiter> {
  #first: W | undefined;
  #last: W | undefined;
  #length = 0;

  get first(): W | undefined {
    return this.#first;
  }

  get length(): number {
    return this.#length;
  }

  push(waiter: W): void {
    waiter.previous = this.#last;
    waiter.next = undefined;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#length += 1;
  }

  remove(waiter: W): void {
    if (waiter.previous === undefined) this.#first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) this.#last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    waiter.previous = undefined;
    waiter.next = undefined;
    this.#length -= 1;
  }

  /** The tokens that all of them wait for. */
  tokens(): number {
    let sum = 0;
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.next) sum += waiter.tokens;
    return sum;
  }

  /** A copy, first to last, for a caller that removes while it walks. */
  toArray(): W[] {
    const waiters: W[] = [];
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.next) waiters.push(waiter);
    return waiters;
  }
}
