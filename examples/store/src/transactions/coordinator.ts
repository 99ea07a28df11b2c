import { randomUUID } from "node:crypto";
import { ApiError, type ApiErrorData } from "../api/errors.js";
import type { ItemKey, TableRecord } from "../api/model.js";
import { cancelled, largerBytes } from "../api/transactions.js";
import type { PartitionRecord } from "../metadata/records.js";
import type { Method, Params, Result } from "../rpc/protocol.js";
import type { ItemSizes, NodeTransactOp } from "../storage-node/decide-action.js";
import { nameAt } from "../storage-node/ended-transaction.js";
import type { PrepareResult } from "../storage-node/participant.js";
import { begin, cancel, commit, forget, type WriteLedger } from "./ledger.js";
import { COORDINATOR_LOST_MS, type LedgerRecord, ledgerKey } from "./ledger-record.js";
import { abandonAtAll, transactAt } from "./one-partition.js";
import { atPartitions, type Place } from "./places.js";

/** Attempts of one request, each after one that was ended without an effect, before the client is to try again. */
const ATTEMPTS_MAX = 8;

export interface Action {
  readonly table: TableRecord;
  readonly key: ItemKey;
  readonly op: NodeTransactOp;
}

export interface TransactionRequest {
  /** Each on another item. */
  readonly actions: readonly Action[];
  /** The client's, if it gave one. */
  readonly token: string | undefined;
  /** The same for the same request. */
  readonly fingerprint: string;
}

export interface TransactionOutcome {
  /** One for each action. */
  readonly sizes: readonly ItemSizes[];
  /** The same request with the same token was carried out before: nothing was done now. */
  readonly repeated: boolean;
}

/** How the nodes are reached: the router's routes and its knowledge of leaders. */
export interface Reach {
  ledgerTable(): Promise<TableRecord>;
  /** Runs `use` with the partition that holds the hash, again with a newer one where that is an old route. */
  atPartition<T>(table: TableRecord, hash: number, use: (record: PartitionRecord) => Promise<T>): Promise<T>;
  call<M extends Method>(record: PartitionRecord, method: M, params: Params<M>): Promise<Result<M>>;
}

/** What is done next, or for one of several partitions: where a coordinator may die. */
export type Step =
  | "begin"
  | "prepare"
  | "prepared"
  | "decide"
  | "decided"
  | "finish"
  | "finished"
  | "transact"
  | "transacted";

interface Part {
  /** Which had them all when the transaction began. */
  readonly partition: number;
  readonly table: TableRecord;
  /** Of the request's actions. */
  readonly places: Place[];
}

/** What one partition answered, of the actions at these positions. */
interface At<T> {
  readonly at: readonly number[];
  readonly result: T;
}

type Prepared = Extract<PrepareResult, { readonly sizes: unknown }>;

/** One attempt of a request, under a name of its own. */
interface Attempt {
  readonly transaction: string;
  readonly parts: readonly Part[];
  readonly actions: readonly Action[];
  /** Begun by an earlier request. */
  readonly again: boolean;
}

/**
 * Carries transactions out, in the two phases of "Distributed Transactions at Scale in Amazon DynamoDB" (ATC 2023): written down in the ledger, prepared at
 * the leaders of all partitions, decided by one write in the ledger, made so at all partitions. Where one partition has all items it carries the transaction out
 * at once, in one entry; then the ledger says under which name that is known there. It keeps nothing in memory that anybody needs: where it
 * dies, whoever meets what it left looks into the ledger, and cancels or finishes it.
 */
export class Coordinator {
  readonly #reach: Reach;
  /** For tests and game days: a step that never ends is a coordinator that died before it. */
  onStep: (step: Step, transaction: string) => void | Promise<void> = () => undefined;
  /** When the coordinator of an earlier request with the same token is taken for lost. */
  lostAfterMs = COORDINATOR_LOST_MS;

  constructor(reach: Reach) {
    this.#reach = reach;
  }

  /** Resolves when the transaction is committed and every item says so. @throws ApiError */
  async run(request: TransactionRequest): Promise<TransactionOutcome> {
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      const outcome = await this.#attempt(request, attempts === 0);
      if (outcome !== undefined) return outcome;
    }
    throw new ApiError("TransactionInProgressException");
  }

  /** Undefined: what was begun has ended without an effect, and for no reason that is the client's. */
  async #attempt(
    { actions, token, fingerprint }: TransactionRequest,
    mayBeAtOnce: boolean,
  ): Promise<TransactionOutcome | undefined> {
    const parts = await this.#parts(actions);
    const atOnce = mayBeAtOnce && parts.length === 1;
    const atMs = Date.now();
    const transaction = atOnce ? nameAt(atMs, randomUUID()) : randomUUID();
    // Nobody can come back with what has no token, and nothing is left half-way: the ledger would have nothing to say.
    if (atOnce && token === undefined) return await this.#atOnce({ transaction, parts, actions, again: false });
    const id = token === undefined ? `u/${randomUUID()}` : `t/${token}`;
    const ledger = await this.#reach.ledgerTable();
    const key = ledgerKey(id);
    const record: LedgerRecord = {
      id,
      transaction,
      state: atOnce ? "at-once" : "preparing",
      fingerprint,
      atMs,
      partitions: parts.map(({ partition }) => partition),
      ...(atOnce ? { tableId: parts[0]?.table.tableId as string } : {}),
      committedAtMs: 0,
      sizes: [],
    };
    const write = await this.#ledgerAt(ledger, key);
    await this.onStep("begin", transaction);
    const earlier = await this.#begin(write.op, record);
    if (earlier?.state === "committed") return await this.#repeat(earlier, parts);
    if (earlier !== undefined && wasOfAnotherTable(earlier, actions))
      return await this.#goneWithItsTable(earlier, parts);
    if (earlier !== undefined)
      return await this.#atOnce({ transaction: earlier.transaction, parts, actions, again: true }, write.op);
    if (atOnce) return await this.#atOnce({ transaction, parts, actions, again: false }, write.op);
    return await this.#inTwoPhases(write, key, record, parts, actions);
  }

  /** @param write absent: nothing of it is in the ledger */
  async #atOnce(
    { transaction, parts, actions, again }: Attempt,
    write?: WriteLedger,
  ): Promise<TransactionOutcome | undefined> {
    await this.onStep("transact", transaction);
    const [part] = parts;
    const result =
      part !== undefined && parts.length === 1
        ? await transactAt(this.#reach, part, actions, transaction, again)
        : await abandonAtAll(this.#reach, parts, transaction);
    await this.onStep("transacted", transaction);
    if ("sizes" in result) return { sizes: result.sizes, repeated: again && result.earlier };
    // Where that fails the next one with this token does it.
    if (write !== undefined) await forget(write, transaction).catch(() => undefined);
    if ("refusals" in result) throw cancelled(result.refusals.map((refusal) => refusal ?? undefined));
    // Another request with the token was told what became of it: only who asks once more, and hears of it, has it begun anew.
    if (write !== undefined && result.earlier) throw new ApiError("TransactionInProgressException");
    return undefined;
  }

  async #inTwoPhases(
    write: { readonly op: WriteLedger; readonly partition: number },
    key: ItemKey,
    record: LedgerRecord,
    parts: readonly Part[],
    actions: readonly Action[],
  ): Promise<TransactionOutcome> {
    const { transaction } = record;
    const ledgerPlace = { partition: write.partition, key: key.bytes };
    try {
      const prepared = await this.#prepare(parts, actions, transaction, ledgerPlace);
      const sizes = inOrder(
        prepared.map(({ at, result }) => ({ at, values: result.sizes })),
        actions.length,
      );
      await this.onStep("decide", transaction);
      const committedAtMs = timeOf(prepared.map(({ result }) => result.preparedAtMs));
      const decided = {
        ...record,
        atMs: Math.max(Date.now(), record.atMs),
        committedAtMs,
        sizes: sizes.map(largerBytes),
      };
      return await this.#decide(write.op, decided, parts, sizes);
    } catch (error) {
      if (error instanceof Undecided) throw error.cause;
      await this.#cancel(write.op, parts, transaction);
      throw error;
    }
  }

  async #ledgerAt(ledger: TableRecord, { hash, bytes }: ItemKey): Promise<{ op: WriteLedger; partition: number }> {
    const { partition } = await this.#reach.atPartition(ledger, hash, async (record) => record);
    const op: WriteLedger = (op) =>
      this.#reach.atPartition(ledger, hash, (record) =>
        this.#reach.call(record, "write", { partition: record.partition, key: bytes, op }),
      );
    return { op, partition };
  }

  /** The actions of each partition together, in the order in which they are first met. */
  async #parts(actions: readonly Action[]): Promise<Part[]> {
    const parts = new Map<number, Part>();
    for (const [i, { table, key }] of actions.entries()) {
      const { partition } = await this.#reach.atPartition(table, key.hash, async (found) => found);
      const part = parts.get(partition) ?? { partition, table, places: [] };
      part.places.push({ hash: key.hash, at: i });
      parts.set(partition, part);
    }
    return [...parts.values()];
  }

  /** Returns an earlier attempt of the same request and token: one that is committed, or at once. @throws ApiError for another request, or one that is under way */
  async #begin(write: WriteLedger, record: LedgerRecord): Promise<LedgerRecord | undefined> {
    for (;;) {
      const earlier = await begin(write, record);
      if (earlier === undefined) return undefined;
      if (earlier.fingerprint !== record.fingerprint) throw new ApiError("IdempotentParameterMismatchException");
      if (earlier.state !== "preparing") return earlier;
      // In either direction: the clock may have been ahead when the earlier one began.
      if (Math.abs(record.atMs - earlier.atMs) < this.lostAfterMs) throw new ApiError("TransactionInProgressException");
      // Where it was committed meanwhile the next look finds it so.
      await cancel(write, earlier.transaction);
    }
  }

  /**
   * The table is another one under the same name by now. Whatever was done went with the one before, which is as if it had been done right before that went; it is not done a second time. What was
   * looked up is asked, so that nobody answers so who has yet to hear of the table that there is.
   */
  async #goneWithItsTable({ transaction }: LedgerRecord, parts: readonly Part[]): Promise<TransactionOutcome> {
    await abandonAtAll(this.#reach, parts, transaction);
    const count = parts.reduce((sum, { places }) => sum + places.length, 0);
    return { repeated: true, sizes: Array.from({ length: count }, () => ({ beforeBytes: 0, afterBytes: 0 })) };
  }

  async #repeat(earlier: LedgerRecord, parts: readonly Part[]): Promise<TransactionOutcome> {
    await this.#finish(parts, earlier.transaction, earlier.committedAtMs);
    return { repeated: true, sizes: earlier.sizes.map((bytes) => ({ beforeBytes: bytes, afterBytes: bytes })) };
  }

  async #prepare(
    parts: readonly Part[],
    actions: readonly Action[],
    transaction: string,
    ledger: { readonly partition: number; readonly key: Uint8Array },
  ): Promise<At<Prepared>[]> {
    const results = await allEnded(
      parts.map(async ({ table, places }) => {
        await this.onStep("prepare", transaction);
        const result = await atPartitions(this.#reach, table, places, ({ partition, ...record }, at) => {
          const asked = at.map((i) => ({ key: (actions[i] as Action).key.bytes, op: (actions[i] as Action).op }));
          const request = { partition, transaction, ledger, actions: asked };
          return this.#reach.call({ partition, ...record }, "prepare", request);
        });
        await this.onStep("prepared", transaction);
        return result;
      }),
    );
    const all = results.flat();
    if (all.some(({ result }) => "refusals" in result)) throw cancelled(refusalsOf(all, actions.length));
    return all as At<Prepared>[];
  }

  async #decide(
    write: WriteLedger,
    record: LedgerRecord,
    parts: readonly Part[],
    sizes: readonly ItemSizes[],
  ): Promise<TransactionOutcome> {
    // From here on nobody but the ledger knows: what fails below is left to who reads it there.
    const committed = await commit(write, record).catch((cause: unknown) => {
      throw new Undecided(cause);
    });
    if (!committed) throw conflict(record);
    try {
      await this.onStep("decided", record.transaction);
      await this.#finish(parts, record.transaction, record.committedAtMs);
    } catch (cause) {
      throw new Undecided(cause);
    }
    return { sizes, repeated: false };
  }

  async #finish(parts: readonly Part[], transaction: string, committedAtMs: number): Promise<void> {
    await allEnded(
      parts.map(async (part) => {
        await this.onStep("finish", transaction);
        // Where the table is gone, what was prepared there went with it: that was deleted after the transaction.
        await this.#resolve(part, { transaction, committedAtMs }).catch((error: unknown) => {
          if (!(error instanceof ApiError) || error.type !== "ResourceNotFoundException") throw error;
        });
        await this.onStep("finished", transaction);
      }),
    );
  }

  /** Tries to leave nothing behind. What is left is cancelled by who meets it. */
  async #cancel(write: WriteLedger, parts: readonly Part[], transaction: string): Promise<void> {
    await this.onStep("finish", transaction);
    const committed = await cancel(write, transaction).catch(() => undefined);
    if (committed !== undefined) return;
    await Promise.allSettled(parts.map((part) => this.#resolve(part, { transaction })));
  }

  #resolve({ table, places }: Part, request: { transaction: string; committedAtMs?: number }): Promise<unknown> {
    return atPartitions(this.#reach, table, places, (record) =>
      this.#reach.call(record, "resolve", { partition: record.partition, ...request }),
    );
  }
}

const wasOfAnotherTable = ({ tableId }: LedgerRecord, actions: readonly Action[]): boolean =>
  tableId !== undefined && actions.some(({ table }) => table.tableId !== tableId);

/**
 * The transaction's time: now, but later than all its parts were prepared, and not by more than it can have taken. So a coordinator's clock that is wrong, by
 * however much, does not set the clocks of logs.
 */
function timeOf(preparedAtMs: readonly number[]): number {
  const prepared = Math.max(...preparedAtMs);
  return Math.min(Math.max(Date.now(), prepared + 1), prepared + COORDINATOR_LOST_MS);
}

/** It may be committed, or is: nothing must be cancelled. */
class Undecided extends Error {
  constructor(cause: unknown) {
    super("the transaction may be committed", { cause });
  }
}

/** As `Promise.all`, but nothing goes on behind the caller's back. */
async function allEnded<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

function inOrder<T>(some: readonly { readonly at: readonly number[]; readonly values: readonly T[] }[], count: number) {
  const all = new Array<T>(count);
  for (const { at, values } of some) for (const [i, position] of at.entries()) all[position] = values[i] as T;
  return all;
}

function refusalsOf(results: readonly At<PrepareResult>[], count: number): (ApiErrorData | undefined)[] {
  const refusals = results.map(({ at, result }) => ({
    at,
    values: "refusals" in result ? result.refusals : at.map(() => null),
  }));
  return inOrder(refusals, count).map((refusal) => refusal ?? undefined);
}

/** It took so long that another one took it for lost and cancelled it. */
function conflict({ sizes }: LedgerRecord): ApiError {
  const refusal = new ApiError("TransactionConflictException").toData();
  return cancelled(sizes.map(() => refusal));
}
