import { compareBytes } from "../src/api/bytes.js";
import { readUnits, writeUnits } from "../src/api/capacity.js";
import { matches } from "../src/api/condition.js";
import { type Backup, type BackupListRequest, backupId, listedBackups } from "../src/api/control/backups.js";
import { assertDeletable, changedTable, type TableChange } from "../src/api/control/settings.js";
import { ApiError, type ApiErrorData } from "../src/api/errors.js";
import { messages } from "../src/api/messages.js";
import type {
  Item,
  ItemKey,
  Page,
  PageRequest,
  TableDefinition,
  TableRecord,
  TableSizes,
  WriteOp,
} from "../src/api/model.js";
import { type RestoreOverrides, restoredDefinition } from "../src/api/restores.js";
import { itemBytes } from "../src/api/size.js";
import { cancelled, transactReadUnits } from "../src/api/transactions.js";
import { assertCondition, evaluateWrite } from "../src/api/write.js";
import type {
  Backend,
  GetOutcome,
  TransactWriteOutcome,
  TransactWriteRequest,
  WriteOutcome,
} from "../src/router/backend.js";

interface Entry {
  readonly key: Uint8Array;
  item: Item;
}

interface Table {
  record: TableRecord;
  /** Sorted by key. */
  readonly entries: Entry[];
}

/** A whole storage side in one process and no file: sorted arrays. Its `restoreTable` knows only the present. */
export class MemoryBackend implements Backend {
  readonly #tables = new Map<string, Table>();
  readonly #backups = new Map<string, { backup: Backup; entries: Entry[] }>();
  #created = 0;
  /** Whether `get` answers with JSON, as a storage side may. */
  asJson = false;
  /** What each call is to wait for, or fail with, before it does its work. */
  before: (call: "get" | "write" | "page", key?: ItemKey) => void | Promise<void> = () => {};

  async createTable(definition: TableDefinition): Promise<TableRecord> {
    if (this.#tables.has(definition.name)) {
      throw new ApiError("ResourceInUseException", messages.tableExistsNamed(definition.name));
    }
    const { globalIndexes: _none, ...rest } = definition;
    const record: TableRecord = {
      ...rest,
      tableId: `00000000-0000-4000-8000-${String(++this.#created).padStart(12, "0")}`,
      status: "ACTIVE",
      createdAtMs: 1_700_000_000_000,
      partitions: 1,
    };
    this.#tables.set(definition.name, { record, entries: [] });
    return record;
  }

  async deleteTable(name: string): Promise<TableRecord> {
    const { record } = this.#table(name);
    assertDeletable(record);
    this.#tables.delete(name);
    return { ...record, status: "DELETING" };
  }

  async updateTable(name: string, change: TableChange): Promise<TableRecord> {
    const table = this.#table(name, messages.tableNotFoundNamed(name));
    table.record = changedTable(table.record, change, 1_700_000_100_000);
    return table.record;
  }

  async describeTable(name: string): Promise<TableRecord> {
    return this.#table(name, messages.tableNotFoundNamed(name)).record;
  }

  async sizes({ name }: TableRecord): Promise<TableSizes> {
    const { entries } = this.#table(name);
    const bytes = entries.reduce((sum, { item }) => sum + itemBytes(item), 0);
    return { items: entries.length, bytes, indexes: {} };
  }

  async listTables({
    after,
    limitMax,
  }: {
    after?: string;
    limitMax: number;
  }): Promise<{ names: string[]; more: boolean }> {
    const names = [...this.#tables.keys()].sort().filter((name) => after === undefined || name > after);
    return { names: names.slice(0, limitMax), more: names.length > limitMax };
  }

  async createBackup({
    tableName,
    name,
    untilMs,
  }: {
    tableName: string;
    name: string;
    untilMs: number;
  }): Promise<Backup> {
    const table = this.#tables.get(tableName);
    if (table === undefined) throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(tableName));
    const id = backupId(untilMs, String(this.#backups.size).padStart(8, "0"));
    const backup = { id, name, table: table.record, untilMs };
    this.#backups.set(id, { backup, entries: structuredClone(table.entries) });
    return backup;
  }

  async describeBackup(id: string): Promise<Backup> {
    return this.#backup(id).backup;
  }

  async deleteBackup(id: string): Promise<Backup> {
    const { backup } = this.#backup(id);
    this.#backups.delete(id);
    return backup;
  }

  async listBackups(request: BackupListRequest): Promise<{ backups: Backup[]; more: boolean }> {
    return listedBackups(
      [...this.#backups.values()].map(({ backup }) => backup),
      request,
    );
  }

  async restoreBackup(request: { backup: Backup; target: string; overrides: RestoreOverrides }): Promise<TableRecord> {
    const { backup, target, overrides } = request;
    if (this.#tables.has(target)) {
      throw new ApiError("TableAlreadyExistsException", messages.tableExistsNamed(target));
    }
    const made = await this.createTable(restoredDefinition(backup.table, target, overrides));
    const record = { ...made, restoredFrom: { source: backup.table.name, backup: backup.id, untilMs: backup.untilMs } };
    this.#tables.set(target, { record, entries: structuredClone(this.#backup(backup.id).entries) });
    return record;
  }

  #backup(id: string): { backup: Backup; entries: Entry[] } {
    const found = this.#backups.get(id);
    if (found === undefined) throw new ApiError("BackupNotFoundException");
    return found;
  }

  async restoreTable(request: {
    source: string;
    target: string;
    untilMs: number;
    overrides: RestoreOverrides;
  }): Promise<TableRecord> {
    const source = this.#tables.get(request.source);
    if (source === undefined) throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(request.source));
    if (this.#tables.has(request.target)) {
      throw new ApiError("TableAlreadyExistsException", messages.tableExistsNamed(request.target));
    }
    if (source.record.settings?.pointInTimeRecovery === false) {
      throw new ApiError("PointInTimeRecoveryUnavailableException");
    }
    if (request.untilMs < source.record.createdAtMs) throw new ApiError("InvalidRestoreTimeException");
    const record = await this.createTable(restoredDefinition(source.record, request.target, request.overrides));
    this.#table(request.target).entries.push(...structuredClone(source.entries));
    return { ...record, status: "CREATING" };
  }

  async table(name: string): Promise<TableRecord> {
    return this.#table(name).record;
  }

  async write(table: TableRecord, key: ItemKey, op: WriteOp): Promise<WriteOutcome> {
    await this.before("write", key);
    const { entries } = this.#table(table.name);
    const at = lowerBound(entries, key.bytes);
    const entry = entries[at];
    const there = entry !== undefined && compareBytes(entry.key, key.bytes) === 0;
    const before = there ? entry.item : undefined;
    const { after, attributes } = evaluateWrite(op, before);
    if (after !== undefined) entries.splice(at, there ? 1 : 0, { key: key.bytes, item: after });
    else if (there) entries.splice(at, 1);
    const units = writeUnits(before ? itemBytes(before) : 0, after ? itemBytes(after) : 0);
    return attributes === undefined ? { units } : { attributes, units };
  }

  async get(table: TableRecord, key: ItemKey, { consistent }: { consistent: boolean }): Promise<GetOutcome> {
    await this.before("get", key);
    const { entries } = this.#table(table.name);
    const entry = entries[lowerBound(entries, key.bytes)];
    if (entry === undefined || compareBytes(entry.key, key.bytes) !== 0) return { units: readUnits(0, consistent) };
    const units = readUnits(itemBytes(entry.item), consistent);
    return this.asJson ? { json: Buffer.from(JSON.stringify(entry.item)), units } : { item: entry.item, units };
  }

  async page(table: TableRecord, request: PageRequest): Promise<Page & { units: number }> {
    await this.before("page");
    const { entries } = this.#table(table.name);
    const { from, to, after, reverse = false, itemsMax = Number.POSITIVE_INFINITY } = request;
    let start = from === undefined ? 0 : lowerBound(entries, from);
    let end = to === undefined ? entries.length : lowerBound(entries, to);
    if (after !== undefined && reverse) end = Math.min(end, lowerBound(entries, after));
    if (after !== undefined && !reverse) start = Math.max(start, lowerBound(entries, Uint8Array.of(...after, 0)));
    const items: Item[] = [];
    let scannedCount = 0;
    let scannedBytes = 0;
    let lastKey: Uint8Array | undefined;
    const run = entries.slice(start, end);
    if (reverse) run.reverse();
    for (const { key, item } of run) {
      scannedCount++;
      scannedBytes += itemBytes(item);
      if (request.filter === undefined || matches(request.filter, item)) items.push(item);
      if (scannedCount < itemsMax && scannedBytes < request.bytesMax) continue;
      lastKey = key;
      break;
    }
    const page = { items, scannedCount, scannedBytes, units: readUnits(scannedBytes, request.consistent) };
    return lastKey === undefined ? page : { ...page, lastKey };
  }

  readonly #tokens = new Map<string, { fingerprint: string; outcome: TransactWriteOutcome }>();

  async transactWrite({ actions, token, fingerprint }: TransactWriteRequest): Promise<TransactWriteOutcome> {
    const earlier = token === undefined ? undefined : this.#tokens.get(token);
    if (earlier !== undefined && earlier.fingerprint !== fingerprint)
      throw new ApiError("IdempotentParameterMismatchException");
    if (earlier !== undefined) return { ...earlier.outcome, repeated: true };
    const refusals: (ApiErrorData | undefined)[] = [];
    const sizes = actions.map(({ table, key, op }) => {
      const before = this.#item(table, key);
      const beforeBytes = before === undefined ? 0 : itemBytes(before);
      let after = before;
      try {
        if (op.kind === "check") assertCondition(op, before);
        else after = evaluateWrite(op, before).after;
        refusals.push(undefined);
      } catch (error) {
        refusals.push((error as ApiError).toData());
      }
      return { beforeBytes, afterBytes: after === undefined ? 0 : itemBytes(after) };
    });
    if (refusals.some((refusal) => refusal !== undefined)) throw cancelled(refusals);
    for (const { table, key, op } of actions) if (op.kind !== "check") await this.write(table, key, op);
    const outcome = { sizes, repeated: false };
    if (token !== undefined) this.#tokens.set(token, { fingerprint, outcome });
    return outcome;
  }

  async transactGet(
    gets: readonly { table: TableRecord; key: ItemKey }[],
  ): Promise<(GetOutcome & { bytes: number })[]> {
    return gets.map(({ table, key }) => {
      const item = this.#item(table, key);
      const bytes = item === undefined ? 0 : itemBytes(item);
      return { ...(item && { item }), bytes, units: transactReadUnits(bytes) };
    });
  }

  #item(table: TableRecord, key: ItemKey): Item | undefined {
    const { entries } = this.#table(table.name);
    const entry = entries[lowerBound(entries, key.bytes)];
    return entry !== undefined && compareBytes(entry.key, key.bytes) === 0 ? entry.item : undefined;
  }

  #table(name: string, message?: string): Table {
    const table = this.#tables.get(name);
    if (table === undefined) throw new ApiError("ResourceNotFoundException", message);
    return table;
  }
}

function lowerBound(entries: readonly Entry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((entries[middle] as Entry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
