/** What the agenda keeps with whoever stands in it. */
export interface Planned {
  /** When the earliest entry that counts falls due; infinite when there is none. The agenda's to write. */
  plannedMs: number;
}

interface Entry<T> {
  readonly atMs: number;
  readonly item: T;
}

/**
 * Who wants to be called when: one heap for all groups of a node, so that the node's one timer visits only those whose time has come. An entry that has been
 * overtaken by an earlier one stays until its time and is passed over then: putting off, which every message of a leader does, costs nothing.
 */
export class Agenda<T extends Planned> {
  readonly #heap: Entry<T>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** `item` is called at `atMs` at the latest. */
  plan(item: T, atMs: number): void {
    if (atMs >= item.plannedMs) return;
    item.plannedMs = atMs;
    this.#push({ atMs, item });
  }

  /** Nothing that was planned for it counts any more. */
  forget(item: T): void {
    item.plannedMs = Number.POSITIVE_INFINITY;
  }

  /** Calls everybody who is due by now, once; what they plan meanwhile is for the next time. */
  due(nowMs: number, call: (item: T) => void): void {
    const due: T[] = [];
    for (let top = this.#heap[0]; top !== undefined && top.atMs <= nowMs; top = this.#heap[0]) {
      this.#pop();
      const { item, atMs } = top;
      if (item.plannedMs !== atMs) continue;
      item.plannedMs = Number.POSITIVE_INFINITY;
      due.push(item);
    }
    for (const item of due) call(item);
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above] as Entry<T>;
      if (other.atMs <= entry.atMs) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry<T>;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= size) break;
      if (below + 1 < size && (heap[below + 1] as Entry<T>).atMs < (heap[below] as Entry<T>).atMs) below++;
      const other = heap[below] as Entry<T>;
      if (other.atMs >= last.atMs) break;
      heap[at] = other;
      at = below;
    }
    heap[at] = last;
  }
}
