import { NO_BYTES } from "./bytes.js";
import type { CreateHash } from "./digest.js";
import { behind, checkedInteger, checkedName } from "./errors.js";
import { MerkleIndex } from "./merkle.js";
import type { MerkleViewOptions } from "./merkle-view.js";
import type { ReferenceStore } from "./reference-store.js";
import { SortedTree } from "./sorted-tree.js";
import type { SortedView } from "./sorted-view.js";
import type { Entry, KeyRange, Position, ReplicaSnapshot, ReplicaSource } from "./source.js";
import { streamingSnapshot } from "./streaming.js";

/** What memory is fetched by. */
const LINE_BYTES = 64;
/** Of one value: the rest of a long one is read in order, which memory is quick at. */
const WARMED_BYTES_MAX = 1024;
const seen = { bytes: 0 };

/**
 * Looks at every line of memory of the entries' bytes. They lie anywhere, so each entry on its own turn would be waited for anew; of such small looks a processor
 * has many under way at once.
 */
function warm(items: readonly Entry[], from: number, to: number): void {
  let sum = 0;
  // Where they lie first, because that is a way of three steps, and then what lies there.
  for (let i = from; i < to; i++) {
    const { key, value } = items[i] as Entry;
    sum ^= (key.length === 0 ? 0 : (key[0] as number)) ^ (value.length === 0 ? 0 : (value[0] as number));
  }
  for (let i = from; i < to; i++) {
    const { value } = items[i] as Entry;
    const length = Math.min(value.length, WARMED_BYTES_MAX);
    for (let at = 0; at < length; at += LINE_BYTES) sum ^= value[at] as number;
  }
  // A look whose result nobody wants would be left out.
  seen.bytes = sum;
}

/** Keys and values in memory, in order. What is put in is kept by reference and must not be changed afterwards. */
export class MemoryStore implements ReferenceStore {
  readonly #tree = new SortedTree<Entry>();
  readonly #index: MerkleIndex | undefined;
  #size = 0;
  #bytes = 0;

  /** Tells `index`, if there is one, of each write. */
  constructor(index?: MerkleIndex) {
    this.#index = index;
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What was put, not a copy. */
  get(key: Uint8Array): Uint8Array | undefined {
    return this.#tree.peek().get(key)?.value;
  }

  /** Keeps both as they are: they must not change afterwards. */
  put(key: Uint8Array, value: Uint8Array): void {
    this.#index?.touch(key);
    const before = this.#tree.set({ key, value });
    if (before === undefined) this.#size++;
    this.#bytes += value.length - (before === undefined ? -key.length : before.value.length);
  }

  /** Whether there was such a key. */
  delete(key: Uint8Array): boolean {
    const before = this.#tree.delete(key);
    if (before === undefined) return false;
    this.#index?.touch(key);
    this.#size--;
    this.#bytes -= before.key.length + before.value.length;
    return true;
  }

  /** All entries in order. */
  sorted(): readonly Entry[] {
    return [...this.#tree.peek().range(NO_BYTES, undefined)];
  }

  /** The entries as they are now; later changes do not show in it. Writes are cheaper when it is closed after use. */
  view(): SortedView<Entry> {
    return this.#tree.snapshot();
  }
}

/** A memory store as a replica: for references, for tests, and for data that lives in memory anyway. */
export class MemoryReplica implements ReplicaSource {
  readonly store: MemoryStore;
  readonly #index: MerkleIndex | undefined;
  readonly #options: MemoryReplicaParts;
  position: Position;

  constructor(
    readonly name: string,
    options: MemoryReplicaParts,
  ) {
    this.#options = options;
    checkedName("name", name);
    checkedInteger("position", options.position ?? 0, 0);
    this.#index = options.store === undefined ? new MerkleIndex(options.createHash) : undefined;
    this.store = options.store ?? new MemoryStore(this.#index);
    this.position = options.position ?? 0;
  }

  async snapshot(at: Position): Promise<ReplicaSnapshot> {
    if (at !== this.position) throw behind(this.name, at, `it is at ${this.position}`);
    const view = this.store.view();
    const entries = ({ from, to }: KeyRange): Iterable<Entry> => view.range(from, to, warm);
    const { createHash, pause } = this.#options;
    const kept = this.#index?.view({ entries, ...(pause === undefined ? {} : { pause }) });
    const close = async (): Promise<void> => {
      await kept?.close();
      view.close();
    };
    return streamingSnapshot({ entries, createHash, close, ...(kept === undefined ? {} : { kept }) });
  }
}

interface MemoryReplicaParts {
  readonly createHash: CreateHash;
  readonly position?: Position;
  /** A store that is kept elsewhere; then there is no Merkle tree beside it. */
  readonly store?: MemoryStore;
  readonly pause?: MerkleViewOptions["pause"];
}
