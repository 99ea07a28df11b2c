import BTreeModule from "sorted-btree";

// sorted-btree is CommonJS; under NodeNext its class is the module's `default`.
const BTree = ((BTreeModule as unknown as { default?: unknown }).default ??
  BTreeModule) as typeof import("sorted-btree").default;
type Ordered<T> = import("sorted-btree").default<string, T>;

/** Where more than this share of all is removed, putting the rest in order anew is less work than taking those out one by one. */
const REMOVED_SHARE = 1 / 4;

export interface Bounds {
  readonly from: string | undefined;
  /** First one no longer wanted. */
  readonly to: string | undefined;
  readonly reverse: boolean;
}

/**
 * The newest entry of each key, for a while. Nearly all that is asked of it is single keys, so that is all that a new entry pays for; the order of the keys
 * is worked out when somebody reads a range, and kept until much of it is gone.
 */
export class Overlay<T extends { readonly name: string }> {
  readonly #entries = new Map<string, T>();
  #ordered: Ordered<T> | undefined;

  get(name: string): T | undefined {
    return this.#entries.get(name);
  }

  set(entry: T): void {
    this.#entries.set(entry.name, entry);
    this.#ordered?.set(entry.name, entry);
  }

  /** Those that are still the newest of their keys. */
  remove(entries: readonly T[]): void {
    if (entries.length > this.#entries.size * REMOVED_SHARE) this.#ordered = undefined;
    for (const entry of entries) {
      if (this.#entries.get(entry.name) !== entry) continue;
      this.#entries.delete(entry.name);
      this.#ordered?.delete(entry.name);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#ordered = undefined;
  }

  *range({ from, to, reverse }: Bounds): Generator<T, void, undefined> {
    if (this.#entries.size === 0) return;
    this.#ordered ??= new BTree([...this.#entries]) as Ordered<T>;
    if (reverse) {
      for (const [name, entry] of this.#ordered.entriesReversed(to, undefined, true)) {
        if (from !== undefined && name < from) return;
        yield entry;
      }
      return;
    }
    for (const [name, entry] of this.#ordered.entries(from)) {
      if (to !== undefined && name >= to) return;
      yield entry;
    }
  }
}
