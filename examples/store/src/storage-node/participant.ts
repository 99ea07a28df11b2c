import type { Write } from "./command.js";
import {
  type DecidedAction,
  decideAction,
  decideEach,
  type ItemSizes,
  type NodeAction,
  type Refusals,
  sizesOf,
  writeOf,
} from "./decide-action.js";
import { commitMark, decodeLock, encodeLock, type Lock, lockKey } from "./lock.js";
import type { HeldLock, Locks } from "./locks.js";
import { wasSplit } from "./paxos-errors.js";
import type { Replica } from "./replica.js";
import type { Writer } from "./writer.js";

export interface PrepareRequest {
  readonly transaction: string;
  readonly ledger: Lock["ledger"];
  /** Each of another item. */
  readonly actions: readonly NodeAction[];
}

export type PrepareResult =
  /** All are prepared. What the transaction's time is later than, and what each item weighs before and after. */
  | { readonly preparedAtMs: number; readonly sizes: readonly ItemSizes[] }
  /** Nothing is prepared. */
  | { readonly refusals: Refusals };

export interface ResolveRequest {
  readonly transaction: string;
  /** The transaction's time, Unix ms; absent: it is cancelled. */
  readonly committedAtMs?: number;
}

export interface VersionedItems {
  /** Slot through which this was read. */
  readonly slot: number;
  /** No item was deleted after this slot. */
  readonly lastDeleteSlot: number;
  readonly items: readonly {
    readonly json?: Uint8Array;
    readonly itemSizeBytes: number;
    /** What wrote it last; 0 where there is no item. */
    readonly slot: number;
    /** A transaction has prepared it: what is read may be about to change together with other items. */
    readonly prepared: boolean;
  }[];
}

/** Whoever waits for nothing to be prepared asks more often than this; one that asks no more keeps nobody out for long. */
const QUIET_MS = 500;
/** About as much in one atomic part of an entry. */
const PART_BYTES_MAX = 256 * 1024;

/**
 * A partition's part in transactions, at its leader. Preparing decides what each write comes to, as `Writer` does for single ones, and puts that down
 * beside the item, where it is replicated and survives whatever the item survives; from then on nobody else writes the item. Resolving makes it so, or
 * forgets it. Both may be asked for again, by whoever: what is done is not done twice.
 *
 * A transaction's time is later than that of every entry that prepared a part of it, and no entry that commits a part of it has an earlier one: `noteTime`.
 * So along each partition's log, and hence for each item, transactions and single writes are in the order of their times.
 */
export class Participant {
  readonly #writer: Writer;
  readonly #replica: Replica;
  /** Resolutions that are decided here and not chosen yet. */
  readonly #resolving = new Map<string, Promise<unknown>>();
  /** Monotonic, ms: until then no transaction begins here. */
  #quietUntil = 0;

  constructor(writer: Writer, replica: Replica) {
    this.#writer = writer;
    this.#replica = replica;
  }

  get locks(): Locks {
    return this.#writer.locks;
  }

  /** 0 where this node cannot say. */
  preparedItems(): number {
    try {
      this.#writer.assertLeading();
      return this.locks.size;
    } catch {
      return 0;
    }
  }

  /** True where nothing is prepared. For a moment no transaction that has nothing here prepares anything, so that asking again comes to it. */
  isQuiet(): boolean {
    this.#writer.assertLeading();
    this.#quietUntil = performance.now() + QUIET_MS;
    return this.locks.size === 0;
  }

  /** @throws StoreError ERR_STORE_SPLIT where the partition is split, or about to be */
  async prepare({ transaction, ledger, actions }: PrepareRequest): Promise<PrepareResult> {
    this.#writer.assertWritable();
    if (performance.now() < this.#quietUntil && this.locks.ofTransaction(transaction).length === 0)
      throw wasSplit(this.#replica.partition);
    const missing: DecidedAction[] = [];
    const all = decideEach(actions, (action) => {
      const held = this.#heldBy(transaction, action.key);
      if (held !== undefined) return held;
      const one = decideAction(this.#writer, action);
      missing.push(one);
      return one;
    });
    if ("refusals" in all) {
      // As for a single write: what a refusal reveals has to be there.
      await this.#writer.confirm(actions.map(({ key }) => key));
      return all;
    }
    const prepared = all.decided;
    this.locks.assertRoom(missing.length);
    const done = missing.map(({ key, outcome }) => {
      const bytes = encodeLock({ transaction, ledger, outcome });
      const slot = this.#writer.append([{ op: "put", key: lockKey(key), bytes, itemSizeBytes: bytes.length }]);
      this.locks.add(Uint8Array.from(key), { transaction, ledger: { ...ledger, key: Uint8Array.from(ledger.key) } });
      return slot;
    });
    await Promise.all(done);
    if (missing.length < actions.length) await this.#writer.confirm(actions.map(({ key }) => lockKey(key)));
    return { preparedAtMs: this.#replica.lastTimeMs, sizes: prepared.map(({ sizes }) => sizes) };
  }

  /** Prepared already, by an earlier try whose answer was lost. */
  #heldBy(transaction: string, key: Uint8Array): DecidedAction | undefined {
    if (this.locks.of(key)?.transaction !== transaction) return undefined;
    const { outcome } = this.#read(key);
    return { key, outcome, sizes: sizesOf(this.#writer, key, outcome, true) };
  }

  #read(key: Uint8Array): Lock {
    const bytes = this.#writer.newest(lockKey(key));
    if (bytes === undefined) throw new Error("a lock that is held is not there");
    return decodeLock(bytes.bytes);
  }

  /** Makes so what the transaction has prepared here, or forgets it. Resolves when that is chosen, or was before; with how many items. */
  async resolve({ transaction, committedAtMs }: ResolveRequest): Promise<number> {
    this.#writer.assertLeading();
    const held = this.locks.ofTransaction(transaction);
    if (held.length === 0) {
      // Nothing was prepared when it was split; what is prepared since then is in its parts.
      this.#writer.assertWritable();
      await this.#resolving.get(transaction);
      await this.#writer.confirm([]);
      return 0;
    }
    if (committedAtMs !== undefined) this.#writer.noteTime(committedAtMs);
    // All of it is read before any of it is appended: where something has rotted, what is prepared stays so.
    const parts = [...this.#resolution(held, committedAtMs)];
    const all = Promise.all(parts.map((writes) => this.#writer.append(writes)));
    for (const one of held) this.locks.remove(one);
    this.#resolving.set(transaction, all);
    try {
      await all;
    } finally {
      if (this.#resolving.get(transaction) === all) this.#resolving.delete(transaction);
    }
    return held.length;
  }

  *#resolution(held: readonly HeldLock[], committedAtMs: number | undefined): Generator<Write[], void, undefined> {
    let writes: Write[] = [];
    let bytes = 0;
    for (const { key, transaction } of held) {
      if (committedAtMs !== undefined) {
        if (writes.length === 0) writes.push(commitMark(transaction, committedAtMs));
        const { outcome } = this.#read(key);
        const write = writeOf(key, outcome);
        if (write !== undefined) writes.push(write, ...this.#writer.indexWrites(write));
        bytes += outcome.op === "put" ? outcome.bytes.length : 0;
        // Where changes are recorded, what is replaced stands beside it.
        bytes += this.#writer.newest(key)?.bytes.length ?? 0;
      }
      writes.push({ op: "delete", key: lockKey(key) });
      bytes += 2 * key.length;
      if (bytes < PART_BYTES_MAX) continue;
      yield writes;
      writes = [];
      bytes = 0;
    }
    if (writes.length > 0) yield writes;
  }

  /** As of what is applied here; for a reader that has made sure that this node leads. */
  versioned(keys: readonly Uint8Array[]): VersionedItems {
    const { appliedThrough, lastDeleteSlot } = this.#replica;
    return {
      slot: appliedThrough,
      lastDeleteSlot,
      items: keys.map((key) => {
        const value = this.#replica.get(key);
        const prepared = this.#replica.get(lockKey(key)) !== undefined;
        if (value === undefined) return { itemSizeBytes: 0, slot: 0, prepared };
        return { json: value.json, itemSizeBytes: value.itemSizeBytes, slot: value.slot, prepared };
      }),
    };
  }
}
