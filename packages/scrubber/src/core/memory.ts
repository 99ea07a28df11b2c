import { compareBytes } from "./bytes.js";
import type { CreateHash } from "./digest.js";
import { behind } from "./errors.js";
import type { Entry, KeyRange, Position, ReplicaSnapshot, ReplicaSource } from "./source.js";
import { streamingSnapshot } from "./streaming.js";

/** Keys and values in memory. What is put in is kept by reference and must not be changed afterwards. */
export class MemoryStore {
  readonly #entries = new Map<string, Entry>();
  #sorted: Entry[] | undefined;
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(keyText(key))?.value;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const text = keyText(key);
    const before = this.#entries.get(text);
    this.#bytes += value.length - (before === undefined ? -key.length : before.value.length);
    this.#entries.set(text, { key, value });
    this.#sorted = undefined;
  }

  delete(key: Uint8Array): boolean {
    const text = keyText(key);
    const before = this.#entries.get(text);
    if (before === undefined) return false;
    this.#bytes -= before.key.length + before.value.length;
    this.#entries.delete(text);
    this.#sorted = undefined;
    return true;
  }

  /** All entries in order. Belongs to the store's present contents: the next change makes a new one and leaves this as it is. */
  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => compareBytes(a.key, b.key));
    return this.#sorted;
  }
}

/** A memory store as a replica: for references, for tests, and for data that lives in memory anyway. */
export class MemoryReplica implements ReplicaSource {
  readonly store: MemoryStore;
  readonly #createHash: CreateHash;
  position: Position;

  constructor(
    readonly name: string,
    {
      createHash,
      position = 0,
      store = new MemoryStore(),
    }: { readonly createHash: CreateHash; readonly position?: Position; readonly store?: MemoryStore },
  ) {
    this.#createHash = createHash;
    this.position = position;
    this.store = store;
  }

  async snapshot(at: Position): Promise<ReplicaSnapshot> {
    if (at !== this.position) throw behind(this.name, at, `it is at ${this.position}`);
    const sorted = this.store.sorted();
    return streamingSnapshot({ entries: (range) => within(sorted, range), createHash: this.#createHash });
  }
}

function within(sorted: readonly Entry[], { from, to }: KeyRange): readonly Entry[] {
  return sorted.slice(lowerBound(sorted, from), to === undefined ? undefined : lowerBound(sorted, to));
}

function lowerBound(sorted: readonly Entry[], key: Uint8Array): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((sorted[middle] as Entry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One character a byte. */
function keyText(key: Uint8Array): string {
  let text = "";
  for (let i = 0; i < key.length; i++) text += String.fromCharCode(key[i] as number);
  return text;
}
