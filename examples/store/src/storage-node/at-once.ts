import { largerBytes, TOKEN_VALID_MS } from "../api/transactions.js";
import { type Write, weightOfWrite } from "./command.js";
import {
  type DecidedAction,
  decideAction,
  decideEach,
  type ItemSizes,
  type NodeAction,
  type Refusals,
  writeOf,
} from "./decide-action.js";
import {
  beganAt,
  decodeEnded,
  ENDED_FROM,
  type EndedTransaction,
  encodeEnded,
  endedKey,
  endedSince,
} from "./ended-transaction.js";
import type { Replica } from "./replica.js";
import type { Writer } from "./writer.js";

export interface AtOnceRequest {
  /** As `nameAt` makes it. */
  readonly transaction: string;
  readonly actions: readonly NodeAction[];
}

export type AtOnceResult =
  /** Done. `earlier`: it was before this call. */
  | { readonly sizes: readonly ItemSizes[]; readonly earlier: boolean }
  /** Nothing was done. */
  | { readonly refusals: Refusals }
  /** Nothing was done, and nothing ever will be under this name. `earlier`: that was so before this call. */
  | { readonly ended: true; readonly earlier?: true };

/** What is heavier goes through two phases, whose entries are smaller: it would hold up whoever writes behind it. */
const ENTRY_BYTES_MAX = 2 * 1024 * 1024;
/** An index's part in an item's change, at most: what stands there goes, another comes. */
const INDEX_BYTES_MAX = 2 * 4 * 1024;
/** A request that has been under way for longer does nothing any more: what would tell that it was carried out may soon be forgotten. */
const LATE_AFTER_MS = TOKEN_VALID_MS / 2;
/** Longer than any token stands, and than its request can have taken. */
const KEPT_MS = TOKEN_VALID_MS + 60_000;
const FORGOTTEN_AT_ONCE_MAX = 1_000;
const LOOK_EVERY_MS = 10_000;

/**
 * Transactions all of whose items lie in this partition, at its leader: decided as single writes are, and written as one entry, which is there or is not. No item is
 * ever prepared. With them stands the transaction's name, which is remembered for longer than a client's token stands for it; so whoever does not know what became
 * of a transaction asks for it again, and it is done once.
 */
export class AtOnce {
  readonly #writer: Writer;
  readonly #replica: Replica;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(writer: Writer, replica: Replica) {
    this.#writer = writer;
    this.#replica = replica;
  }

  /**
   * @param again the same may have been asked for before, and be on its way still: then a refusal is for good, as whoever is told of it must not find the
   * transaction done later
   */
  async transact({ transaction, actions }: AtOnceRequest, again: boolean): Promise<AtOnceResult> {
    this.#writer.assertWritable();
    const earlier = this.#ended(transaction);
    if (earlier !== undefined) return await this.#told(transaction, earlier);
    if (Math.max(this.#replica.lastTimeMs, Date.now()) - beganAt(transaction) > LATE_AFTER_MS) {
      await this.#writer.confirm([]);
      return { ended: true };
    }
    const all = decideEach(actions, (action) => decideAction(this.#writer, action));
    if ("refusals" in all) {
      if (again) await this.#append(transaction, { done: false, weights: [] }, []);
      // As for a single write: what a refusal reveals has to be there.
      else await this.#writer.confirm(actions.map(({ key }) => key));
      return all;
    }
    const { decided } = all;
    if (this.#weightOf(decided) > ENTRY_BYTES_MAX) {
      await this.#append(transaction, { done: false, weights: [] }, []);
      return { ended: true };
    }
    const sizes = decided.map((one) => one.sizes);
    const writes: Write[] = [];
    for (const { key, outcome } of decided) {
      const write = writeOf(key, outcome);
      if (write !== undefined) writes.push(write, ...this.#writer.indexWrites(write));
    }
    await this.#append(transaction, { done: true, weights: sizes.map(largerBytes) }, writes);
    return { sizes, earlier: false };
  }

  /** Sees to it that the transaction is never carried out here, unless it was. */
  async abandon(transaction: string): Promise<Exclude<AtOnceResult, { readonly refusals: unknown }>> {
    this.#writer.assertWritable();
    const earlier = this.#ended(transaction);
    if (earlier !== undefined) return await this.#told(transaction, earlier);
    await this.#append(transaction, { done: false, weights: [] }, []);
    return { ended: true };
  }

  /** Lets go of names that are past any question. True where there is more to do. */
  async forgetOld(nowMs: number): Promise<boolean> {
    if (performance.now() - this.#lookedAt < LOOK_EVERY_MS) return false;
    this.#writer.assertLeading();
    const writes: Write[] = [];
    for (const { key } of this.#replica.range({ from: ENDED_FROM, to: endedSince(nowMs - KEPT_MS) })) {
      if (writes.length === FORGOTTEN_AT_ONCE_MAX) break;
      writes.push({ op: "delete", key: Uint8Array.from(key) });
    }
    if (writes.length > 0) await this.#writer.append(writes);
    const more = writes.length === FORGOTTEN_AT_ONCE_MAX;
    if (!more) this.#lookedAt = performance.now();
    return more;
  }

  #ended(transaction: string): EndedTransaction | undefined {
    const found = this.#writer.newest(endedKey(transaction));
    return found && decodeEnded(found.bytes);
  }

  async #told(transaction: string, { done, weights }: EndedTransaction) {
    await this.#writer.confirm([endedKey(transaction)]);
    if (!done) return { ended: true, earlier: true } as const;
    return { earlier: true, sizes: weights.map((bytes) => ({ beforeBytes: bytes, afterBytes: bytes })) };
  }

  #append(transaction: string, ended: EndedTransaction, writes: readonly Write[]): Promise<number> {
    const bytes = encodeEnded(ended);
    const name: Write = { op: "put", key: endedKey(transaction), bytes, itemSizeBytes: 0 };
    return this.#writer.append([...writes, name]);
  }

  #weightOf(decided: readonly DecidedAction[]): number {
    let bytes = 0;
    for (const { key, outcome, sizes } of decided) {
      const write = writeOf(key, outcome);
      if (write === undefined) continue;
      // Where changes are recorded, what is replaced stands beside it.
      bytes += weightOfWrite(write) + (this.#writer.newest(key)?.bytes.length ?? 0);
      bytes += Object.keys(sizes.indexUnits ?? {}).length * INDEX_BYTES_MAX;
    }
    return bytes;
  }
}
