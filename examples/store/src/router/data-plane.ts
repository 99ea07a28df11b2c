import type { Admission, Limit } from "@evenkeel/admission-control";
import { getAttribute } from "../api/attributes.js";
import { readUnits, writeUnits } from "../api/capacity.js";
import { ApiError } from "../api/errors.js";
import { hashOfKey, ringPosition } from "../api/keys.js";
import type { Item, ItemKey, Page, PageRequest, TableRecord, WriteOp } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { cancelled, transactReadUnits, transactWriteUnits } from "../api/transactions.js";
import { HASH_END, type PartitionRecord } from "../metadata/records.js";
import type { Caller } from "../rpc/protocol.js";
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
import { globalIndex, spentOnIndexes } from "./index-costs.js";
import { LeaderCalls } from "./leader-calls.js";
import { PageTurns } from "./page-turns.js";
import { Reach } from "./reach.js";
import { RecentWrites } from "./recent-writes.js";
import type { Routes } from "./routes.js";
import { StreamPlane } from "./streams/stream-plane.js";
import { TableLimits } from "./table-limits.js";
import { TablePlane } from "./table-plane.js";
import { throttled } from "./throttled.js";

export interface DataPlaneOptions {
  readonly routes: Routes;
  readonly admission: Admission;
  readonly callerTo: (nodeId: string) => Caller;
  /** All nodes: the members of the metadata's group. */
  readonly members: readonly string[];
  /** How long a request may look for a leader. */
  readonly deadlineMs?: number;
}

/** The storage side of a router: admission, then the route, then the leader (or, for eventual reads, any replica). Tables themselves are `TablePlane`'s. */
export class DataPlane extends TablePlane implements Backend {
  readonly streams: StreamPlane;
  readonly transactions: Coordinator;
  readonly #routes: Routes;
  readonly #limits: TableLimits;
  readonly #reach: Reach;
  readonly #written = new RecentWrites();
  readonly #pages: PageTurns;

  constructor(options: DataPlaneOptions) {
    const { routes, callerTo, admission, deadlineMs = 10_000 } = options;
    const leaders = new LeaderCalls({ callerTo, deadlineMs });
    const reach = new Reach({ routes, leaders, callerTo, deadlineMs });
    super({ routes, leaders, reach, nodes: options });
    this.#routes = routes;
    this.#reach = reach;
    this.#pages = new PageTurns(deadlineMs);
    this.#limits = new TableLimits(admission);
    this.streams = new StreamPlane({ leaders, nodes: options });
    const ledger = new LedgerTable(this, deadlineMs);
    this.transactions = new Coordinator({ ...reach.forTransactions, ledgerTable: () => ledger.table() });
  }

  table(name: string): TableRecord | Promise<TableRecord> {
    const table = this.#routes.table(name);
    return table instanceof Promise ? table.then((found) => this.#usable(found)) : this.#usable(table);
  }

  /**
   * What is known of a table may be as old as the last request for it: nobody is refused one that can be used by now. One that is being deleted cannot, as the service has it: otherwise replicas
   * that have not left yet answer and others do not.
   */
  #usable(table: TableRecord): TableRecord | Promise<TableRecord> {
    return isUsable(table) ? table : this.#usableByNow(table.name);
  }

  async #usableByNow(name: string): Promise<TableRecord> {
    const notFound = new ApiError("ResourceNotFoundException");
    const table = await this.describeTable(name).catch((error: unknown) => {
      throw error instanceof ApiError && error.type === notFound.type ? notFound : error;
    });
    if (!isUsable(table)) throw notFound;
    return table;
  }

  async write(table: TableRecord, key: ItemKey, op: WriteOp): Promise<WriteOutcome> {
    const limit = this.#limits.of(table, "write");
    const stored = asStored(op);
    const asked = stored.kind === "put" ? writeUnits(0, stored.itemSizeBytes) : 1;
    this.#assertIndexesTakeMore(table, op);
    if (!limit.tryTake(asked)) throw throttled(table, "write");
    let at = 0;
    const outcome = await this.#reach.atPartition(table, key.hash, (record) => {
      at = record.partition;
      return this.#reach.atLeader(record, "write", { partition: at, key: key.bytes, op: stored });
    });
    this.#written.wrote(table.tableId, key.hash);
    const { attributes, beforeBytes, afterBytes, collectionBytes } = outcome;
    const own = writeUnits(beforeBytes, afterBytes);
    const { local, indexUnits, units } = spentOnIndexes(table, outcome.indexUnits);
    // Local indexes live on the table's own capacity.
    if (own + local > asked) limit.debit(own + local - asked);
    this.#debitIndexes(table, at, indexUnits);
    return {
      units: own + units,
      ...(attributes && { attributes }),
      ...(indexUnits && { indexUnits }),
      ...(collectionBytes !== undefined && { collectionBytes }),
    };
  }

  async get(table: TableRecord, key: ItemKey, { consistent }: { consistent: boolean }): Promise<GetOutcome> {
    const limit = this.#limits.of(table, "read");
    const asked = readUnits(0, consistent);
    if (!limit.tryTake(asked)) throw throttled(table, "read");
    const found = await this.#reach.atPartition(table, key.hash, (record) => {
      const params = { partition: record.partition, key: key.bytes, consistent };
      if (consistent) return this.#reach.atLeader(record, "get", params);
      return this.#reach.atAny(record, "get", params, this.#written.has(table.tableId, key.hash));
    });
    const units = readUnits(found.itemSizeBytes, consistent);
    if (units > asked) limit.debit(units - asked);
    return found.json === undefined ? { units } : { json: found.json, units };
  }

  /** Global indexes pay from their own capacity, and are told of the write by the item's partition, where that is known. */
  #debitIndexes(table: TableRecord, partition: number | undefined, indexUnits: IndexUnits | undefined): void {
    for (const [name, spent] of Object.entries(indexUnits?.global ?? {})) {
      const index = globalIndex(table, name);
      if (index === undefined) continue;
      this.#limits.of(index, "write").debit(spent);
      if (partition !== undefined) this.#written.wrote(index.tableId, partition);
    }
  }

  /** The coordinator's own route has just been used: what is not known any more is so rare that nobody waits for it. */
  #partitionOf({ tableId }: TableRecord, { hash }: ItemKey): number | undefined {
    const route = this.#routes.partition(tableId, hash);
    return route instanceof Promise ? undefined : route?.partition;
  }

  /** Whether what a page may hold has just been written to. Of a global index it is there by then, as far as it is known here. */
  #isRecent(table: TableRecord, request: PageRequest, indexId: string | undefined): boolean | Promise<boolean> {
    if (indexId === undefined) return this.#written.has(table.tableId, onlyHash(request));
    const partitions = this.#written.all(indexId);
    return partitions.size > 0 && this.#whenTold(table, indexId, partitions);
  }

  /**
   * An index shows a write some milliseconds after the write was answered: whoever reads it right behind a write of his own would miss that more often than not, where the
   * service, further away, misses it now and then. So such reads wait until the index was told, and begin with its leaders.
   */
  async #whenTold(table: TableRecord, indexId: string, partitions: ReadonlySet<number>): Promise<true> {
    const known = await this.#reach.knownPartitions(table);
    const written = known.filter(({ partition }) => partitions.has(partition));
    await this.#reach.indexTold(written, indexId);
    return true;
  }

  /** A global index that has been written to beyond its capacity throttles the writes that may change it: what they cost it is known only when they are done. */
  #assertIndexesTakeMore(table: TableRecord, op: WriteOp): void {
    for (const { name, keySchema } of table.globalIndexes ?? []) {
      const keys = [...keySchema.partition, ...keySchema.sort];
      if (op.kind === "put" && keys.some((key) => getAttribute(op.item, key.name) === undefined)) continue;
      const index = globalIndex(table, name);
      if (index !== undefined && !this.#limits.of(index, "write").has(1)) throw throttled(index, "write");
    }
  }

  async page(table: TableRecord, request: PageRequest): Promise<PageOutcome> {
    const { index } = request;
    const global = index === undefined || index.local !== undefined ? undefined : globalIndex(table, index.name);
    // An index's entries lie where its own partitions say, and are paid for from its own capacity.
    const ring = global ?? table;
    const limit = this.#limits.of(ring, "read");
    const asked = readUnits(0, request.consistent);
    if (!limit.tryTake(asked)) throw throttled(ring, "read");
    const recent = !request.consistent && (await this.#isRecent(table, request, global?.tableId));
    const items: Item[] = [];
    let scannedCount = 0;
    let scannedBytes = 0;
    let fetchedUnits = 0;
    let last: Pick<Page, "lastKey" | "lastItem"> = {};
    let hash = firstHash(request);
    let wanted = request;
    while (hash !== undefined) {
      const rest: PageRequest = {
        ...wanted,
        bytesMax: request.bytesMax - scannedBytes,
        ...(request.itemsMax === undefined ? {} : { itemsMax: request.itemsMax - scannedCount }),
      };
      const { page, record } = await this.#reach.atPartition(ring, hash, async (found) => {
        const params = { partition: found.partition, request: rest };
        const page = await this.#pages.take(() =>
          request.consistent
            ? this.#reach.atLeader(found, "page", params)
            : this.#reach.atAny(found, "page", params, recent),
        );
        return { page, record: found };
      });
      items.push(...page.items);
      scannedCount += page.scannedCount;
      scannedBytes += page.scannedBytes;
      fetchedUnits += page.fetchedUnits ?? 0;
      const { lastKey, lastItem } = page;
      last = { ...(lastKey && { lastKey }), ...(lastItem && { lastItem }) };
      hash = lastKey === undefined ? nextHash(request, record) : undefined;
      if (hash !== undefined) wanted = behind(request, record);
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
    const outcome = await this.#reach.asked(() =>
      this.transactions.run({
        actions: actions.map(({ op, ...rest }) => ({ ...rest, op: op.kind === "put" ? asStored(op) : op })),
        token,
        fingerprint,
      }),
    );
    for (const { table, key } of actions) this.#written.wrote(table.tableId, key.hash);
    const sizes = outcome.sizes.map(({ beforeBytes, afterBytes, indexUnits: spent, collectionBytes }, i) => {
      const { table, key } = actions[i] as (typeof actions)[number];
      const { local, indexUnits } = spentOnIndexes(table, spent);
      const more = transactWriteUnits(beforeBytes, afterBytes) + local - (asked[i] as number);
      if (more > 0 && !outcome.repeated) this.#limits.of(table, "write").debit(more);
      if (!outcome.repeated && indexUnits?.global !== undefined)
        this.#debitIndexes(table, this.#partitionOf(table, key), indexUnits);
      return {
        beforeBytes,
        afterBytes,
        ...(indexUnits && { indexUnits }),
        ...(collectionBytes !== undefined && { collectionBytes }),
      };
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
    const items = await this.#reach.asked(() => readTogether(this.#reach.forTransactions, gets));
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
    throw cancelled(
      tables.map((table) => (refused.has(table.name) ? throttled(table, direction).toData() : undefined)),
    );
  }
}

const isUsable = ({ status }: TableRecord): boolean => status === "ACTIVE" || status === "UPDATING";

/** Here an item is written down for good: from now on it is bytes, until a client asks for it. */
function asStored(op: WriteOp): NodeWriteOp {
  if (op.kind !== "put") return op;
  const { item, condition, returnValues, returnOldOnConditionFailure } = op;
  // Spelled out: what is left of an object without one of its fields takes longer to make than the item to write down.
  const stored = {
    kind: op.kind,
    returnValues,
    json: Buffer.from(JSON.stringify(item)),
    itemSizeBytes: itemBytes(item),
  };
  if (condition === undefined && returnOldOnConditionFailure === undefined) return stored;
  return {
    ...stored,
    ...(condition && { condition }),
    ...(returnOldOnConditionFailure && { returnOldOnConditionFailure }),
  };
}

/** That of all that the page may hold, where that is one partition key's. */
function onlyHash({ from, to }: PageRequest): number | undefined {
  if (from === undefined || to === undefined) return undefined;
  const hash = hashOfKey(from);
  return hashOfKey(to) === hash ? hash : undefined;
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

/**
 * What is left of a page behind this partition. Each partition is asked for its own part of the ring and no more: the next hash may still be routed to the
 * whole of which this one was split off, and a replica that has not heard of the split answers for all of it.
 */
function behind(request: PageRequest, { hashFrom, hashTo }: PartitionRecord): PageRequest {
  const rest = { ...request, ...(request.reverse ? { to: ringPosition(hashFrom) } : { from: ringPosition(hashTo) }) };
  delete rest.after;
  return rest;
}
