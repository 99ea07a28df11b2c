/** Secondary indexes as clients define and see them. */

import { describedThroughput, newThroughput } from "./control/throughput.js";
import { describedUnits } from "./control/throughput-history.js";
import { validationError } from "./errors.js";
import { describedKey, keyAttributes } from "./key-schema.js";
import { messages } from "./messages.js";
import type {
  GlobalIndex,
  GlobalIndexDefinition,
  IndexDefinition,
  IndexKeySchema,
  IndexProjection,
  KeyAttribute,
  KeySchema,
  LocalIndex,
  Sizes,
  TableDefinition,
  TableRecord,
  TableSizes,
} from "./model.js";
import type { GlobalIndexRequest, LocalIndexRequest, ProjectionRequest } from "./requests/indexes.js";

const LOCAL_INDEXES_MAX = 5;
export const GLOBAL_INDEXES_MAX = 20;
const KEY_ATTRIBUTES_MAX = 4;

export type Definitions = ReadonlyMap<string, KeyAttribute>;

/** @throws ValidationException */
export function localIndexesOf(
  requests: readonly LocalIndexRequest[],
  table: KeySchema,
  definitions: Definitions,
): LocalIndex[] {
  if (requests.length === 0) throw validationError(messages.indexListEmpty("LocalSecondaryIndexes"));
  if (table.sort === undefined) throw validationError(messages.localIndexNeedsSort);
  const indexes = requests.map((request, i): LocalIndex => {
    const { IndexName: name } = request;
    const keySchema = indexKeySchema(request, definitions);
    if (keySchema.partition.length > 1) throw validationError(messages.secondKeyNotRange);
    if (keySchema.sort.length === 0) throw validationError(messages.indexWithoutSort(name));
    const hash = keySchema.partition[0]?.name as string;
    if (hash !== table.partition.name) throw validationError(messages.indexOtherHash(name, hash, table.partition.name));
    return { name, number: i + 1, keySchema, projection: projectionOfIndex(request.Projection) };
  });
  checkNames(indexes);
  if (indexes.length > LOCAL_INDEXES_MAX) throw validationError(messages.localIndexesTooMany(LOCAL_INDEXES_MAX));
  return indexes;
}

/** @throws ValidationException */
export function globalIndexesOf(
  requests: readonly GlobalIndexRequest[],
  billingMode: "PROVISIONED" | "PAY_PER_REQUEST",
  definitions: Definitions,
  locals: readonly IndexDefinition[],
): GlobalIndexDefinition[] {
  if (requests.length === 0) throw validationError(messages.indexListEmpty("GlobalSecondaryIndexes"));
  const indexes = requests.map((request) => globalIndexOf(request, billingMode, definitions));
  checkNames([...locals, ...indexes]);
  if (indexes.length > GLOBAL_INDEXES_MAX) throw validationError(messages.globalIndexesTooMany(GLOBAL_INDEXES_MAX));
  return indexes;
}

/** @throws ValidationException */
export function globalIndexOf(
  request: GlobalIndexRequest,
  billingMode: "PROVISIONED" | "PAY_PER_REQUEST",
  definitions: Definitions,
): GlobalIndexDefinition {
  const { IndexName: name, ProvisionedThroughput: throughput } = request;
  const keySchema = indexKeySchema(request, definitions);
  const projection = projectionOfIndex(request.Projection);
  if (billingMode === "PAY_PER_REQUEST" && throughput !== undefined)
    throw validationError(messages.indexThroughputUnderOnDemand(name));
  if (billingMode === "PROVISIONED" && throughput === undefined)
    throw validationError(messages.indexThroughputMissing(name));
  const units = {
    readUnitsPerSecond: throughput?.ReadCapacityUnits ?? 0,
    writeUnitsPerSecond: throughput?.WriteCapacityUnits ?? 0,
  };
  return { name, keySchema, projection, ...units, ...newThroughput(request, { billingMode, ...units }, name) };
}

function checkNames(indexes: readonly IndexDefinition[]): void {
  const names = new Set<string>();
  for (const { name } of indexes) {
    if (names.has(name)) throw validationError(messages.indexNameTwice(name));
    names.add(name);
  }
}

function indexKeySchema({ KeySchema: elements }: LocalIndexRequest, definitions: Definitions): IndexKeySchema {
  const names = elements.map(({ AttributeName }) => AttributeName);
  if (names.some((name) => !definitions.has(name)))
    throw validationError(messages.keyNotDefined(names, [...definitions.keys()]));
  if (elements[0]?.KeyType !== "HASH") throw validationError(messages.firstKeyNotHash);
  if (new Set(names).size < names.length)
    throw validationError(names.length === 2 ? messages.keyNamesEqual : messages.indexKeyNamesEqual);
  const hashes = elements.filter(({ KeyType }) => KeyType === "HASH");
  if (elements.slice(0, hashes.length).some(({ KeyType }) => KeyType !== "HASH"))
    throw validationError(messages.hashKeysFirst);
  const sorts = elements.slice(hashes.length);
  if (hashes.length > KEY_ATTRIBUTES_MAX) throw validationError(messages.keysTooMany("HASH"));
  if (sorts.length > KEY_ATTRIBUTES_MAX) throw validationError(messages.keysTooMany("RANGE"));
  const attributes = (of: typeof elements) =>
    of.map(({ AttributeName }) => definitions.get(AttributeName) as KeyAttribute);
  return { partition: attributes(hashes), sort: attributes(sorts) };
}

function projectionOfIndex({ ProjectionType: type, NonKeyAttributes: names }: ProjectionRequest): IndexProjection {
  if (type === undefined) throw validationError(messages.projectionUnknown);
  if (type !== "INCLUDE") {
    if (names !== undefined) throw validationError(messages.projectionWithNames(type));
    return { type };
  }
  if (names === undefined) throw validationError(messages.projectionWithoutNames);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw validationError(messages.projectionNameTwice(name));
    seen.add(name);
  }
  return { type, names };
}

/** All attributes that are part of some key, each once: those of the table first. */
export function keyAttributesOf({
  keySchema,
  localIndexes = [],
  globalIndexes = [],
}: Pick<TableDefinition, "keySchema" | "localIndexes" | "globalIndexes">): Map<string, KeyAttribute> {
  const found = new Map<string, KeyAttribute>();
  const add = (attribute: KeyAttribute) => found.set(attribute.name, attribute);
  for (const attribute of keyAttributes(keySchema)) add(attribute);
  for (const index of [...localIndexes, ...globalIndexes])
    for (const attribute of [...index.keySchema.partition, ...index.keySchema.sort]) add(attribute);
  return found;
}

/** The parts of a table's description that tell of its indexes. */
export function indexDescriptions(
  table: TableRecord,
  tableArn: string,
  sizes: TableSizes["indexes"] = {},
  nowMs?: number,
): Record<string, unknown> {
  const { localIndexes = [], globalIndexes = [] } = table;
  return {
    ...(localIndexes.length > 0 && {
      LocalSecondaryIndexes: localIndexes.map((index) => indexDescription(index, tableArn, sizes[index.name])),
    }),
    ...(globalIndexes.length > 0 && {
      GlobalSecondaryIndexes: globalIndexes.map((index) => ({
        ...indexDescription(index, tableArn, sizes[index.name]),
        IndexStatus: index.status,
        ...(index.backfilling !== undefined && { Backfilling: index.backfilling }),
        ...describedThroughput({ ...index, billingMode: table.billingMode }, index.status !== "CREATING"),
        ProvisionedThroughput: describedUnits(index, nowMs),
      })),
    }),
  };
}

function indexDescription(
  { name, keySchema, projection }: IndexDefinition | GlobalIndex,
  tableArn: string,
  { items, bytes }: Sizes = { items: 0, bytes: 0 },
): object {
  return {
    IndexName: name,
    KeySchema: describedKey(keySchema),
    Projection: {
      ProjectionType: projection.type,
      ...(projection.type === "INCLUDE" && { NonKeyAttributes: [...projection.names].sort() }),
    },
    IndexSizeBytes: bytes,
    ItemCount: items,
    IndexArn: `${tableArn}/index/${name}`,
  };
}
