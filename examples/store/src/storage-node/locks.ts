import { ApiError } from "../api/errors.js";
import { StoreError } from "./errors.js";
import { keyText } from "./key-text.js";
import { decodeLock, LOCKS_FROM, LOCKS_TO, type Lock, lockedItem } from "./lock.js";
import type { Replica } from "./replica.js";

/** Prepared items of one partition, past which no more are taken: they are held in memory at its leader, without what will be written. */
const LOCKS_MAX = 20_000;

export interface HeldLock extends Pick<Lock, "transaction" | "ledger"> {
  /** The item's key. */
  readonly key: Uint8Array;
  /** Monotonic, ms: since when this leader knows of it. */
  readonly since: number;
}

/**
 * Which items are prepared, as the leader sees them: including what it has decided and what is not chosen yet, as `Writer` does for items. Read from the
 * replica when a leadership begins.
 */
export class Locks {
  readonly #replica: Replica;
  #held: Map<string, HeldLock> | undefined;
  readonly #ofTransaction = new Map<string, Set<HeldLock>>();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get size(): number {
    return this.#all().size;
  }

  of(itemKey: Uint8Array): HeldLock | undefined {
    const held = this.#all();
    return held.size === 0 ? undefined : held.get(keyText(itemKey));
  }

  ofTransaction(transaction: string): readonly HeldLock[] {
    this.#all();
    return [...(this.#ofTransaction.get(transaction) ?? [])];
  }

  /** @throws ApiError TransactionConflictException */
  assertFree(itemKey: Uint8Array): void {
    if (this.of(itemKey) !== undefined) throw new ApiError("TransactionConflictException");
  }

  /** @throws StoreError ERR_STORE_OVERLOADED */
  assertRoom(count: number): void {
    if (this.size + count > LOCKS_MAX)
      throw new StoreError(
        "ERR_STORE_OVERLOADED",
        `partition ${this.#replica.partition}: ${this.size} items are prepared`,
      );
  }

  /** One of each transaction that this leader has known of for so long. */
  heldFor(ms: number): HeldLock[] {
    if (this.#all().size === 0) return [];
    const before = performance.now() - ms;
    const found: HeldLock[] = [];
    for (const [first] of this.#ofTransaction.values())
      if (first !== undefined && first.since <= before) found.push(first);
    return found;
  }

  add(itemKey: Uint8Array, { transaction, ledger }: Pick<Lock, "transaction" | "ledger">): void {
    const held = { key: itemKey, transaction, ledger, since: performance.now() };
    this.#all().set(keyText(itemKey), held);
    const others = this.#ofTransaction.get(transaction);
    if (others === undefined) this.#ofTransaction.set(transaction, new Set([held]));
    else others.add(held);
  }

  remove(held: HeldLock): void {
    this.#all().delete(keyText(held.key));
    const others = this.#ofTransaction.get(held.transaction);
    others?.delete(held);
    if (others?.size === 0) this.#ofTransaction.delete(held.transaction);
  }

  /** What was decided and not chosen means nothing any more. */
  forget(): void {
    this.#held = undefined;
    this.#ofTransaction.clear();
  }

  #all(): Map<string, HeldLock> {
    if (this.#held !== undefined) return this.#held;
    // All or none: of what rotted half-way, what was found before it is not what is prepared.
    const found: [Uint8Array, Pick<Lock, "transaction" | "ledger">][] = [];
    for (const { key, value } of this.#replica.range({ from: LOCKS_FROM, to: LOCKS_TO })) {
      const item = lockedItem(key);
      if (item === undefined) continue;
      const { transaction, ledger } = decodeLock(value.json);
      // Copies: what the tree hands out are views, and a lock's bytes hold a whole item.
      const own = { partition: ledger.partition, key: Uint8Array.from(ledger.key) };
      found.push([Uint8Array.from(item), { transaction, ledger: own }]);
    }
    this.#held = new Map();
    for (const [item, lock] of found) this.add(item, lock);
    return this.#held;
  }
}
