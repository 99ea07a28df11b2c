/** What UpdateTable asks of global indexes. */

import { controlMessages } from "./control/messages.js";
import { assertGranted, assertMayFall } from "./control/quotas.js";
import { changedThroughput, indexUnder, rebilled, type ThroughputRequests } from "./control/throughput.js";
import { unitsChanged } from "./control/throughput-history.js";
import { ApiError, validationError } from "./errors.js";
import { GLOBAL_INDEXES_MAX, globalIndexOf } from "./index-definitions.js";
import { asIndexKey } from "./key-schema.js";
import { messages } from "./messages.js";
import type { GlobalIndex, GlobalIndexDefinition, IndexKeySchema, KeyAttribute, TableRecord } from "./model.js";
import type { GlobalIndexRequest } from "./requests/indexes.js";
import type { ThroughputRequest } from "./requests/table-parts.js";

export interface GlobalIndexUpdate {
  Create?: GlobalIndexRequest;
  Update?: { IndexName: string; ProvisionedThroughput?: ThroughputRequest } & ThroughputRequests;
  Delete?: { IndexName: string };
}

export interface IndexUpdateRequest {
  AttributeDefinitions?: { AttributeName: string; AttributeType: "S" | "N" | "B" }[];
  GlobalSecondaryIndexUpdates?: GlobalIndexUpdate[];
}

/** Data, as it travels to whoever leads the metadata. */
export type IndexUpdate =
  | { readonly kind: "create"; readonly request: GlobalIndexRequest; readonly attributes: readonly KeyAttribute[] }
  | ({
      readonly kind: "throughput";
      readonly name: string;
      readonly readUnits: number;
      readonly writeUnits: number;
    } & ThroughputRequests)
  | ({ readonly kind: "capacity"; readonly name: string } & ThroughputRequests)
  | { readonly kind: "delete"; readonly name: string };

/** Checked before what may be asked for together. @throws ValidationException */
export function assertWarmthSaid({ GlobalSecondaryIndexUpdates: updates = [] }: IndexUpdateRequest): void {
  for (const { Update: { IndexName: name, WarmThroughput: warm } = {} } of updates)
    if (name !== undefined && warm !== undefined && Object.keys(warm).length === 0)
      throw validationError(controlMessages.warmEmpty(name));
}

/** Checks that need no table. Empty: the request says nothing of indexes. @throws ApiError */
export function indexUpdatesOf(request: IndexUpdateRequest): IndexUpdate[] {
  const { GlobalSecondaryIndexUpdates: updates = [], AttributeDefinitions: definitions } = request;
  const defined = new Set<string>();
  for (const { AttributeName: name } of definitions ?? []) {
    if (defined.has(name)) throw validationError(messages.definitionTwice(name));
    defined.add(name);
  }
  const names = new Set<string>();
  const found = updates.map(({ Create: create, Update: update, Delete: remove }): IndexUpdate => {
    const given = [create, update, remove].filter((one) => one !== undefined);
    const [first] = given;
    if (first === undefined) throw validationError(messages.indexUpdateEmpty);
    if (given.length > 1) throw validationError(messages.indexUpdateAmbiguous);
    const name = first.IndexName;
    if (names.has(name)) throw validationError(messages.indexUpdateTwice(name));
    names.add(name);
    if (create !== undefined) {
      if (definitions === undefined) throw validationError(messages.definitionsMissing(name));
      const attributes = definitions.map((one) => ({ name: one.AttributeName, type: one.AttributeType }));
      return { kind: "create", request: create, attributes };
    }
    if (update === undefined) return { kind: "delete", name };
    const { ProvisionedThroughput: throughput, OnDemandThroughput, WarmThroughput } = update;
    const more = { ...(OnDemandThroughput && { OnDemandThroughput }), ...(WarmThroughput && { WarmThroughput }) };
    if (throughput === undefined) return { kind: "capacity", name, ...more };
    return {
      kind: "throughput",
      name,
      readUnits: throughput.ReadCapacityUnits,
      writeUnits: throughput.WriteCapacityUnits,
      ...more,
    };
  });
  if (found.filter(({ kind }) => kind === "create" || kind === "delete").length > 1)
    throw new ApiError("LimitExceededException", messages.indexesOneAtATime);
  return found;
}

export interface IndexChanges<I extends GlobalIndex> {
  readonly changed: readonly I[];
  readonly created?: GlobalIndexDefinition;
}

type Indexed<I> = Pick<TableRecord, "name" | "keySchema" | "billingMode" | "localIndexes"> & {
  readonly globalIndexes?: readonly I[];
};

/** What the updates make of a table's indexes. @throws ApiError where they do not fit it */
export function indexChanges<I extends GlobalIndex>(
  table: Indexed<I>,
  updates: readonly IndexUpdate[],
  nowMs: number,
): IndexChanges<I> {
  const changed: I[] = [];
  let created: GlobalIndexDefinition | undefined;
  for (const update of updates) {
    if (update.kind === "create") created = createdIndex(table, update);
    else changed.push(changedIndex(table, update, nowMs));
  }
  return created === undefined ? { changed } : { changed, created };
}

type Asked<K extends IndexUpdate["kind"]> = IndexUpdate & { readonly kind: K };

function createdIndex(table: Indexed<GlobalIndex>, { request, attributes }: Asked<"create">): GlobalIndexDefinition {
  const { globalIndexes = [], localIndexes = [], billingMode } = table;
  const { IndexName: name, ProvisionedThroughput: throughput } = request;
  if ([...globalIndexes, ...localIndexes].some((index) => index.name === name))
    throw validationError(messages.indexExists);
  if (globalIndexes.some(({ status }) => status === "CREATING" || status === "DELETING"))
    throw new ApiError("LimitExceededException", messages.indexesOneAtATime);
  if (globalIndexes.length >= GLOBAL_INDEXES_MAX)
    throw new ApiError("LimitExceededException", messages.globalIndexesAllThere(GLOBAL_INDEXES_MAX));
  if (billingMode === "PAY_PER_REQUEST" && throughput !== undefined)
    throw validationError(messages.newIndexUnderOnDemand(name));
  if (billingMode === "PROVISIONED" && throughput === undefined)
    throw validationError(messages.indexThroughputIncomplete(name));
  const definitions = new Map(attributes.map((attribute) => [attribute.name, attribute]));
  const created = globalIndexOf(request, billingMode, definitions);
  assertGranted(created, name);
  assertNotRedefined(table, created.keySchema);
  return created;
}

function changedIndex<I extends GlobalIndex>(
  table: Indexed<I>,
  update: Exclude<IndexUpdate, { kind: "create" }>,
  nowMs: number,
): I {
  const { globalIndexes = [], billingMode } = table;
  const index = globalIndexes.find(({ name }) => name === update.name);
  if (index === undefined) throw noSuchIndex(table, update);
  switch (update.kind) {
    case "throughput":
      return withUnits(index, billingMode, update, nowMs);
    case "capacity":
      return withCapacity(index, billingMode, update);
    case "delete": {
      if (globalIndexes.some(({ name, status }) => name !== index.name && status !== "ACTIVE"))
        throw new ApiError("LimitExceededException", messages.indexesOneAtATime);
      const { backfilling: _, ...rest } = index;
      return { ...(rest as I), status: "DELETING" };
    }
  }
}

function withUnits<I extends GlobalIndex>(
  index: I,
  billingMode: TableRecord["billingMode"],
  update: Asked<"throughput">,
  nowMs: number,
): I {
  const { name, readUnits, writeUnits } = update;
  if (billingMode === "PAY_PER_REQUEST") throw validationError(messages.indexUpdateUnderOnDemand(name));
  if (readUnits === index.readUnitsPerSecond && writeUnits === index.writeUnitsPerSecond)
    throw validationError(messages.indexThroughputUnchanged(name, readUnits, writeUnits));
  const units = { readUnitsPerSecond: readUnits, writeUnitsPerSecond: writeUnits };
  assertGranted(units, name);
  assertMayFall(index, index, units, nowMs);
  return indexUnder(index, billingMode, (before) => {
    const after = rebilled(before, { ...before, ...units, ...unitsChanged(before, before, units, nowMs) });
    return changedThroughput(after, update, name);
  });
}

function withCapacity<I extends GlobalIndex>(
  index: I,
  billingMode: TableRecord["billingMode"],
  update: Asked<"capacity">,
): I {
  const { name, OnDemandThroughput: maxima = {}, WarmThroughput: warm = {} } = update;
  if (Object.keys(maxima).length + Object.keys(warm).length === 0)
    throw validationError(
      billingMode === "PAY_PER_REQUEST"
        ? messages.indexUpdateUnderOnDemand(name)
        : messages.indexThroughputIncomplete(name),
    );
  return indexUnder(index, billingMode, (before) => changedThroughput(before, update, name));
}

/** An attribute that is part of a key already is of the same type in the new index's. @throws ValidationException */
function assertNotRedefined(
  { keySchema, localIndexes = [], globalIndexes = [] }: Indexed<GlobalIndex>,
  created: IndexKeySchema,
): void {
  const types = new Map([...created.partition, ...created.sort].map(({ name, type }) => [name, type]));
  for (const key of [asIndexKey(keySchema), ...[...localIndexes, ...globalIndexes].map((index) => index.keySchema)]) {
    if ([...key.partition, ...key.sort].some(({ name, type }) => types.has(name) && types.get(name) !== type))
      throw validationError(messages.attributeRedefined(told(key), told(created)));
  }
}

const told = ({ partition, sort }: IndexKeySchema) => [
  ...partition.map(({ name, type }) => [name, type, "HASH"] as const),
  ...sort.map(({ name, type }) => [name, type, "RANGE"] as const),
];

function noSuchIndex(table: Indexed<GlobalIndex>, { kind, name }: { kind: string; name: string }): ApiError {
  const isLocal = table.localIndexes?.some((index) => index.name === name) === true;
  const verb = kind === "delete" ? "delete" : "update";
  if (isLocal) return validationError(messages.indexNotGlobal(verb, name));
  return new ApiError("ResourceNotFoundException", messages.indexNotFound(name, table.name));
}
