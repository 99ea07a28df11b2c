import { channel } from "node:diagnostics_channel";
import { hashOfKey } from "../api/keys.js";
import { TOKEN_VALID_MS } from "../api/transactions.js";
import { Rounds } from "../control/rounds.js";
import { itemOf } from "../item-of.js";
import type { PartitionRecord } from "../metadata/records.js";
import type { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import type { HeldLock } from "../storage-node/locks.js";
import { FIRST_ITEM_KEY } from "../storage-node/own-keys.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { cancel, forget, type WriteLedger } from "./ledger.js";
import { LEDGER_TABLE, type LedgerRecord, ledgerRecord } from "./ledger-record.js";

/** Records of the ledger looked at in one round, for those whose time is up. */
const RECORDS_PER_ROUND_MAX = 1_000;
const CALL_DEADLINE_MS = 5_000;

/** Published with `{ partition, transaction, committed }` when this node finished what a coordinator left. */
const recovered = channel("evenkeel:store:transaction-recovered");

export interface RecoveryOptions {
  readonly partitions: () => Iterable<PartitionHost>;
  readonly view: MetadataView;
  readonly callerTo: (nodeId: string) => Caller;
  /** An item that has been prepared for so long has lost its coordinator. */
  readonly afterMs: number;
  /** Wall clock: what a client's token is promised in. */
  readonly nowMs: () => number;
}

/**
 * Finishes transactions whose coordinator is gone, and forgets finished ones. The leader of each partition looks for items that have been prepared for long, and
 * asks the ledger, by cancelling the transaction there: either that succeeds, or it is committed. To do so while the coordinator lives does no harm but to
 * that transaction. The leaders of the ledger's partitions let go of records after ten minutes, and before that see to it that all partitions have
 * made so what was committed: who finds no record of a transaction may take it for cancelled.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #calls: LeaderCalls;
  readonly #rounds: Rounds;
  /** How far the look through each partition of the ledger has come. */
  readonly #cursors = new Map<number, Uint8Array>();

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: CALL_DEADLINE_MS });
    this.#rounds = new Rounds(() => this.#round());
  }

  async #round(): Promise<boolean> {
    let more = false;
    for (const host of [...this.#options.partitions()]) {
      if (!host.group.leadership().ready || !host.serves) continue;
      // One that fails is looked at again in the next round, and does not hold up the others.
      more = (await this.#settleAll(host).catch(() => false)) || more;
      more = (await host.atOnce.forgetOld(this.#options.nowMs()).catch(() => false)) || more;
      if (this.#isLedger(host)) more = (await this.#forgetOld(host).catch(() => false)) || more;
    }
    return more;
  }

  /** True where something is prepared: it is worth looking again soon. */
  async #settleAll(host: PartitionHost): Promise<boolean> {
    // What the leader knows of locks is of this leadership from here on.
    host.writer.assertLeading();
    const { locks } = host.participant;
    // Likewise one whose part of the ledger cannot be reached, or which has rotted.
    for (const held of locks.heldFor(this.#options.afterMs)) await this.#settle(host, held).catch(() => undefined);
    return locks.size > 0;
  }

  async #settle({ partition, participant }: PartitionHost, { transaction, ledger }: HeldLock): Promise<void> {
    // By its key: the partition where the record was written may have been split.
    const { view } = this.#options;
    const tableId = view.tables.get(LEDGER_TABLE)?.tableId;
    const hash = hashOfKey(ledger.key);
    const place = tableId === undefined ? undefined : view.partitionAt(tableId, hash);
    if (place === undefined) return;
    const committed = await cancel(this.#writeTo(place, ledger.key), transaction);
    const request = committed === undefined ? {} : { committedAtMs: committed.committedAtMs };
    await participant.resolve({ transaction, ...request });
    if (recovered.hasSubscribers) recovered.publish({ partition, transaction, committed: committed !== undefined });
  }

  #writeTo({ partition, members }: PartitionRecord, key: Uint8Array): WriteLedger {
    return (op) => this.#calls.call(partition, members, "write", { partition, key, op });
  }

  #isLedger({ partition }: PartitionHost): boolean {
    const { tables, partitions } = this.#options.view;
    const ledger = tables.get(LEDGER_TABLE);
    return ledger !== undefined && partitions.get(partition)?.tableId === ledger.tableId;
  }

  /** Looks at the next records. True where it is worth going on at once. */
  async #forgetOld({ partition, replica }: PartitionHost): Promise<boolean> {
    const before = this.#options.nowMs() - TOKEN_VALID_MS;
    const place = this.#options.view.partitions.get(partition);
    if (place === undefined) return false;
    const old: { readonly key: Uint8Array; readonly record: LedgerRecord }[] = [];
    let last: Uint8Array | undefined;
    let count = 0;
    for (const { key, value } of replica.range({ from: this.#cursors.get(partition) ?? FIRST_ITEM_KEY })) {
      if (count++ >= RECORDS_PER_ROUND_MAX) {
        last = Uint8Array.from(key);
        break;
      }
      const record = ledgerRecord(itemOf(value.json));
      if (record.atMs < before) old.push({ key: Uint8Array.from(key), record });
    }
    if (last === undefined) this.#cursors.delete(partition);
    else this.#cursors.set(partition, last);
    for (const { key, record } of old) await this.#forget(this.#writeTo(place, key), record);
    return old.length > 0 && last !== undefined;
  }

  async #forget(write: WriteLedger, record: LedgerRecord): Promise<void> {
    const { transaction } = record;
    if (record.state === "at-once") return await forget(write, transaction);
    const committed = record.state === "committed" ? record : await cancel(write, transaction);
    if (committed === undefined) return;
    const { committedAtMs } = committed;
    // Where a table was deleted, there is none, and what was prepared there went with it.
    for (const { partition, members } of committed.partitions.flatMap((one) => this.#options.view.heirsOf(one)))
      await this.#calls.call(partition, members, "resolve", { partition, transaction, committedAtMs });
    await forget(write, transaction);
  }

  async close(): Promise<void> {
    await this.#rounds.close();
  }
}
