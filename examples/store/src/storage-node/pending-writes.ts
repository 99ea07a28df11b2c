import type { Write } from "./command.js";

export interface Pending {
  readonly name: string;
  readonly write: Write;
  readonly done: Promise<unknown>;
}

/**
 * After so many writes a new map takes the place of the old one. One that is filled and emptied all the time begins a table every few dozen writes, and V8 links each table, with all that was in it, to the next one: once a
 * collection of the whole heap has moved one of them to the old objects, all writes that follow would stay with it until the next such collection.
 */
const RENEWED_EVERY = 1024;

interface PendingEntry {
  readonly done: Promise<unknown>;
  readonly writes: Pending[];
}

/**
 * What is decided and not chosen yet: the newest write of each key. All that goes in one entry of the log is forgotten together, when the entry has ended, and before whoever waits for it goes on: one
 * promise an entry, and not one a write.
 */
export class PendingWrites {
  #byName = new Map<string, Pending>();
  #added = 0;
  /** The entry that gathers, or gathered last. */
  #newest: PendingEntry | undefined;

  get(name: string): Pending | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  values(): IterableIterator<Pending> {
    return this.#byName.values();
  }

  clear(): void {
    this.#byName.clear();
  }

  /** @param done of the entry, the same for all its writes */
  add(name: string, write: Write, done: Promise<unknown>): void {
    const entry = this.#newest?.done === done ? this.#newest : this.#begin(done);
    const pending = { name, write, done };
    if (++this.#added % RENEWED_EVERY === 0) this.#byName = new Map(this.#byName);
    this.#byName.set(name, pending);
    entry.writes.push(pending);
  }

  #begin(done: Promise<unknown>): PendingEntry {
    const entry: PendingEntry = { done, writes: [] };
    this.#newest = entry;
    // Rejected, it ends with the whole leadership: nothing is decided upon it any more, nor upon what came before it.
    const forget = () => {
      if (this.#newest === entry) this.#newest = undefined;
      for (const pending of entry.writes)
        if (this.#byName.get(pending.name) === pending) this.#byName.delete(pending.name);
    };
    done.then(forget, forget);
    return entry;
  }
}
