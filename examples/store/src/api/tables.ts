/** Tables as clients define and see them. */

import { isBeingPlaced } from "./control/admission.js";
import { encryptionOf } from "./control/encryption.js";
import { controlMessages } from "./control/messages.js";
import { assertGranted } from "./control/quotas.js";
import { checkTableClass, describedSettings, type TableSettings } from "./control/settings.js";
import { checkTags } from "./control/tags.js";
import { describedThroughput, newThroughput } from "./control/throughput.js";
import { validationError } from "./errors.js";
import { globalIndexesOf, indexDescriptions, keyAttributesOf, localIndexesOf } from "./index-definitions.js";
import { asIndexKey, describedKey } from "./key-schema.js";
import { messages } from "./messages.js";
import type { KeyAttribute, KeySchema, TableDefinition, TableRecord, TableSizes } from "./model.js";
import { REGION } from "./region.js";
import type { ThroughputRequest } from "./requests/table-parts.js";
import type { CreateTableRequest } from "./requests/tables.js";
import { describedStream, streamOfNewTable } from "./streams/specification.js";

const UNITS_MAX = 1_000_000_000_000;

/** @param request whose fields have passed their own checks @throws ApiError where they do not fit together, or are more than is granted */
export function tableDefinition(request: CreateTableRequest): TableDefinition {
  const billing = billingOf(request.BillingMode ?? "PROVISIONED", request.ProvisionedThroughput);
  const streamViewType = streamOfNewTable(request.StreamSpecification);
  const definition = {
    ...(streamViewType && { streamViewType }),
    name: request.TableName,
    ...keysAndIndexes(request, billing.billingMode),
    ...billing,
    ...newThroughput(request, billing),
    ...settingsOf(request),
  };
  assertGranted(definition);
  for (const index of definition.globalIndexes ?? []) assertGranted(index, index.name);
  return definition;
}

/** How a table is paid for. */
export type Billing = Pick<TableDefinition, "billingMode" | "readUnitsPerSecond" | "writeUnitsPerSecond">;

/** @throws ValidationException */
export function billingOf(billingMode: Billing["billingMode"], throughput: ThroughputRequest | undefined): Billing {
  if (billingMode === "PAY_PER_REQUEST" && throughput !== undefined) {
    throw validationError(messages.throughputUnderOnDemand);
  }
  if (billingMode === "PROVISIONED" && throughput === undefined) throw validationError(messages.throughputMissing);
  assertInBounds(throughput);
  return {
    billingMode,
    readUnitsPerSecond: throughput?.ReadCapacityUnits ?? 0,
    writeUnitsPerSecond: throughput?.WriteCapacityUnits ?? 0,
  };
}

/** @throws ValidationException */
export function assertInBounds(throughput: ThroughputRequest | undefined): void {
  for (const name of ["ReadCapacityUnits", "WriteCapacityUnits"] as const) {
    const value = throughput?.[name] ?? 0;
    if (value > UNITS_MAX) throw validationError(controlMessages.throughputOutOfBounds(value, name));
  }
}

/** Left out where nothing is asked for. */
function settingsOf(request: CreateTableRequest): { readonly settings?: TableSettings } {
  const { DeletionProtectionEnabled, TableClass, Tags, SSESpecification } = request;
  if (Tags !== undefined) checkTags(Tags);
  checkTableClass(TableClass);
  const encryption = SSESpecification && encryptionOf(SSESpecification);
  const settings: TableSettings = {
    ...(DeletionProtectionEnabled && { deletionProtection: true }),
    // Only who says it is told it, also where it is what it would be anyway.
    ...(TableClass && { tableClass: { name: TableClass } }),
    ...(Tags !== undefined && Tags.length > 0 && { tags: Tags }),
    ...(encryption && { encryption }),
  };
  return Object.keys(settings).length > 0 ? { settings } : {};
}

function keysAndIndexes(
  request: CreateTableRequest,
  billingMode: TableDefinition["billingMode"],
): Pick<TableDefinition, "keySchema" | "localIndexes" | "globalIndexes"> {
  const { LocalSecondaryIndexes: locals, GlobalSecondaryIndexes: globals } = request;
  const { schema, definitions } = keySchema(request, locals !== undefined || globals !== undefined);
  const localIndexes = locals && localIndexesOf(locals, schema, definitions);
  const globalIndexes = globals && globalIndexesOf(globals, billingMode, definitions, localIndexes ?? []);
  const indexed = { keySchema: schema, ...(localIndexes && { localIndexes }), ...(globalIndexes && { globalIndexes }) };
  const used = [...keyAttributesOf(indexed).keys()];
  if (used.length < definitions.size) throw validationError(messages.definitionsUnused([...definitions.keys()], used));
  return indexed;
}

function keySchema(
  request: CreateTableRequest,
  hasIndexes: boolean,
): { schema: KeySchema; definitions: ReadonlyMap<string, KeyAttribute> } {
  const definitions = new Map<string, KeyAttribute>();
  for (const { AttributeName: name, AttributeType: type } of request.AttributeDefinitions) {
    if (definitions.has(name)) throw validationError(messages.definitionTwice(name));
    definitions.set(name, { name, type });
  }
  const [first, second] = request.KeySchema;
  const keys = request.KeySchema.map(({ AttributeName }) => AttributeName);
  if (!hasIndexes && definitions.size < keys.length) throw validationError(messages.keysNotDefined);
  if (keys.some((key) => !definitions.has(key))) {
    throw validationError(messages.keyNotDefined(keys, [...definitions.keys()]));
  }
  if (first?.AttributeName === second?.AttributeName) throw validationError(messages.keyNamesEqual);
  if (first?.KeyType !== "HASH") throw validationError(messages.firstKeyNotHash);
  if (second !== undefined && second.KeyType !== "RANGE") throw validationError(messages.secondKeyNotRange);
  if (!hasIndexes && definitions.size !== keys.length) throw validationError(messages.keyCountMismatch);
  const partition = definitions.get(first.AttributeName) as KeyAttribute;
  if (second === undefined) return { schema: { partition }, definitions };
  return { schema: { partition, sort: definitions.get(second.AttributeName) as KeyAttribute }, definitions };
}

export function tableArn(name: string): string {
  return `arn:aws:dynamodb:${REGION}:000000000000:table/${name}`;
}

const GONE_WITH_THE_TABLE: readonly string[] = [
  "AttributeDefinitions",
  "KeySchema",
  "CreationDateTime",
  "GlobalSecondaryIndexes",
  "LocalSecondaryIndexes",
];

/** A table as DeleteTable shows it: its keys and indexes, and when it was made, are not told any more. */
export function deletedDescription(table: TableRecord): Record<string, unknown> {
  const told = Object.entries(tableDescription(table)).filter(([name]) => !GONE_WITH_THE_TABLE.includes(name));
  return Object.fromEntries(told);
}

/** A table as CreateTable shows it: since when it is on demand, and what it is warm for unless that was asked for, is told later. */
export function createdDescription(table: TableRecord): Record<string, unknown> {
  const told = tableDescription(table);
  const { GlobalSecondaryIndexes: indexes, BillingModeSummary: billed } = told;
  return {
    ...(table.warm ? told : withoutWarmth(told)),
    ...(billed !== undefined && { BillingModeSummary: { BillingMode: table.billingMode } }),
    ...(indexes !== undefined && { GlobalSecondaryIndexes: (indexes as object[]).map(withoutWarmth) }),
  };
}

function withoutWarmth(told: { WarmThroughput?: unknown }): Record<string, unknown> {
  const { WarmThroughput: _, ...rest } = told;
  return rest;
}

/** It is UPDATING also while an index of it is given its place, or loses it. */
function statusOf({ status, globalIndexes = [] }: TableRecord): TableRecord["status"] {
  const isChanging = globalIndexes.some((index) => isBeingPlaced(index) || index.status === "DELETING");
  return status === "ACTIVE" && isChanging ? "UPDATING" : status;
}

/**
 * A table as DescribeTable shows it.
 * @param sizes absent: 0, as the service says it of a table that is new
 * @param nowMs absent: of no day
 */
export function tableDescription(table: TableRecord, sizes?: TableSizes, nowMs?: number): Record<string, unknown> {
  const createdAt = table.createdAtMs / 1000;
  return {
    AttributeDefinitions: [...keyAttributesOf(table).values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
    TableName: table.name,
    KeySchema: describedKey(asIndexKey(table.keySchema)),
    TableStatus: statusOf(table),
    CreationDateTime: createdAt,
    ...describedSettings(table, nowMs),
    ...describedThroughput(table, table.status !== "CREATING"),
    TableSizeBytes: sizes?.bytes ?? 0,
    ItemCount: sizes?.items ?? 0,
    TableArn: tableArn(table.name),
    TableId: table.tableId,
    ...indexDescriptions(table, tableArn(table.name), sizes?.indexes, nowMs),
    ...describedStream(table.name, table.latestStream),
    ...(table.failure !== undefined && {
      ArchivalSummary: { ArchivalDateTime: table.failure.atMs / 1000, ArchivalReason: table.failure.reason },
    }),
  };
}
