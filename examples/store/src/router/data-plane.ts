import type { Admission, Limit } from "@evenkeel/admission-control";
import { getAttribute } from "../api/attributes.js";
import { readUnits, writeUnits } from "../api/capacity.js";
import type { Backup, BackupListRequest } from "../api/control/backups.js";
import type { TableChange } from "../api/control/settings.js";
import { ApiError, type ApiErrorType } from "../api/errors.js";
import type { IndexUpdate } from "../api/index-updates.js";
import { messages } from "../api/messages.js";
import type { Item, ItemKey, Page, PageRequest, TableDefinition, TableRecord, WriteOp } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { restoredDefinition } from "../api/tables.js";
import type { TimeToLive } from "../api/time-to-live.js";
import { cancelled, transactReadUnits, transactWriteUnits } from "../api/transactions.js";
import { HASH_END, METADATA_PARTITION, type PartitionRecord } from "../metadata/records.js";
import type { Caller, Method, Params, Result } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import type { NodeWriteOp } from "../storage-node/node-write-op.js";
import { Coordinator } from "../transactions/coordinator.js";
import { LedgerTable } from "../transactions/ledger-table.js";
import { readTogether } from "../transactions/read-together.js";
import type {
  Backend,
  GetOutcome,
  IndexUnits,
  PageOutcome,
  TransactWriteOutcome,
  TransactWriteRequest,
  WriteOutcome,
} from "./backend.js";
import { LeaderCalls } from "./leader-calls.js";
import type { Routes } from "./routes.js";
import { StreamPlane } from "./streams/stream-plane.js";
import { type LimitedTable, TableLimits } from "./table-limits.js";
import { told } from "./told-error.js";

const ROUTE_PAUSE_MS = 20;

export interface DataPlaneOptions {
  readonly routes: Routes;
  readonly admission: Admission;
  readonly callerTo: (nodeId: string) => Caller;
  /** All nodes: the members of the metadata's group. */
  readonly members: readonly string[];
  /** How long a request may look for a leader. */
  readonly deadlineMs?: number;
}

/** The storage side of a router: admission, then the route, then the leader (or, for eventual reads, any replica). */
export class DataPlane implements Backend {
  readonly #options: DataPlaneOptions;
  readonly #leaders: LeaderCalls;
  readonly #limits: TableLimits;
  readonly streams: StreamPlane;
  readonly #deadlineMs: number;
  readonly transactions: Coordinator;
  #turn = 0;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#limits = new TableLimits(options.admission);
    this.#deadlineMs = options.deadlineMs ?? 10_000;
    this.#leaders = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: this.#deadlineMs });
    const ledger = new LedgerTable(this, this.#deadlineMs);
    this.transactions = new Coordinator({ ...this.#reach, ledgerTable: () => ledger.table() });
    this.streams = new StreamPlane({ leaders: this.#leaders, nodes: options });
  }

  async createTable(definition: TableDefinition): Promise<TableRecord> {
    return await this.#metadata("createTable", { definition });
  }

  async restoreTable({
    source,
    target,
    untilMs,
  }: {
    source: string;
    target: string;
    untilMs: number;
  }): Promise<TableRecord> {
    const table = await this.describeTable(source).catch((error: unknown) => {
      throw renamed(error, "ResourceNotFoundException", "TableNotFoundException", messages.sourceTableNotFound(source));
    });
    if (table.settings?.pointInTimeRecovery === false) throw new ApiError("PointInTimeRecoveryUnavailableException");
    if (untilMs < table.createdAtMs) throw new ApiError("InvalidRestoreTimeException");
    for (const record of await this.#partitionsOf(table)) {
      await this.#atLeader(record, "archive", { partition: record.partition });
    }
    const definition = restoredDefinition(table, target);
    return await this.#metadata("createTable", { definition, restore: { source, untilMs } }).catch((error: unknown) => {
      throw renamed(error, "ResourceInUseException", "TableAlreadyExistsException", messages.tableExistsNamed(target));
    });
  }

  async createBackup(request: { tableName: string; name: string; untilMs: number }): Promise<Backup> {
    const { tableName } = request;
    const table = await this.describeTable(tableName).catch((error: unknown) => {
      throw renamed(
        error,
        "ResourceNotFoundException",
        "TableNotFoundException",
        messages.tableNotFoundPlain(tableName),
      );
    });
    if (table.status !== "ACTIVE") throw new ApiError("TableInUseException");
    // What is behind the moment is in the archive before there is a name for it.
    for (const record of await this.#partitionsOf(table)) {
      await this.#atLeader(record, "archive", { partition: record.partition });
    }
    return await this.#ofMetadata("createBackup", request);
  }

  async describeBackup(id: string): Promise<Backup> {
    return await this.#ofMetadata("describeBackup", { id });
  }

  async deleteBackup(id: string): Promise<Backup> {
    return await this.#ofMetadata("deleteBackup", { id });
  }

  async listBackups(request: BackupListRequest): Promise<{ backups: Backup[]; more: boolean }> {
    return await this.#ofMetadata("listBackups", request);
  }

  async restoreBackup({ backup, target }: { backup: Backup; target: string }): Promise<TableRecord> {
    const definition = restoredDefinition(backup.table, target);
    return await this.#metadata("createTable", { definition, restore: { backup: backup.id } }).catch(
      (error: unknown) => {
        throw renamed(
          error,
          "ResourceInUseException",
          "TableAlreadyExistsException",
          messages.tableExistsNamed(target),
        );
      },
    );
  }

  async #ofMetadata<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return await this.#asked(() => this.#leaders.call(METADATA_PARTITION, this.#options.members, method, params));
  }

  async deleteTable(name: string): Promise<TableRecord> {
    return await this.#metadata("deleteTable", { name });
  }

  async updateTable(name: string, change: TableChange): Promise<TableRecord> {
    return await this.#metadata("updateTable", { name, change });
  }

  async updateIndexes(name: string, updates: readonly IndexUpdate[]): Promise<TableRecord> {
    return await this.#metadata("updateIndexes", { name, updates });
  }

  async setTimeToLive(name: string, wanted: TimeToLive): Promise<TableRecord> {
    return await this.#metadata("setTimeToLive", { name, wanted });
  }

  async describeTable(name: string): Promise<TableRecord> {
    return await this.#metadata("describeTable", { name });
  }

  async listTables({
    after,
    limitMax,
  }: {
    after?: string;
    limitMax: number;
  }): Promise<{ names: string[]; more: boolean }> {
    return await this.#asked(() =>
      this.#leaders.call(METADATA_PARTITION, this.#options.members, "listTables", { after, limitMax }),
    );
  }

  async table(name: string): Promise<TableRecord> {
    const table = await this.#options.routes.table(name);
    // Being deleted, as the service has it: otherwise replicas that have not left yet answer and others do not.
    if (table.status !== "ACTIVE" && table.status !== "UPDATING")
      throw new ApiError("ResourceNotFoundException", "Requested resource not found");
    return table;
  }

  async write(table: TableRecord, key: ItemKey, op: WriteOp): Promise<WriteOutcome> {
    const limit = this.#limits.of(table, "write");
    const stored = asStored(op);
    const asked = stored.kind === "put" ? writeUnits(0, stored.itemSizeBytes) : 1;
    this.#assertIndexesTakeMore(table, op);
    this.#admit(limit, asked);
    const outcome = await this.#atPartition(table, key.hash, (record) =>
      this.#atLeader(record, "write", { partition: record.partition, key: key.bytes, op: stored }),
    );
    const { attributes, beforeBytes, afterBytes } = outcome;
    const own = writeUnits(beforeBytes, afterBytes);
    const { local, indexUnits, units } = spentOnIndexes(table, outcome.indexUnits);
    // Local indexes live on the table's own capacity.
    if (own + local > asked) limit.debit(own + local - asked);
    this.#debitIndexes(table, indexUnits);
    return { units: own + units, ...(attributes && { attributes }), ...(indexUnits && { indexUnits }) };
  }

  #debitIndexes(table: TableRecord, indexUnits: IndexUnits | undefined): void {
    for (const [name, spent] of Object.entries(indexUnits?.global ?? {})) {
      const index = globalIndex(table, name);
      if (index !== undefined) this.#limits.of(index, "write").debit(spent);
    }
  }

  async get(table: TableRecord, key: ItemKey, { consistent }: { consistent: boolean }): Promise<GetOutcome> {
    const limit = this.#limits.of(table, "read");
    const asked = readUnits(0, consistent);
    this.#admit(limit, asked);
    const found = await this.#atPartition(table, key.hash, (record) => {
      const params = { partition: record.partition, key: key.bytes, consistent };
      return consistent ? this.#atLeader(record, "get", params) : this.#atAny(record, "get", params);
    });
    const units = readUnits(found.itemSizeBytes, consistent);
    if (units > asked) limit.debit(units - asked);
    return found.json === undefined ? { units } : { json: found.json, units };
  }

  /** A global index that has been written to beyond its capacity throttles the writes that may change it: what they cost it is known only when they are done. */
  #assertIndexesTakeMore(table: TableRecord, op: WriteOp): void {
    for (const { name, keySchema } of table.globalIndexes ?? []) {
      const keys = [...keySchema.partition, ...keySchema.sort];
      if (op.kind === "put" && keys.some((key) => getAttribute(op.item, key.name) === undefined)) continue;
      const index = globalIndex(table, name);
      if (index !== undefined && !this.#limits.of(index, "write").has(1))
        throw new ApiError("ProvisionedThroughputExceededException", messages.indexThroughputExceeded);
    }
  }

  async page(table: TableRecord, request: PageRequest): Promise<PageOutcome> {
    const { index } = request;
    const global = index === undefined || index.local !== undefined ? undefined : globalIndex(table, index.name);
    // An index's entries lie where its own partitions say, and are paid for from its own capacity.
    const ring = global ?? table;
    const limit = this.#limits.of(ring, "read");
    const asked = readUnits(0, request.consistent);
    this.#admit(limit, asked);
    const items: Item[] = [];
    let scannedCount = 0;
    let scannedBytes = 0;
    let fetchedUnits = 0;
    let last: Pick<Page, "lastKey" | "lastItem"> = {};
    let hash = firstHash(request);
    while (hash !== undefined) {
      const rest: PageRequest = {
        ...request,
        bytesMax: request.bytesMax - scannedBytes,
        ...(request.itemsMax === undefined ? {} : { itemsMax: request.itemsMax - scannedCount }),
      };
      const { page, record } = await this.#atPartition(ring, hash, async (found) => {
        const params = { partition: found.partition, request: rest };
        const page = request.consistent
          ? await this.#atLeader(found, "page", params)
          : await this.#atAny(found, "page", params);
        return { page, record: found };
      });
      items.push(...page.items);
      scannedCount += page.scannedCount;
      scannedBytes += page.scannedBytes;
      fetchedUnits += page.fetchedUnits ?? 0;
      const { lastKey, lastItem } = page;
      last = { ...(lastKey && { lastKey }), ...(lastItem && { lastItem }) };
      hash = lastKey === undefined ? nextHash(request, record) : undefined;
    }
    const read = readUnits(scannedBytes, request.consistent);
    const units = read + (request.consistent ? fetchedUnits : fetchedUnits / 2);
    if (units > asked) limit.debit(units - asked);
    const indexUnits = index && { [index.local === undefined ? "global" : "local"]: { [index.name]: read } };
    return { items, scannedCount, scannedBytes, units, ...(indexUnits && { indexUnits }), ...last };
  }

  async transactWrite({ actions, token, fingerprint }: TransactWriteRequest): Promise<TransactWriteOutcome> {
    const asked = actions.map(({ op }) => transactWriteUnits(0, op.kind === "put" ? itemBytes(op.item) : 0));
    this.#admitTogether(
      actions.map(({ table }) => table),
      "write",
      asked,
    );
    const outcome = await this.#asked(() =>
      this.transactions.run({
        actions: actions.map(({ op, ...rest }) => ({ ...rest, op: op.kind === "put" ? asStored(op) : op })),
        token,
        fingerprint,
      }),
    );
    const sizes = outcome.sizes.map(({ beforeBytes, afterBytes, indexUnits: spent }, i) => {
      const { table } = actions[i] as (typeof actions)[number];
      const { local, indexUnits } = spentOnIndexes(table, spent && doubled(spent));
      const more = transactWriteUnits(beforeBytes, afterBytes) + local - (asked[i] as number);
      if (more > 0 && !outcome.repeated) this.#limits.of(table, "write").debit(more);
      if (!outcome.repeated) this.#debitIndexes(table, indexUnits);
      return { beforeBytes, afterBytes, ...(indexUnits && { indexUnits }) };
    });
    return { ...outcome, sizes };
  }

  async transactGet(
    gets: readonly { readonly table: TableRecord; readonly key: ItemKey }[],
  ): Promise<(GetOutcome & { bytes: number })[]> {
    this.#admitTogether(
      gets.map(({ table }) => table),
      "read",
      gets.map(() => transactReadUnits(0)),
    );
    const items = await this.#asked(() => readTogether(this.#reach, gets));
    return items.map(({ json, itemSizeBytes: bytes }, i) => {
      const units = transactReadUnits(bytes);
      const more = units - transactReadUnits(0);
      if (more > 0) this.#limits.of((gets[i] as (typeof gets)[number]).table, "read").debit(more);
      return json === undefined ? { units, bytes } : { json, units, bytes };
    });
  }

  /** All of it or nothing: a table that has no room refuses its own actions, and cancels the others. */
  #admitTogether(tables: readonly TableRecord[], direction: "read" | "write", units: readonly number[]): void {
    const taken = new Map<string, { limit: Limit; units: number }>();
    for (const [i, table] of tables.entries()) {
      const sum = (taken.get(table.name)?.units ?? 0) + (units[i] as number);
      taken.set(table.name, { limit: this.#limits.of(table, direction), units: sum });
    }
    const refused = new Set<string>();
    for (const [name, { limit, units: sum }] of taken) if (!limit.tryTake(sum)) refused.add(name);
    if (refused.size === 0) return;
    const refusal = new ApiError("ProvisionedThroughputExceededException").toData();
    throw cancelled(tables.map(({ name }) => (refused.has(name) ? refusal : undefined)));
  }

  readonly #reach = {
    atPartition: <T>(table: TableRecord, hash: number, use: (record: PartitionRecord) => Promise<T>) =>
      this.#atRoute(table, hash, use),
    call: <M extends Method>(record: PartitionRecord, method: M, params: Params<M>) =>
      this.#atLeader(record, method, params),
  };

  async #metadata<
    M extends "createTable" | "deleteTable" | "describeTable" | "updateTable" | "updateIndexes" | "setTimeToLive",
  >(method: M, params: Params<M>): Promise<TableRecord> {
    const { members, routes } = this.#options;
    const { table, version } = await this.#asked(() => this.#leaders.call(METADATA_PARTITION, members, method, params));
    routes.learn(table, version);
    return table;
  }

  async #partitionsOf(table: TableRecord): Promise<PartitionRecord[]> {
    const found: PartitionRecord[] = [];
    for (let hash = 0; hash < HASH_END; hash = found.at(-1)?.hashTo ?? HASH_END) {
      found.push(await this.#atPartition(table, hash, async (record) => record));
    }
    return found;
  }

  /**
   * Runs `use` with the partition that holds the hash. Where the nodes say that they have no such partition, the route is an old one: the
   * table is looked up again (which also asks for a newer answer), until it is seen to be gone or the nodes have the partition.
   */
  async #atRoute<T>(table: Ring, hash: number, use: (record: PartitionRecord) => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + this.#deadlineMs;
    for (;;) {
      try {
        const route = this.#options.routes.partition(table.tableId, hash);
        return await use(known(table, route instanceof Promise ? await route : route));
      } catch (error) {
        const unknown = error instanceof StoreError && error.code === "ERR_STORE_UNKNOWN_PARTITION";
        if (!unknown || performance.now() > giveUpAt) throw error;
        await this.#assertStillThere(table);
        await new Promise<void>((resolve) => setTimeout(resolve, ROUTE_PAUSE_MS));
      }
    }
  }

  /** The same, with what failed inside in the service's words. */
  async #atPartition<T>(table: Ring, hash: number, use: (record: PartitionRecord) => Promise<T>): Promise<T> {
    try {
      return await this.#atRoute(table, hash, use);
    } catch (error) {
      throw told(error);
    }
  }

  async #assertStillThere(ring: Ring): Promise<void> {
    const table = await this.#options.routes.table(ring.name);
    const isThere =
      table.tableId === ring.tableId || table.globalIndexes?.some(({ indexId }) => indexId === ring.tableId) === true;
    if (!isThere || table.status === "DELETING")
      throw new ApiError("ResourceNotFoundException", "Requested resource not found");
  }

  #atLeader<M extends Method>(record: PartitionRecord, method: M, params: Params<M>): Promise<Result<M>> {
    return this.#leaders.call(record.partition, record.members, method, params);
  }

  /** Any replica that answers, beginning with another one each time. */
  async #atAny<M extends Method>(record: PartitionRecord, method: M, params: Params<M>): Promise<Result<M>> {
    let failure: StoreError | undefined;
    const first = this.#turn++;
    // A silent one must leave time for the others.
    const timeoutMs = this.#deadlineMs / record.members.length;
    for (let i = 0; i < record.members.length; i++) {
      const node = record.members[(first + i) % record.members.length] as string;
      try {
        return await this.#options.callerTo(node).call(method, params, { timeoutMs });
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // "No such partition" says more than "no answer": the route may be an old one.
        if (failure?.code !== "ERR_STORE_UNKNOWN_PARTITION") failure = error;
      }
    }
    throw failure ?? new StoreError("ERR_STORE_UNREACHABLE", `partition ${record.partition} has no members`);
  }

  async #asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw told(error);
    }
  }

  #admit(limit: Limit, units: number): void {
    if (!limit.tryTake(units)) throw new ApiError("ProvisionedThroughputExceededException");
  }
}

/** What partitions are found by: a table's, or those of an index under the index's own id. */
type Ring = Pick<TableRecord, "name" | "tableId">;

/** A global index, as far as routes and capacity are concerned a table of its own. */
function globalIndex(table: TableRecord, indexName: string): (Ring & LimitedTable) | undefined {
  const { name, billingMode, globalIndexes } = table;
  const index = globalIndexes?.find((one) => one.name === indexName);
  if (index === undefined) return undefined;
  // An index that was made on demand, and its table was given figures since, has the table's.
  const { readUnitsPerSecond, writeUnitsPerSecond } = index.readUnitsPerSecond > 0 ? index : table;
  return { name, tableId: index.indexId, billingMode, readUnitsPerSecond, writeUnitsPerSecond };
}

/** What somebody would ask for to have such an index again. */
/** What a write has cost the indexes, told apart by whose capacity it is; `units` is the sum of all. */
function spentOnIndexes(
  table: TableRecord,
  spent: Readonly<Record<string, number>> | undefined,
): { local: number; units: number; indexUnits?: IndexUnits } {
  if (spent === undefined) return { local: 0, units: 0 };
  const sums = { local: 0, global: 0 };
  const byName: { local: Record<string, number>; global: Record<string, number> } = { local: {}, global: {} };
  for (const [name, units] of Object.entries(spent)) {
    const kind = table.localIndexes?.some((index) => index.name === name) === true ? "local" : "global";
    sums[kind] += units;
    byName[kind][name] = units;
  }
  const indexUnits = {
    ...(sums.local > 0 && { local: byName.local }),
    ...(sums.global > 0 && { global: byName.global }),
  };
  return { local: sums.local, units: sums.local + sums.global, indexUnits };
}

/** As all that a transaction writes, its indexes' entries are written twice. */
const doubled = (units: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(units).map(([name, one]) => [name, 2 * one]));

/** Here an item is written down for good: from now on it is bytes, until a client asks for it. */
function asStored(op: WriteOp): NodeWriteOp {
  if (op.kind !== "put") return op;
  const { item, ...rest } = op;
  return { ...rest, json: Buffer.from(JSON.stringify(item)), itemSizeBytes: itemBytes(item) };
}

/** A restore has names of its own for what other operations call otherwise. */
function renamed(error: unknown, from: ApiErrorType, to: ApiErrorType, message: string): unknown {
  return error instanceof ApiError && error.type === from ? new ApiError(to, message) : error;
}

function hashOfKey(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUInt32BE(0);
}

function known({ name, tableId }: Ring, record: PartitionRecord | undefined): PartitionRecord {
  // The table is known and its partitions are not: this member of the fleet is a moment behind, or the table is gone.
  if (record === undefined)
    throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `no partition of table ${name} (${tableId}) is known`);
  return record;
}

/** Where a page begins: behind the last key, or at the end of the range that it comes from. */
function firstHash({ from, to, after, reverse }: PageRequest): number | undefined {
  if (after !== undefined) return hashOfKey(after);
  if (!reverse) return from === undefined ? 0 : hashOfKey(from);
  return to === undefined ? HASH_END - 1 : hashOfKey(to);
}

/** The next partition in the direction of the page, if the range reaches it. */
function nextHash({ from, to, reverse }: PageRequest, record: PartitionRecord): number | undefined {
  if (reverse) {
    if (record.hashFrom === 0 || (from !== undefined && hashOfKey(from) >= record.hashFrom)) return undefined;
    return record.hashFrom - 1;
  }
  if (record.hashTo === HASH_END || (to !== undefined && hashOfKey(to) < record.hashTo)) return undefined;
  return record.hashTo;
}
