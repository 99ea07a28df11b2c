/** What the operations on items take. */
import type { LegacyParameters } from "../legacy/parameters.js";
import { messages } from "../messages.js";
import type { Item, ReturnValues } from "../model.js";
import {
  type CapacityDetail,
  capacityDetail,
  collectionMetrics,
  expression,
  key,
  names,
  returnedOnFailure,
  values,
} from "./item-parts.js";
import { attributesToGet, attributeUpdates, conditionalOperator, conditionMap, expected } from "./legacy.js";
import { NAME, type Shape, type StructureShape, structure } from "./shapes.js";
import { tableOfItems } from "./table-parts.js";

export interface ExpressionParameters extends LegacyParameters {
  ConditionExpression?: string;
  FilterExpression?: string;
  KeyConditionExpression?: string;
  ProjectionExpression?: string;
  UpdateExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Item;
}

interface WriteRequest extends ExpressionParameters {
  TableName: string;
  ReturnValues?: ReturnValues;
  ReturnValuesOnConditionCheckFailure?: "ALL_OLD" | "NONE";
  ReturnConsumedCapacity?: CapacityDetail;
  ReturnItemCollectionMetrics?: "SIZE" | "NONE";
}

const returnValues = {
  type: "string",
  oneOf: ["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"],
  newer: { oneOf: ["ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATE_NEW", "NONE"] },
} as const satisfies Shape;

/** As the newer checks have it, though it is AND and OR that they take. */
const newerOperators = { oneOf: ["ALL", "OR"] } as const;

const ofWrites: Readonly<Record<string, Shape>> = {
  ReturnConsumedCapacity: capacityDetail,
  // Of an empty name the older checks tell the length alone.
  TableName: {
    ...tableOfItems,
    newer: { alone: true },
    pattern: /^[a-zA-Z0-9_.-]*$/,
    patternTold: NAME.source.slice(1, -1),
  },
  ReturnValues: returnValues,
  ReturnValuesOnConditionCheckFailure: returnedOnFailure,
  ReturnItemCollectionMetrics: { ...collectionMetrics, newer: { noneOfThem: messages.collectionMetrics } },
  ConditionExpression: expression,
  ExpressionAttributeNames: names,
  ExpressionAttributeValues: values,
  Expected: expected,
  ConditionalOperator: { ...conditionalOperator, newer: { ...newerOperators, alone: true } },
};

export interface PutItemRequest extends WriteRequest {
  Item: Item;
}

export const putItem: StructureShape = {
  ...structure("PutItemInput", { ...ofWrites, Item: key }),
  olderWhereDeep: true,
};

export interface DeleteItemRequest extends WriteRequest {
  Key: Item;
}

export const deleteItem: StructureShape = {
  ...structure("DeleteItemInput", { ...ofWrites, Key: key }),
  olderWhereDeep: true,
};

export interface UpdateItemRequest extends WriteRequest {
  Key: Item;
}

export const updateItem: StructureShape = {
  ...structure("UpdateItemInput", {
    ...ofWrites,
    // The only one whose return values are told before everything else.
    ReturnValues: { ...returnValues, newer: { ...returnValues.newer, alone: true } },
    Key: key,
    UpdateExpression: expression,
    AttributeUpdates: attributeUpdates,
  }),
  olderWithout: "Key",
  olderWhereDeep: true,
};

export interface GetItemRequest extends ExpressionParameters {
  TableName: string;
  Key: Item;
  ConsistentRead?: boolean;
  ReturnConsumedCapacity?: CapacityDetail;
}

export const getItem: StructureShape = structure("GetItemInput", {
  TableName: tableOfItems,
  Key: key,
  ConsistentRead: { type: "boolean" },
  ReturnConsumedCapacity: capacityDetail,
  ProjectionExpression: expression,
  ExpressionAttributeNames: names,
  AttributesToGet: attributesToGet,
});

export type Select = "SPECIFIC_ATTRIBUTES" | "COUNT" | "ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES";

interface PageRequestParameters extends ExpressionParameters {
  TableName: string;
  IndexName?: string;
  ConsistentRead?: boolean;
  ExclusiveStartKey?: Item;
  Limit?: number;
  Select?: Select;
  ReturnConsumedCapacity?: CapacityDetail;
}

const ofPages: Readonly<Record<string, Shape>> = {
  TableName: tableOfItems,
  IndexName: { type: "string", pattern: NAME, lengthMin: 3, lengthMax: 255 },
  ConsistentRead: { type: "boolean" },
  ExclusiveStartKey: { type: "item" },
  Limit: { type: "integer", wire: "Integer", min: 1 },
  Select: {
    type: "string",
    oneOf: ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"],
  },
  ReturnConsumedCapacity: capacityDetail,
  FilterExpression: expression,
  ProjectionExpression: expression,
  ExpressionAttributeNames: names,
  ExpressionAttributeValues: values,
  AttributesToGet: attributesToGet,
  ConditionalOperator: conditionalOperator,
};

export interface QueryRequest extends PageRequestParameters {
  ScanIndexForward?: boolean;
}

export const query: StructureShape = structure("QueryInput", {
  ...ofPages,
  ConditionalOperator: { ...conditionalOperator, newer: { ...newerOperators, alone: "bare" } },
  Limit: { type: "integer", wire: "Integer", min: 1, newer: {} },
  KeyConditionExpression: expression,
  ScanIndexForward: { type: "boolean" },
  KeyConditions: conditionMap,
  QueryFilter: conditionMap,
});

const SEGMENTS_MAX = 1_000_000;

export interface ScanRequest extends PageRequestParameters {
  Segment?: number;
  TotalSegments?: number;
}

export const scan: StructureShape = structure("ScanInput", {
  ...ofPages,
  Segment: { type: "integer", wire: "Integer", min: 0, max: SEGMENTS_MAX - 1 },
  TotalSegments: { type: "integer", wire: "Integer", min: 1, max: SEGMENTS_MAX },
  ScanFilter: conditionMap,
});

export const BATCH_WRITES_MAX = 25;

export interface BatchWrite {
  PutRequest?: { Item: Item };
  DeleteRequest?: { Key: Item };
}

export interface BatchWriteItemRequest {
  RequestItems: Record<string, BatchWrite[]>;
  ReturnConsumedCapacity?: CapacityDetail;
  ReturnItemCollectionMetrics?: "SIZE" | "NONE";
}

export const batchWriteItem: StructureShape = structure("BatchWriteItemInput", {
  RequestItems: {
    type: "map",
    required: true,
    newer: {},
    lengthMin: 1,
    lengthMax: BATCH_WRITES_MAX,
    keys: "table-names",
    keysLast: true,
    valueLengths: { lengthMin: 1, lengthMax: BATCH_WRITES_MAX },
    of: {
      type: "list",
      of: structure("WriteRequest", {
        PutRequest: structure("PutRequest", { Item: key }),
        DeleteRequest: structure("DeleteRequest", { Key: key }),
      }),
    },
  },
  ReturnConsumedCapacity: capacityDetail,
  ReturnItemCollectionMetrics: collectionMetrics,
});

export const BATCH_KEYS_MAX = 100;

export interface BatchKeys {
  Keys: Item[];
  ConsistentRead?: boolean;
  ProjectionExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  AttributesToGet?: string[];
}

export interface BatchGetItemRequest {
  RequestItems: Record<string, BatchKeys>;
  ReturnConsumedCapacity?: CapacityDetail;
}

export const batchGetItem: StructureShape = structure("BatchGetItemInput", {
  RequestItems: {
    type: "map",
    required: true,
    newer: {},
    lengthMin: 1,
    lengthMax: BATCH_KEYS_MAX,
    keys: "table-names",
    shownAsJson: true,
    of: structure("KeysAndAttributes", {
      Keys: {
        type: "list",
        required: true,
        newer: {},
        lengthMin: 1,
        lengthMax: BATCH_KEYS_MAX,
        of: { type: "item" },
      },
      ConsistentRead: { type: "boolean" },
      ProjectionExpression: expression,
      ExpressionAttributeNames: names,
      AttributesToGet: attributesToGet,
    }),
  },
  ReturnConsumedCapacity: capacityDetail,
});
