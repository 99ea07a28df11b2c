interface Entry {
  readonly atMs: number;
  readonly order: number;
  fire: (() => void) | undefined;
}

/** Time that passes only when it is told to: timers fire in order, and promises that can go on do so in between. */
export class SimulatedTime {
  nowMs = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  readonly now = (): number => this.nowMs;

  readonly timer = (delayMs: number, fire: () => void): (() => void) => {
    const entry: Entry = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order, fire };
    this.#order += 1;
    this.#push(entry);
    return () => {
      entry.fire = undefined;
    };
  };

  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      if (next.fire === undefined) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fire();
      // Deep enough for the longest chain of awaits between two timers.
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    }
    this.nowMs = endMs;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent] as Entry, entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (before(last, heap[child] as Entry)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
