import { setAttribute } from "../../../api/attributes.js";
import { compareValues } from "../../../api/compare.js";
import { validationError } from "../../../api/errors.js";
import { keyConditionOf } from "../../../api/expressions/key-condition.js";
import { decodeKey, queryRange } from "../../../api/keys.js";
import type {
  AttributeValue,
  Condition,
  DocumentPath,
  IndexDefinition,
  Item,
  PageRequest,
  TableRecord,
} from "../../../api/model.js";
import { partiqlMessages } from "../../../api/partiql/messages.js";
import type { Position } from "../../../api/partiql/next-token.js";
import { type Keys, type ReadPlan, readPlan } from "../../../api/partiql/plan.js";
import type { Statement } from "../../../api/partiql/statement.js";
import { resolvePath } from "../../../api/path.js";
import { compareBytes } from "../../../api/text.js";
import type { Backend, IndexUnits } from "../../backend.js";
import { addIndexUnits } from "../answers.js";
import { indexOf, indexRead, queriedEntries } from "../index-read.js";
import { PAGE_BYTES_MAX } from "../page.js";

export type Select = Statement & { kind: "select" };

export interface Selected {
  readonly items: readonly Item[];
  readonly units: number;
  readonly indexUnits: IndexUnits | undefined;
  /** Where to go on; absent: there is no more. */
  readonly next?: Position;
  /** The last item's key, where it is known that there may be more behind it. */
  readonly lastKey?: Item;
}

export interface SelectOptions {
  readonly consistent: boolean;
  readonly itemsMax?: number | undefined;
  readonly from?: Position | undefined;
}

interface Range {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
}

/** One page, of up to 1 MB and `itemsMax` items, before the filter. @throws ApiError */
export async function runSelect(select: Select, options: SelectOptions, backend: Backend): Promise<Selected> {
  const table = await backend.table(select.table);
  const { index: name, paths } = select;
  const asked = { TableName: select.table, ...(name !== undefined && { IndexName: name }) };
  const index = readIndex(table, asked, options.consistent);
  const keys = index === undefined ? keysOf(table) : index.keySchema;
  const { plan, reverse } = ordered(select, readPlan(select.where, keys), keys);
  const ranges = plan.ranges?.map((range) => rangeOf(table, index, range)) ?? [{}];
  const { filter } = plan;
  const named = paths && namesOf(paths);
  const request: Omit<PageRequest, "bytesMax"> = {
    consistent: options.consistent,
    ...(reverse && { reverse }),
    ...(filter && { filter }),
    ...(index && { index: indexRead(table, index, asked, paths, filter) }),
  };
  const items: Item[] = [];
  let units = 0;
  let indexUnits: IndexUnits | undefined;
  let itemsLeft = options.itemsMax ?? Number.POSITIVE_INFINITY;
  let bytesLeft = PAGE_BYTES_MAX;
  let { range: at, after } = options.from ?? { range: 0, after: undefined };
  if (at >= ranges.length || !isWithin(after, ranges[at] as Range)) throw validationError(partiqlMessages.tokenInvalid);
  for (;;) {
    const page = await backend.page(table, {
      ...ranges[at],
      ...request,
      ...(after && { after }),
      bytesMax: bytesLeft,
      ...(Number.isFinite(itemsLeft) && { itemsMax: itemsLeft }),
    });
    for (const item of page.items) items.push(named === undefined ? item : renamed(item, named));
    units += page.units;
    indexUnits = addIndexUnits(indexUnits, page.indexUnits);
    itemsLeft -= page.scannedCount;
    bytesLeft -= page.scannedBytes;
    const answer = { items, units, indexUnits };
    if (page.lastKey !== undefined) {
      const lastKey = page.lastItem ?? decodeKey(table.keySchema, page.lastKey);
      return { ...answer, next: { range: at, after: page.lastKey }, lastKey };
    }
    at++;
    after = undefined;
    if (at === ranges.length) return answer;
    if (itemsLeft <= 0 || bytesLeft <= 0) return { ...answer, next: { range: at } };
  }
}

/** As Query finds it, in PartiQL's words. */
function readIndex(table: TableRecord, asked: { TableName: string; IndexName?: string }, consistent: boolean) {
  const { IndexName: name } = asked;
  if (name === undefined) return undefined;
  const isLocal = table.localIndexes?.some((index) => index.name === name) ?? false;
  const isGlobal = table.globalIndexes?.some((index) => index.name === name) ?? false;
  if (!isLocal && !isGlobal) throw validationError(partiqlMessages.noSuchIndex);
  if (isGlobal && consistent) throw validationError(partiqlMessages.consistentGlobalRead);
  return indexOf(table, { ...asked, ConsistentRead: consistent });
}

/** Whether a statement names one item, and which table's. @throws ApiError */
export async function assertOneItem(select: Select, backend: Backend): Promise<void> {
  const { keySchema } = await backend.table(select.table);
  const plan = select.index === undefined ? readPlan(select.where, keysOf({ keySchema })) : {};
  const [range, second] = plan.ranges ?? [];
  const key =
    range && second === undefined && !asksExistence(plan.filter) ? keyConditionOf(range, keySchema) : undefined;
  if (key === undefined || (keySchema.sort !== undefined && key.sort?.op !== "=")) {
    throw validationError(partiqlMessages.batchKey);
  }
}

/** Such a question makes a statement a search, whatever key it names. */
function asksExistence(filter: Condition | undefined): boolean {
  if (filter?.kind === "and") return asksExistence(filter.left) || asksExistence(filter.right);
  return filter?.kind === "exists" || filter?.kind === "not-exists";
}

function keysOf({ keySchema: { partition, sort } }: Pick<TableRecord, "keySchema">): Keys {
  return { partition: [partition], sort: sort === undefined ? [] : [sort] };
}

function rangeOf(table: TableRecord, index: IndexDefinition | undefined, condition: Condition): Range {
  if (index !== undefined) {
    const { from, to } = queriedEntries(index, condition);
    return { from, to };
  }
  const { partition, sort } = keyConditionOf(condition, table.keySchema);
  const { from, to } = queryRange(table.keySchema, partition, sort);
  return { from, to };
}

function isWithin(after: Uint8Array | undefined, { from, to }: Range): boolean {
  if (after === undefined) return true;
  return (from === undefined || compareBytes(after, from) >= 0) && (to === undefined || compareBytes(after, to) < 0);
}

/** @throws ValidationException where items have no such order */
function ordered({ orderBy }: Select, plan: ReadPlan, keys: Keys): { plan: ReadPlan; reverse: boolean } {
  if (orderBy === undefined) return { plan, reverse: false };
  if (plan.ranges === undefined) throw validationError(partiqlMessages.orderWithoutKey);
  const isPartition = (name: string) => keys.partition.some((key) => key.name === name);
  for (const { name } of orderBy) {
    if (!isPartition(name) && !keys.sort.some((key) => key.name === name)) {
      throw validationError(partiqlMessages.orderByOther(name));
    }
  }
  const byPartition = orderBy.find(({ name }) => isPartition(name));
  const bySort = orderBy.find(({ name }) => !isPartition(name));
  if (plan.ranges.length > 1 && byPartition === undefined) throw validationError(partiqlMessages.orderManyKeys);
  const ranges = plan.ranges.map((range) => ({ range, value: partitionValue(range, keys) }));
  if (byPartition !== undefined) {
    const sign = byPartition.descending ? -1 : 1;
    ranges.sort((a, b) => sign * (a.value && b.value ? (compareValues(a.value, b.value) ?? 0) : 0));
  }
  return { plan: { ...plan, ranges: ranges.map(({ range }) => range) }, reverse: bySort?.descending ?? false };
}

function partitionValue(range: Condition, keys: Keys): AttributeValue | undefined {
  if (range.kind === "and") return partitionValue(range.left, keys) ?? partitionValue(range.right, keys);
  if (range.kind !== "compare" || range.left.kind !== "path" || range.right.kind !== "value") return undefined;
  return range.left.path[0] === keys.partition[0]?.name ? range.right.value : undefined;
}

/** What each path is called in an answer: by its last name, and the list's places behind that. */
export function namesOf(paths: readonly DocumentPath[]): Map<string, DocumentPath> {
  const named = new Map<string, DocumentPath>();
  for (const path of paths) {
    const at = path.findLastIndex((step) => typeof step === "string");
    const name = path
      .slice(at)
      .map((step) => (typeof step === "number" ? `[${step}]` : step))
      .join("");
    if (named.has(name)) throw validationError(partiqlMessages.duplicateNames(name));
    named.set(name, path);
  }
  return named;
}

export function renamed(item: Item, named: ReadonlyMap<string, DocumentPath>): Item {
  const result: Item = {};
  for (const [name, path] of named) {
    const value = resolvePath(item, path);
    if (value !== undefined) setAttribute(result, name, value);
  }
  return result;
}
