import type { CreateHash } from "./digest.js";
import { badArgument, checkedInteger, ScrubberError } from "./errors.js";
import { MemoryReplica, type MemoryStore } from "./memory.js";
import type { Position, ReplicaSnapshot, ReplicaSource } from "./source.js";

export interface ReferenceEntry {
  readonly sequence: Position;
  readonly data: Uint8Array;
}

/** The app's own apply function, writing to the reference's store instead of the live one. Throws on an entry that it cannot read. */
export type ReferenceApply = (store: MemoryStore, entry: ReferenceEntry) => void;

export interface ReferenceOptions {
  /** "reference" by default. */
  readonly name?: string;
  readonly apply: ReferenceApply;
  /** The position of the state before the first entry. 0 by default. */
  readonly after?: Position;
  /** Bytes of keys and values that the reference may hold. 1 GiB by default; past it, it fails with ERR_SCRUBBER_REFERENCE_FULL. */
  readonly bytesMax?: number;
}

const BYTES_MAX = 1024 ** 3;

/**
 * A replica that nobody serves from, built offline out of archived entries through the same apply function, but with a store of its own:
 * a bug in the live storage path does not repeat itself here.
 *
 * It fails rather than guesses: after a hole in the entries, an entry that `apply` refuses, or its memory bound, every later call fails
 * with the same error, and a new reference has to be built.
 */
export class Reference implements ReplicaSource {
  readonly #replica: MemoryReplica;
  readonly #apply: ReferenceApply;
  readonly #bytesMax: number;
  #failure: ScrubberError | undefined;

  constructor(
    { name = "reference", apply, after = 0, bytesMax = BYTES_MAX }: ReferenceOptions,
    createHash: CreateHash,
  ) {
    if (typeof apply !== "function") throw badArgument("apply", "a function", apply);
    checkedInteger("after", after, 0);
    checkedInteger("bytesMax", bytesMax, 1);
    this.#replica = new MemoryReplica(name, { createHash, position: after });
    this.#apply = apply;
    this.#bytesMax = bytesMax;
  }

  get name(): string {
    return this.#replica.name;
  }

  /** The last entry applied. */
  get position(): Position {
    return this.#replica.position;
  }

  stats(): { readonly position: Position; readonly keys: number; readonly bytes: number } {
    const { store } = this.#replica;
    return { position: this.position, keys: store.size, bytes: store.bytes };
  }

  /** Applies entries up to `through` (or all). They must follow on without a hole; those applied before are passed over. */
  async advance(
    entries: AsyncIterable<ReferenceEntry> | Iterable<ReferenceEntry>,
    { through = Number.MAX_SAFE_INTEGER }: { readonly through?: Position } = {},
  ): Promise<void> {
    this.#throwIfFailed();
    for await (const entry of entries) {
      if (entry.sequence > through) return;
      if (entry.sequence <= this.position) continue;
      if (entry.sequence !== this.position + 1) {
        this.#fail(
          "ERR_SCRUBBER_REFERENCE_HOLE",
          `entry ${this.position + 1} is missing: the next one is ${entry.sequence}`,
        );
      }
      try {
        this.#apply(this.#replica.store, entry);
      } catch (cause) {
        this.#fail("ERR_SCRUBBER_REFERENCE_APPLY", `entry ${entry.sequence} could not be applied`, cause);
      }
      if (this.#replica.store.bytes > this.#bytesMax) {
        this.#fail("ERR_SCRUBBER_REFERENCE_FULL", `more than ${this.#bytesMax} bytes at entry ${entry.sequence}`);
      }
      this.#replica.position = entry.sequence;
    }
  }

  async snapshot(at: Position): Promise<ReplicaSnapshot> {
    this.#throwIfFailed();
    return this.#replica.snapshot(at);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(code: ScrubberError["code"], what: string, cause?: unknown): never {
    this.#failure = new ScrubberError(code, `${this.name}: ${what}`, { cause });
    throw this.#failure;
  }
}
