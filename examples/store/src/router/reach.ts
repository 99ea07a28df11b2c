import { ApiError } from "../api/errors.js";
import type { TableRecord } from "../api/model.js";
import { HASH_END, type PartitionRecord } from "../metadata/records.js";
import type { Caller, Method, Params, Result } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import type { LeaderCalls } from "./leader-calls.js";
import type { Routes } from "./routes.js";
import { told } from "./told-error.js";

/** A route that did not lead to the item is tried again after this, even if it is still the same: the nodes may not have heard of their partition yet. */
const ROUTE_PAUSE_MS = 20;
/** Where it is an old one, requests stand still: for all of them together a newer one is asked for this often. */
const ROUTE_LOOK_MS = 2;
/** After a newer one has been seen for one hash: of the others' answers each is its own look-up. */
const ROUTE_LOOKS_MAX = 3;

/** For an answer that is held back for a quarter of a second at most. */
const TOLD_MS = 500;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What partitions are found by: a table's, or those of an index under the index's own id. */
export type Ring = Pick<TableRecord, "name" | "tableId">;

export interface ReachOptions {
  readonly routes: Routes;
  readonly leaders: LeaderCalls;
  readonly callerTo: (nodeId: string) => Caller;
  readonly deadlineMs: number;
}

type Routed = PartitionRecord | undefined | Promise<PartitionRecord | undefined>;

interface Again<T> {
  readonly table: Ring;
  readonly hash: number;
  /** That was tried. */
  readonly route: Routed;
  readonly use: (record: PartitionRecord) => Promise<T>;
  readonly giveUpAt: number;
  readonly inWords: (error: unknown) => unknown;
}

/** From a table and a hash to the node that can answer, whatever moves or dies meanwhile. */
export class Reach {
  readonly #routes: Routes;
  readonly #leaders: LeaderCalls;
  readonly #callerTo: (nodeId: string) => Caller;
  readonly #deadlineMs: number;
  #turn = 0;
  /** Partitions that were not where a route said, each with who looks for a newer one. */
  readonly #sought = new Map<number, Promise<void>>();

  constructor({ routes, leaders, callerTo, deadlineMs }: ReachOptions) {
    this.#routes = routes;
    this.#leaders = leaders;
    this.#callerTo = callerTo;
    this.#deadlineMs = deadlineMs;
  }

  /** As transactions go about it: what failed inside is theirs to understand. */
  readonly forTransactions = {
    atPartition: <T>(table: Ring, hash: number, use: (record: PartitionRecord) => Promise<T>) =>
      this.atRoute(table, hash, use),
    call: <M extends Method>(record: PartitionRecord, method: M, params: Params<M>) =>
      this.atLeader(record, method, params),
  };

  /** Those that there are routes to, without waiting for any to come. */
  async knownPartitions({ tableId }: Ring): Promise<PartitionRecord[]> {
    const found: PartitionRecord[] = [];
    for (let hash = 0; hash < HASH_END; ) {
      const record = await this.#routes.partition(tableId, hash);
      if (record === undefined || record.hashTo <= hash) break;
      found.push(record);
      hash = record.hashTo;
    }
    return found;
  }

  /**
   * Runs `use` with the partition that holds the hash. Where the nodes say that they have no such partition, or that it is split, the route is an old one: the
   * table is looked up again (which also asks for a newer answer), until it is seen to be gone or the nodes have the partition.
   */
  async atRoute<T>(table: Ring, hash: number, use: (record: PartitionRecord) => Promise<T>): Promise<T> {
    return this.#atRoute(table, hash, use, (error) => error);
  }

  /** The same, with what failed inside in the service's words. */
  atPartition<T>(table: Ring, hash: number, use: (record: PartitionRecord) => Promise<T>): Promise<T> {
    return this.#atRoute(table, hash, use, told);
  }

  /** Nearly always the route is known and good: what is for the other cases costs nothing then. */
  #atRoute<T>(
    table: Ring,
    hash: number,
    use: (record: PartitionRecord) => Promise<T>,
    inWords: (error: unknown) => unknown,
  ): Promise<T> {
    const giveUpAt = performance.now() + this.#deadlineMs;
    const route = this.#routes.partition(table.tableId, hash);
    const used = route === undefined || route instanceof Promise ? this.#whenRouted(table, route, use) : use(route);
    return used.catch((error: unknown) => this.#again(error, { table, hash, route, use, giveUpAt, inWords }));
  }

  async #whenRouted<T>(table: Ring, route: Routed, use: (record: PartitionRecord) => Promise<T>): Promise<T> {
    return use(known(table, await route));
  }

  async #again<T>(failure: unknown, { table, hash, route: first, use, giveUpAt, inWords }: Again<T>): Promise<T> {
    let route: Routed = first;
    for (let error = failure; ; ) {
      if (!isElsewhere(error) || performance.now() > giveUpAt) throw inWords(error);
      try {
        await this.#assertStillThere(table);
        route = await this.#newerRoute(table, hash, (await route)?.partition);
        return await this.#whenRouted(table, route, use);
      } catch (next) {
        error = next;
      }
    }
  }

  /** Another route than to that partition as soon as there is one, or after a pause whatever there is. */
  async #newerRoute(
    { tableId }: Ring,
    hash: number,
    partition: number | undefined,
  ): Promise<PartitionRecord | undefined> {
    if (partition === undefined) {
      await wait(ROUTE_PAUSE_MS);
      return await this.#routes.partition(tableId, hash);
    }
    let sought = this.#sought.get(partition);
    if (sought === undefined) {
      sought = this.#seek(tableId, hash, partition).finally(() => this.#sought.delete(partition));
      this.#sought.set(partition, sought);
    }
    await sought;
    // What is known of this hash may be older; to look it up is what has it renewed.
    for (let looks = 1; ; looks++) {
      const record = await this.#routes.partition(tableId, hash);
      if (record?.partition !== partition || looks === ROUTE_LOOKS_MAX) return record;
      await wait(ROUTE_LOOK_MS);
    }
  }

  async #seek(tableId: string, hash: number, partition: number): Promise<void> {
    const until = performance.now() + ROUTE_PAUSE_MS;
    do {
      await wait(ROUTE_LOOK_MS);
      const record = await this.#routes.partition(tableId, hash);
      if (record !== undefined && record.partition !== partition) return;
    } while (performance.now() < until);
  }

  async #assertStillThere(ring: Ring): Promise<void> {
    const table = await this.#routes.table(ring.name);
    const isThere =
      table.tableId === ring.tableId || table.globalIndexes?.some(({ indexId }) => indexId === ring.tableId) === true;
    if (!isThere || table.status === "DELETING") throw new ApiError("ResourceNotFoundException");
  }

  atLeader<M extends Method>(record: PartitionRecord, method: M, params: Params<M>): Promise<Result<M>> {
    return this.#leaders.call(record.partition, record.members, method, params, () => this.#membersNow(record));
  }

  /** To look them up is what has them renewed: this answer may still be the old one, the next one is not. */
  async #membersNow({ tableId, hashFrom, partition, members }: PartitionRecord): Promise<readonly string[]> {
    try {
      const now = await this.#routes.partition(tableId, hashFrom);
      return now?.partition === partition ? now.members : members;
    } catch {
      return members;
    }
  }

  /** Any replica that answers, beginning with another one each time, or with the one that is furthest. */
  async atAny<M extends Method>(
    record: PartitionRecord,
    method: M,
    params: Params<M>,
    beginsWithLatest: boolean,
  ): Promise<Result<M>> {
    if (beginsWithLatest) return await this.atLatest(record, method, params, this.#deadlineMs);
    return await this.#inTurn(record, this.#turn++, method, params, this.#deadlineMs);
  }

  /** Any replica, beginning with the one that is furthest, as far as is known: that of the last leader. */
  async atLatest<M extends Method>(
    record: PartitionRecord,
    method: M,
    params: Params<M>,
    deadlineMs: number,
  ): Promise<Result<M>> {
    const leader = record.members.indexOf(this.#leaders.leaderOf(record.partition) ?? "");
    return await this.#inTurn(record, leader < 0 ? this.#turn++ : leader, method, params, deadlineMs);
  }

  async #inTurn<M extends Method>(
    record: PartitionRecord,
    first: number,
    method: M,
    params: Params<M>,
    deadlineMs: number,
  ): Promise<Result<M>> {
    let failure: StoreError | undefined;
    // A silent one must leave time for the others.
    const timeoutMs = deadlineMs / record.members.length;
    for (let i = 0; i < record.members.length; i++) {
      const node = record.members[(first + i) % record.members.length] as string;
      try {
        return await this.#callerTo(node).call(method, params, { timeoutMs });
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // As this one knows, others will.
        if (error.code === "ERR_STORE_SPLIT") throw error;
        // "No such partition" says more than "no answer": the route may be an old one.
        if (failure?.code !== "ERR_STORE_UNKNOWN_PARTITION") failure = error;
      }
    }
    throw failure ?? new StoreError("ERR_STORE_UNREACHABLE", `partition ${record.partition} has no members`);
  }

  /**
   * Until an index was told of what is decided in these partitions of its table by now, or soon in any case; who leads the index's own partitions is known then.
   * Asked once of whoever leads as far as is known: who reads eventually waits for nobody.
   */
  async indexTold(partitions: readonly PartitionRecord[], indexId: string): Promise<void> {
    await Promise.all(
      partitions.map(async ({ partition }) => {
        const leader = this.#leaders.leaderOf(partition);
        if (leader === undefined) return;
        try {
          const { leaders } = await this.#callerTo(leader).call(
            "indexTold",
            { partition, indexId },
            { timeoutMs: TOLD_MS },
          );
          for (const one of leaders) this.#leaders.heardOf(one.partition, one.node);
        } catch {}
      }),
    );
  }

  async asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw told(error);
    }
  }
}

function isElsewhere(error: unknown): boolean {
  return (
    error instanceof StoreError && (error.code === "ERR_STORE_UNKNOWN_PARTITION" || error.code === "ERR_STORE_SPLIT")
  );
}

function known({ name, tableId }: Ring, record: PartitionRecord | undefined): PartitionRecord {
  // The table is known and its partitions are not: this member of the fleet is a moment behind, or the table is gone.
  if (record === undefined)
    throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `no partition of table ${name} (${tableId}) is known`);
  return record;
}
