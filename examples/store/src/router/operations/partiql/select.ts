import { setAttribute } from "../../../api/attributes.js";
import { compareBytes } from "../../../api/bytes.js";
import { readUnits } from "../../../api/capacity.js";
import { compareValues } from "../../../api/compare.js";
import { validationError } from "../../../api/errors.js";
import { attributeNames } from "../../../api/expressions/attribute-names.js";
import { keyConditionOf } from "../../../api/expressions/key-condition.js";
import { shownNames } from "../../../api/index-entries.js";
import { asIndexKey } from "../../../api/key-schema.js";
import { decodeKey, queryRange } from "../../../api/keys.js";
import type {
  AttributeValue,
  Condition,
  DocumentPath,
  IndexDefinition,
  IndexKeySchema,
  Item,
  PageRequest,
  TableRecord,
} from "../../../api/model.js";
import { partiqlMessages } from "../../../api/partiql/messages.js";
import type { Position } from "../../../api/partiql/next-token.js";
import { type Read, type ReadPlan, readPlan, wholePartitions } from "../../../api/partiql/plan.js";
import type { Statement } from "../../../api/partiql/statement.js";
import { resolvePath } from "../../../api/path.js";
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

/** A range that is read, in its place among the others. */
interface Step extends Range {
  readonly filter?: Condition;
}

/** One page, of up to 1 MB and `itemsMax` items, before the filter. @throws ApiError */
export async function runSelect(select: Select, options: SelectOptions, backend: Backend): Promise<Selected> {
  const table = await backend.table(select.table);
  const { index: name, paths } = select;
  const asked = { TableName: select.table, ...(name !== undefined && { IndexName: name }) };
  const index = readIndex(table, asked, options.consistent);
  assertFewAttributes(index);
  const keys = index?.keySchema ?? asIndexKey(table.keySchema);
  const plan = readPlan(select.where, keys);
  const { steps, reverse } = stepsOf(select, plan, keys, (condition) => rangeOf(table, index, condition));
  if (index !== undefined && plan.reads !== undefined) assertProjected(table, index, plan.reads);
  const named = paths && namesOf(paths);
  const request = ({ filter, ...range }: Step): Omit<PageRequest, "bytesMax"> => ({
    ...range,
    consistent: options.consistent,
    ...(reverse && { reverse }),
    ...(filter && { filter }),
    // Where no key says what to read, a filter sees what the index has: nothing is fetched for it.
    ...(index && { index: indexRead(table, index, asked, paths, plan.reads && filter) }),
  });
  const items: Item[] = [];
  let units = 0;
  let indexUnits: IndexUnits | undefined;
  let itemsLeft = options.itemsMax ?? Number.POSITIVE_INFINITY;
  let bytesLeft = PAGE_BYTES_MAX;
  let { range: at, after } = options.from ?? { range: 0, after: undefined };
  const beyond = at >= steps.length && options.from !== undefined;
  if (beyond || !isWithin(after, steps[at] ?? {})) throw validationError(partiqlMessages.tokenInvalid);
  for (;;) {
    const step = steps[at];
    if (step === undefined) return { items, units: units || readUnits(0, options.consistent), indexUnits };
    const page = await backend.page(table, {
      ...request(step),
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
    if (at === steps.length) return answer;
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

/** @throws ValidationException: PartiQL reads no index of several attributes in either part of its key */
function assertFewAttributes(index: IndexDefinition | undefined): void {
  if (index === undefined) return;
  const { partition, sort } = index.keySchema;
  if (partition.length > 1 || sort.length > 1) throw validationError(partiqlMessages.manyAttributes);
}

/** The key of the one item that a statement names, where it asks nothing else. @param otherwise what is said of any other @throws ApiError */
export function oneItemOf(select: Select, table: TableRecord, otherwise: string): Item {
  assertFewAttributes(table.globalIndexes?.find(({ name }) => name === select.index));
  const keys = asIndexKey(table.keySchema);
  const { reads = [] } = select.index === undefined ? readPlan(select.where, keys) : {};
  const items = reads.flatMap(({ item }) => (item === undefined ? [] : [item]));
  if (new Set(items.map((item) => JSON.stringify(item))).size < items.length)
    throw validationError(partiqlMessages.overlapping);
  const [item] = items;
  if (item === undefined || reads.length > 1) throw validationError(otherwise);
  return item;
}

/** Where an index does not show what a filter asks for: of a local one, whose items could be fetched, that is told as well. @throws ValidationException unless one of the reads can do without */
function assertProjected(table: TableRecord, index: IndexDefinition, reads: readonly Read[]): void {
  const shown = shownNames(index, table.keySchema);
  if (shown === undefined) return;
  const byPartition = [...reads].sort((a, b) => compareValues(a.partition, b.partition) ?? 0);
  const hidden = byPartition.map(({ filter }) =>
    filter === undefined ? [] : [...attributeNames(filter)].filter((name) => !shown.includes(name)),
  );
  const last = hidden.at(-1);
  if (last === undefined || hidden.some((names) => names.length === 0)) return;
  throw validationError(partiqlMessages.filterNotProjected(index.name, last));
}

function rangeOf(table: TableRecord, index: IndexDefinition | undefined, condition: Condition): Required<Range> {
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

/** What is to be read, in the order in which it is answered. @throws ValidationException where items have no such order, or would be read twice */
function stepsOf(
  { orderBy = [] }: Select,
  plan: ReadPlan,
  keys: IndexKeySchema,
  rangeOf: (condition: Condition) => Required<Range>,
): { steps: readonly Step[]; reverse: boolean } {
  const isPartition = (name: string) => keys.partition.some((key) => key.name === name);
  if (plan.reads === undefined) {
    if (orderBy.length > 0) throw validationError(partiqlMessages.orderWithoutKey);
    return { steps: [{ ...(plan.filter && { filter: plan.filter }) }], reverse: false };
  }
  for (const { name } of orderBy) {
    if (!isPartition(name) && !keys.sort.some((key) => key.name === name)) {
      throw validationError(partiqlMessages.orderByOther(name));
    }
  }
  const byPartition = orderBy.find(({ name }) => isPartition(name));
  const bySort = orderBy.find(({ name }) => !isPartition(name));
  let reads = rangesOf(plan.reads, rangeOf);
  const several = reads.some(({ partition }) => compareValues(partition, (reads[0] as Ranged).partition) !== 0);
  if (several && orderBy.length > 0 && byPartition === undefined) throw validationError(partiqlMessages.orderManyKeys);
  if (overlap(reads)) {
    if (plan.mayOverlap !== true) throw validationError(partiqlMessages.overlapping);
    reads = rangesOf(wholePartitions(plan, keys), rangeOf);
  }
  // Who orders by the partition key alone gets the items of each partition from the last to the first.
  const reverse = bySort?.descending ?? byPartition !== undefined;
  const ofPartition = byPartition?.descending ? -1 : 1;
  const ofSort = reverse ? -1 : 1;
  reads.sort(
    (a, b) => ofPartition * (compareValues(a.partition, b.partition) ?? 0) || ofSort * compareBytes(a.from, b.from),
  );
  const steps = reads.map(({ from, to, filter }) => ({ from, to, ...(filter && { filter }) }));
  return { steps, reverse };
}

interface Ranged extends Required<Range> {
  readonly partition: AttributeValue;
  readonly filter: Condition | undefined;
}

/** Those that can have anything in them. */
function rangesOf(reads: readonly Read[], rangeOf: (condition: Condition) => Required<Range>): Ranged[] {
  return reads.flatMap(({ partition, keys, filter }) => {
    const { from, to } = keys.map(rangeOf).reduce((a, b) => ({
      from: compareBytes(a.from, b.from) >= 0 ? a.from : b.from,
      to: compareBytes(a.to, b.to) <= 0 ? a.to : b.to,
    }));
    return compareBytes(from, to) < 0 ? [{ partition, from, to, filter }] : [];
  });
}

function overlap(reads: readonly Ranged[]): boolean {
  const inOrder = [...reads].sort((a, b) => compareBytes(a.from, b.from));
  return inOrder.some(({ from }, i) => i > 0 && compareBytes(from, (inOrder[i - 1] as Ranged).to) < 0);
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
