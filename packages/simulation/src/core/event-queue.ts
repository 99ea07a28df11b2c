/** Something that will happen. `action` is taken away when it is cancelled. */
export interface Scheduled {
  readonly atMs: number;
  /** Events of one instant happen in the order in which they were scheduled. */
  readonly order: number;
  action: (() => void) | undefined;
}

/** A binary heap by (time, order). Cancelled events stay until they surface, or until they are the majority. */
export class EventQueue {
  #heap: Scheduled[] = [];
  #order = 0;
  #cancelled = 0;

  /** Events that will still happen. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  push(atMs: number, action: () => void): Scheduled {
    const event: Scheduled = { atMs, order: this.#order++, action };
    this.#heap.push(event);
    this.#up(this.#heap.length - 1);
    return event;
  }

  cancel(event: Scheduled): void {
    if (event.action === undefined) return;
    event.action = undefined;
    this.#cancelled++;
    if (this.#cancelled > 1024 && this.#cancelled * 2 > this.#heap.length) this.#compact();
  }

  /** The time of the next event that will happen, or undefined when nothing will. */
  peekMs(): number | undefined {
    this.#skipCancelled();
    return this.#heap[0]?.atMs;
  }

  pop(): Scheduled | undefined {
    this.#skipCancelled();
    return this.#takeTop();
  }

  #skipCancelled(): void {
    while (this.#heap.length > 0 && (this.#heap[0] as Scheduled).action === undefined) {
      this.#takeTop();
      this.#cancelled--;
    }
  }

  #takeTop(): Scheduled | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top !== undefined && last !== undefined && last !== top) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return top;
  }

  #compact(): void {
    this.#heap = this.#heap.filter((event) => event.action !== undefined);
    this.#cancelled = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#down(i);
  }

  #up(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as Scheduled;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(event, heap[parent] as Scheduled)) break;
      heap[index] = heap[parent] as Scheduled;
      index = parent;
    }
    heap[index] = event;
  }

  #down(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as Scheduled;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (!before(heap[child] as Scheduled, event)) break;
      heap[index] = heap[child] as Scheduled;
      index = child;
    }
    heap[index] = event;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
