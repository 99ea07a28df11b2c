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
  #entries = new Map<string, T>();
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
    const isMuch = entries.length > this.#entries.size * REMOVED_SHARE;
    if (isMuch) this.#ordered = undefined;
    for (const entry of entries) {
      if (this.#entries.get(entry.name) !== entry) continue;
      this.#entries.delete(entry.name);
      this.#ordered?.delete(entry.name);
    }
    // V8 links each table that a map has outgrown, with all that was in it, to the next one: all later entries would stay with one that is among the old objects, until the whole heap is marked.
    if (isMuch) this.#entries = new Map(this.#entries);
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
