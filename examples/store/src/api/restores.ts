/** What a table that is restored from another one, or from a backup of it, is to be. */
import { type EncryptionRequest, encryptionOf } from "./control/encryption.js";
import { controlMessages } from "./control/messages.js";
import { changedThroughput, NO_MAXIMUM, type OnDemandMaxima, type OnDemandRequest } from "./control/throughput.js";
import { validationError } from "./errors.js";
import { messages } from "./messages.js";
import type {
  GlobalIndexDefinition,
  IndexDefinition,
  IndexKeySchema,
  LocalIndex,
  TableDefinition,
  TableRecord,
} from "./model.js";
import { type GlobalIndexRequest, globalIndexes, type LocalIndexRequest, localIndexes } from "./requests/indexes.js";
import type { Shape } from "./requests/shapes.js";
import {
  absent,
  billingMode,
  encryption,
  onDemandThroughput,
  type ThroughputRequest,
  throughput,
} from "./requests/table-parts.js";
import { type Billing, billingOf } from "./tables.js";

/** What a restore may ask to be other than it was. */
export interface RestoreOverrides {
  readonly BillingModeOverride?: Billing["billingMode"];
  readonly ProvisionedThroughputOverride?: ThroughputRequest;
  readonly OnDemandThroughputOverride?: OnDemandRequest;
  readonly SSESpecificationOverride?: EncryptionRequest;
  /** The indexes that there are to be, each as it was but for its throughput; absent: all. */
  readonly GlobalSecondaryIndexOverride?: readonly GlobalIndexRequest[];
  readonly LocalSecondaryIndexOverride?: readonly LocalIndexRequest[];
}

export const restoreOverrides: Readonly<Record<string, Shape>> = {
  BillingModeOverride: billingMode,
  GlobalSecondaryIndexOverride: globalIndexes,
  LocalSecondaryIndexOverride: localIndexes,
  OnDemandThroughputOverride: onDemandThroughput,
  ProvisionedThroughputOverride: throughput,
  SSESpecificationOverride: encryption,
  VectorIndexOverride: absent,
};

/**
 * Settings other than what it costs are not restored.
 * @throws ValidationException where what is asked for does not fit together, or an index is not as it was
 */
export function restoredDefinition(
  table: Pick<TableRecord, keyof TableDefinition>,
  name: string,
  overrides: RestoreOverrides = {},
): TableDefinition {
  const { BillingModeOverride, ProvisionedThroughputOverride } = overrides;
  const mode = BillingModeOverride ?? table.billingMode;
  const kept = table.billingMode === "PROVISIONED" && mode === "PROVISIONED";
  const asked = ProvisionedThroughputOverride ?? (kept ? throughputOf(table) : undefined);
  if (mode === "PAY_PER_REQUEST" && asked !== undefined)
    throw validationError(
      BillingModeOverride === undefined
        ? controlMessages.restoredThroughputOnDemand
        : controlMessages.restoredThroughputUnderOnDemand(),
    );
  if (mode === "PROVISIONED" && asked === undefined) throw validationError(controlMessages.restoredThroughputMissing);
  const onDemand = maximaOf(table, mode, overrides.OnDemandThroughputOverride);
  // The key stays with the table, unless another one is asked for.
  const encryption = overrides.SSESpecificationOverride
    ? encryptionOf(overrides.SSESpecificationOverride)
    : table.settings?.encryption;
  const globals = globalIndexesOf(table, mode, overrides.GlobalSecondaryIndexOverride);
  const locals = localIndexesOf(table, overrides.LocalSecondaryIndexOverride);
  return {
    name,
    keySchema: table.keySchema,
    ...(locals.length > 0 && { localIndexes: locals }),
    ...(globals.length > 0 && { globalIndexes: globals }),
    ...billingOf(mode, asked),
    ...(onDemand && { onDemand }),
    ...(encryption && { settings: { encryption } }),
  };
}

function maximaOf(
  table: Pick<TableDefinition, "onDemand" | "billingMode">,
  mode: Billing["billingMode"],
  asked: OnDemandRequest | undefined,
): OnDemandMaxima | undefined {
  if (asked === undefined) return mode === "PAY_PER_REQUEST" ? table.onDemand : undefined;
  for (const name of ["MaxReadRequestUnits", "MaxWriteRequestUnits"] as const) {
    const value = asked[name];
    if (value === undefined) continue;
    if (mode === "PROVISIONED") throw validationError(controlMessages.maximumOverride(name));
    if (value < 1 && value !== NO_MAXIMUM) throw validationError(controlMessages.maximumOverrideOutOfRange(name));
  }
  const billed = { billingMode: mode, readUnitsPerSecond: 0, writeUnitsPerSecond: 0 };
  const before = table.onDemand && { onDemand: table.onDemand };
  return changedThroughput({ ...billed, ...before }, { OnDemandThroughput: asked }).onDemand;
}

type Provisioned = Pick<GlobalIndexDefinition, "readUnitsPerSecond" | "writeUnitsPerSecond">;

const throughputOf = ({ readUnitsPerSecond, writeUnitsPerSecond }: Provisioned): ThroughputRequest => ({
  ReadCapacityUnits: readUnitsPerSecond,
  WriteCapacityUnits: writeUnitsPerSecond,
});

function globalIndexesOf(
  table: Pick<TableDefinition, "globalIndexes" | "billingMode">,
  mode: Billing["billingMode"],
  asked: RestoreOverrides["GlobalSecondaryIndexOverride"],
): GlobalIndexDefinition[] {
  const kept = table.billingMode === "PROVISIONED" && mode === "PROVISIONED";
  return matching(table.globalIndexes ?? [], asked).map(({ index, request }) => {
    const { name, keySchema, projection } = index;
    const units = request === undefined && kept ? throughputOf(index) : request?.ProvisionedThroughput;
    if (mode === "PAY_PER_REQUEST" && units !== undefined)
      throw validationError(controlMessages.restoredThroughputUnderOnDemand(name));
    if (mode === "PROVISIONED" && units === undefined)
      throw validationError(controlMessages.restoredIndexThroughputMissing(name));
    return {
      name,
      keySchema,
      projection,
      readUnitsPerSecond: units?.ReadCapacityUnits ?? 0,
      writeUnitsPerSecond: units?.WriteCapacityUnits ?? 0,
      ...(mode === "PAY_PER_REQUEST" && index.onDemand && { onDemand: index.onDemand }),
    };
  });
}

function localIndexesOf(
  { localIndexes: all = [] }: Pick<TableDefinition, "localIndexes">,
  asked: RestoreOverrides["LocalSecondaryIndexOverride"],
): LocalIndex[] {
  return matching(all, asked).map(({ index }) => index);
}

/** Those that are asked for, which have to be there but for their names, and to be so. */
function matching<I extends IndexDefinition, R extends LocalIndexRequest>(
  all: readonly I[],
  asked: readonly R[] | undefined,
): { readonly index: I; readonly request?: R }[] {
  if (asked === undefined) return all.map((index) => ({ index }));
  const names = new Set<string>();
  const left = new Set(all);
  return asked.map((request) => {
    const { IndexName: name } = request;
    if (names.has(name)) throw validationError(messages.indexNameTwice(name));
    names.add(name);
    const alike = [...left].filter((one) => isAs(one, request));
    const index = alike.find((one) => one.name === name) ?? alike[0];
    if (index === undefined) throw validationError(controlMessages.restoredIndexDiffers(name));
    left.delete(index);
    return { index: { ...index, name }, request };
  });
}

function isAs({ keySchema, projection }: IndexDefinition, { KeySchema, Projection }: LocalIndexRequest): boolean {
  const names = (type: "HASH" | "RANGE") =>
    KeySchema.filter(({ KeyType }) => KeyType === type).map(({ AttributeName }) => AttributeName);
  const same = (attributes: IndexKeySchema["partition"], asked: readonly string[]) =>
    attributes.length === asked.length && attributes.every(({ name }, i) => name === asked[i]);
  if (!same(keySchema.partition, names("HASH")) || !same(keySchema.sort, names("RANGE"))) return false;
  if (Projection.ProjectionType !== projection.type) return false;
  const { NonKeyAttributes: shown = [] } = Projection;
  const shows = projection.type === "INCLUDE" ? projection.names : [];
  return shown.length === shows.length && shown.every((name) => shows.includes(name));
}
