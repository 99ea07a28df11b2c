import { copyOf } from "./bytes.js";
import type { CreateHash } from "./digest.js";
import { badArgument, behind, checkedInteger, checkOptions, ScrubberError } from "./errors.js";
import { MemoryStore } from "./memory.js";
import { MerkleIndex } from "./merkle.js";
import type { ReferenceState, ReferenceStore } from "./reference-store.js";
import type { Entry, KeyRange, Position, ReplicaSnapshot, ReplicaSource, SourceKind } from "./source.js";
import { streamingSnapshot } from "./streaming.js";

export interface ReferenceEntry {
  readonly sequence: Position;
  readonly data: Uint8Array;
}

/** The app's own apply function, writing to the reference's store instead of the live one. Throws on an entry that it cannot read. */
export type ReferenceApply = (state: ReferenceState, entry: ReferenceEntry) => void;

/** A state that entries follow on: what an archive's snapshot restores. */
export interface ReferenceSnapshot {
  readonly position: Position;
  readonly entries: AsyncIterable<Entry> | Iterable<Entry>;
}

export interface ReferenceOptions {
  /** "reference" by default. */
  readonly name?: string;
  /** The app's own: puts one entry into the state. What it throws fails the reference for good (ERR_SCRUBBER_REFERENCE_APPLY). */
  readonly apply: ReferenceApply;
  /** The position of the state before the first entry. 0 by default, or what the store has saved. */
  readonly after?: Position;
  /** Where the state is kept: in memory by default; a `ScratchStore` keeps it on disk, in bounded memory, from pass to pass. */
  readonly store?: ReferenceStore;
  /**
   * Whether digests are kept along with what is applied, so that kept passes need not read the reference: about 300 bytes in memory for each 4 KiB that a pass went over, whatever
   * the store. Without them memory is the store's alone, and a kept pass reads the reference. True by default.
   */
  readonly keepDigests?: boolean;
  /** Bytes of keys and values that the reference may hold. 1 GiB by default; past it, it fails with ERR_SCRUBBER_REFERENCE_FULL. */
  readonly bytesMax?: number;
}

const BYTES_MAX = 1024 ** 3;

/**
 * A replica that nobody serves from, built offline out of a snapshot and archived entries through the same apply function, but with a store of
 * its own: a bug in the live storage path does not repeat itself here.
 *
 * It fails rather than guesses: after a hole in the entries, an entry that `apply` refuses, or its memory bound, every later call fails
 * with the same error, and a new reference has to be built.
 */
export class Reference implements ReplicaSource {
  readonly name: string;
  readonly kind: SourceKind = "reference";
  readonly #apply: ReferenceApply;
  readonly #bytesMax: number;
  readonly #store: ReferenceStore;
  readonly #state: ReferenceState;
  readonly #index: MerkleIndex | undefined;
  readonly #createHash: CreateHash;
  #position: Position;
  #failure: ScrubberError | undefined;

  constructor(
    {
      name = "reference",
      apply,
      store = new MemoryStore(),
      after,
      keepDigests = true,
      bytesMax = BYTES_MAX,
    }: ReferenceOptions = {} as ReferenceOptions,
    createHash: CreateHash,
  ) {
    if (typeof apply !== "function") throw badArgument("apply", "a function", apply);
    if (after !== undefined) checkedInteger("after", after, 0);
    checkedInteger("bytesMax", bytesMax, 1);
    const saved = store.savedPosition;
    if (saved !== undefined && after !== undefined && saved !== after)
      throw badArgument("after", `what the store has saved, ${saved}, or left out`, after);
    this.name = name;
    this.#position = saved ?? after ?? 0;
    this.#apply = apply;
    this.#bytesMax = bytesMax;
    this.#store = store;
    this.#createHash = createHash;
    const index = keepDigests ? new MerkleIndex(createHash) : undefined;
    this.#index = index;
    this.#state = {
      get: (key) => store.get(key),
      put: (key, value) => {
        index?.touch(key);
        store.put(key, value);
      },
      delete: (key) => {
        index?.touch(key);
        store.delete(key);
      },
    };
  }

  /** The last entry applied. */
  get position(): Position {
    return this.#position;
  }

  stats(): { readonly position: Position; readonly keys: number | undefined; readonly bytes: number } {
    return { position: this.position, keys: this.#store.size, bytes: this.#store.bytes };
  }

  /** Starts from a snapshot of the state instead of from nothing. Only before the first entry, with an empty store. */
  async load({ position, entries }: ReferenceSnapshot): Promise<void> {
    this.#throwIfFailed();
    checkedInteger("position", position, 0);
    if (this.#position !== 0 || this.#store.bytes > 0)
      throw badArgument("load", "called on a reference that holds nothing yet", `one at ${this.#position}`);
    try {
      for await (const { key, value } of entries) {
        this.#state.put(copyOf(key), copyOf(value));
        await this.#settle(`in the snapshot at ${position}`);
      }
    } catch (error) {
      // Half a snapshot is no state to go on from.
      if (this.#failure === undefined)
        this.#failure = new ScrubberError(
          "ERR_SCRUBBER_REFERENCE_APPLY",
          `${this.name}: the snapshot at ${position} could not be read`,
          {
            cause: error,
          },
        );
      throw error;
    }
    this.#position = position;
  }

  /**
   * Applies entries up to `through` (or all). They must follow on without a hole; those applied before are passed over. A store that can be saved is
   * saved at the end: the next pass goes on from there, also in the next process.
   */
  async advance(
    entries: AsyncIterable<ReferenceEntry> | Iterable<ReferenceEntry>,
    options: { readonly through?: Position } = {},
  ): Promise<void> {
    const { through = Number.MAX_SAFE_INTEGER } = checkOptions("advance", options, { through: 0 });
    this.#throwIfFailed();
    for await (const entry of entries) {
      if (entry.sequence > through) break;
      if (entry.sequence <= this.#position) continue;
      if (entry.sequence !== this.#position + 1) {
        this.#fail(
          "ERR_SCRUBBER_REFERENCE_HOLE",
          `entry ${this.#position + 1} is missing: the next one is ${entry.sequence}`,
        );
      }
      try {
        this.#apply(this.#state, entry);
      } catch (cause) {
        this.#fail("ERR_SCRUBBER_REFERENCE_APPLY", `entry ${entry.sequence} could not be applied`, cause);
      }
      this.#position = entry.sequence;
      await this.#settle(`at entry ${entry.sequence}`);
    }
    if (this.#store.save !== undefined && this.#store.savedPosition !== this.#position)
      await this.#store.save(this.#position);
  }

  async snapshot(at: Position): Promise<ReplicaSnapshot> {
    this.#throwIfFailed();
    if (at !== this.#position) throw behind(this.name, at, `it is at ${this.#position}`);
    const view = this.#store.view();
    const entries = ({ from, to }: KeyRange): Iterable<Entry> => view.range(from, to);
    const kept = this.#index?.view({ entries });
    return streamingSnapshot({
      entries,
      createHash: this.#createHash,
      ...(kept === undefined ? {} : { kept }),
      close: async () => {
        await kept?.close();
        view.close?.();
      },
    });
  }

  async #settle(where: string): Promise<void> {
    if (this.#store.bytes > this.#bytesMax)
      this.#fail("ERR_SCRUBBER_REFERENCE_FULL", `more than ${this.#bytesMax} bytes ${where}`);
    if (this.#store.settle === undefined) return;
    try {
      await this.#store.settle();
    } catch (cause) {
      this.#fail("ERR_SCRUBBER_SCRATCH", `the store failed ${where}`, cause);
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(code: ScrubberError["code"], what: string, cause?: unknown): never {
    this.#failure = new ScrubberError(code, `${this.name}: ${what}`, { cause });
    throw this.#failure;
  }
}
