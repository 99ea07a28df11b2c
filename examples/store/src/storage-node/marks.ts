import { StoreError } from "./errors.js";
import type { Snapshot, Tree } from "./tree.js";

/** A mark that was reached: the tree exactly as of one slot. */
export interface MarkedSnapshot {
  readonly slot: number;
  readonly snapshot: Snapshot;
}

export const SNAPSHOT_KEPT_MS = 60_000;
const SNAPSHOTS_MAX = 8;

/** A partition's snapshots at marks, and who waits for one. */
export class Marks {
  readonly #partition: number;
  readonly #tree: Tree;
  readonly #held = new Map<number, { marked: MarkedSnapshot; timer: NodeJS.Timeout }>();
  readonly #waiters = new Map<number, Set<(marked: MarkedSnapshot | undefined) => void>>();
  #closed = false;

  constructor(partition: number, tree: Tree) {
    this.#partition = partition;
    this.#tree = tree;
  }

  /** The tree stands at the mark's slot now. Throws ERR_STORE_CONFLICT where it does not. */
  take(slot: number): void {
    if (this.#closed) return;
    const snapshot = this.#tree.snapshot();
    const seen = this.#tree.appliedThrough(this.#partition, snapshot);
    if (seen !== slot) {
      snapshot.transaction.done();
      throw new StoreError(
        "ERR_STORE_CONFLICT",
        `partition ${this.#partition}: a snapshot for slot ${slot} shows slot ${seen}`,
      );
    }
    for (const [oldest] of this.#held) {
      if (this.#held.size < SNAPSHOTS_MAX) break;
      this.release(oldest);
    }
    const timer = setTimeout(() => this.release(slot), SNAPSHOT_KEPT_MS).unref();
    const marked = { slot, snapshot };
    this.#held.set(slot, { marked, timer });
    for (const waiter of this.#waiters.get(slot) ?? []) waiter(marked);
    this.#waiters.delete(slot);
  }

  /** Throws ERR_STORE_BEHIND where the mark is not reached in time, or its snapshot is gone. */
  async at(slot: number, committedThrough: number, timeoutMs: number): Promise<MarkedSnapshot> {
    const known = this.#held.get(slot);
    if (known !== undefined) {
      known.timer.refresh();
      return known.marked;
    }
    const behind = (what: string) => new StoreError("ERR_STORE_BEHIND", `partition ${this.#partition}: ${what}`);
    if (this.#closed) throw behind("nothing more is applied on this node");
    if (committedThrough >= slot) throw behind(`the snapshot at slot ${slot} is gone`);
    return await new Promise<MarkedSnapshot>((resolve, reject) => {
      const waiters = this.#waiters.get(slot) ?? new Set();
      this.#waiters.set(slot, waiters);
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        if (waiters.size === 0) this.#waiters.delete(slot);
        reject(behind(`slot ${slot} was not reached within ${timeoutMs} ms`));
      }, timeoutMs);
      const waiter = (marked: MarkedSnapshot | undefined) => {
        clearTimeout(timer);
        if (marked === undefined)
          reject(behind(this.#closed ? "nothing more is applied on this node" : "it was passed over"));
        else resolve(marked);
      };
      waiters.add(waiter);
    });
  }

  release(slot: number): void {
    const held = this.#held.get(slot);
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held.delete(slot);
    held.marked.snapshot.transaction.done();
  }

  /** Nobody will come by the marks through this slot any more. */
  passedOver(slot: number): void {
    for (const [marked, waiters] of this.#waiters) {
      if (marked > slot) continue;
      this.#waiters.delete(marked);
      for (const waiter of waiters) waiter(undefined);
    }
  }

  /** None is reached any more; those that are held stay. */
  end(): void {
    this.#closed = true;
    this.passedOver(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.end();
    for (const slot of [...this.#held.keys()]) this.release(slot);
  }
}
