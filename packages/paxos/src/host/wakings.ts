import { Window } from "./window.js";

/** What is looked at of a group that was woken. */
export interface Woken {
  readonly asleep: boolean;
}

/** Who does not sleep again after this is left to itself. */
const patienceMs = 1000;

/**
 * Leaders that are to be woken because what their leases rest on has changed. A node that stood still for a lease has that happen to all of its groups in one moment, and so has each of its neighbours: were they
 * all woken together, their answers would come so late that none fell asleep again, each would send heartbeats of its own, and that would keep the nodes too busy to answer, for ever. So only so many are awake at a time: more
 * when they sleep again, fewer when they do not in time.
 */
export class Wakings<T extends Woken> {
  #waiting: T[] = [];
  /** Those before it have had their turn. */
  #next = 0;
  readonly #awake = new Map<T, number>();
  readonly #window = new Window({ first: 64, min: 16, max: 512, patienceMs });

  /** Each has one turn, however often something changes before it has come. */
  add(items: Iterable<T>): void {
    const left = this.#waiting.slice(this.#next);
    const known = new Set(left);
    for (const item of items) if (!known.has(item)) left.push(item);
    this.#waiting = left;
    this.#next = 0;
  }

  forget(item: T): void {
    this.#awake.delete(item);
  }

  /** `wake` returns whether there was anything to do. */
  tick(nowMs: number, wake: (item: T) => boolean): void {
    for (const [item, sinceMs] of this.#awake) this.#look(item, sinceMs, nowMs);
    const { size } = this.#window;
    for (let looks = size; looks > 0 && this.#next < this.#waiting.length && this.#awake.size < size; looks--) {
      const item = this.#waiting[this.#next++] as T;
      if (wake(item)) this.#awake.set(item, nowMs);
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    }
  }

  #look(item: T, sinceMs: number, nowMs: number): void {
    if (item.asleep) {
      this.#awake.delete(item);
      this.#window.succeeded();
    } else if (nowMs - sinceMs > patienceMs) {
      this.#awake.delete(item);
      this.#window.failed(nowMs);
    }
  }
}
