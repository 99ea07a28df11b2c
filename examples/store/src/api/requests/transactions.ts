/** What the operations on several items at once, all or none, take. */
import type { Item } from "../model.js";
import type { CapacityDetail, ExpressionParameters } from "./items.js";
import type { Shape, StructureShape } from "./shapes.js";
import { tableOfItems } from "./table-parts.js";

export const TRANSACTION_ACTIONS_MAX = 100;

interface ActionRequest extends ExpressionParameters {
  TableName: string;
  ReturnValuesOnConditionCheckFailure?: "ALL_OLD" | "NONE";
}

export interface PutAction extends ActionRequest {
  Item: Item;
}

export interface KeyAction extends ActionRequest {
  Key: Item;
}

export interface TransactWrite {
  ConditionCheck?: KeyAction;
  Put?: PutAction;
  Delete?: KeyAction;
  Update?: KeyAction;
}

export interface TransactWriteItemsRequest {
  TransactItems: TransactWrite[];
  ClientRequestToken?: string;
  ReturnConsumedCapacity?: CapacityDetail;
  ReturnItemCollectionMetrics?: "SIZE" | "NONE";
}

const item: Shape = { type: "item", required: true };
const expression: Shape = { type: "string" };
const ofActions: Readonly<Record<string, Shape>> = {
  TableName: tableOfItems,
  ConditionExpression: expression,
  ExpressionAttributeNames: { type: "map", of: { type: "string" } },
  ExpressionAttributeValues: { type: "item" },
  ReturnValuesOnConditionCheckFailure: { type: "string", oneOf: ["ALL_OLD", "NONE"] },
};
const capacityDetail: Shape = { type: "string", oneOf: ["INDEXES", "TOTAL", "NONE"] };
const actions = (of: Shape): Shape => ({
  type: "list",
  required: true,
  lengthMin: 1,
  lengthMax: TRANSACTION_ACTIONS_MAX,
  of,
});

export const transactWriteItems: StructureShape = {
  type: "structure",
  name: "TransactWriteItemsInput",
  members: {
    ClientRequestToken: { type: "string", lengthMin: 1, lengthMax: 36 },
    ReturnConsumedCapacity: capacityDetail,
    ReturnItemCollectionMetrics: { type: "string", oneOf: ["SIZE", "NONE"] },
    TransactItems: actions({
      type: "structure",
      name: "TransactWriteItem",
      members: {
        ConditionCheck: {
          type: "structure",
          name: "ConditionCheck",
          members: { ...ofActions, Key: item, ConditionExpression: { ...expression, required: true } },
        },
        Put: { type: "structure", name: "Put", members: { ...ofActions, Item: item } },
        Delete: { type: "structure", name: "Delete", members: { ...ofActions, Key: item } },
        Update: {
          type: "structure",
          name: "Update",
          members: { ...ofActions, Key: item, UpdateExpression: { ...expression, required: true } },
        },
      },
    }),
  },
};

export interface TransactGet {
  Get: {
    TableName: string;
    Key: Item;
    ProjectionExpression?: string;
    ExpressionAttributeNames?: Record<string, string>;
  };
}

export interface TransactGetItemsRequest {
  TransactItems: TransactGet[];
  ReturnConsumedCapacity?: CapacityDetail;
}

export const transactGetItems: StructureShape = {
  type: "structure",
  name: "TransactGetItemsInput",
  members: {
    ReturnConsumedCapacity: capacityDetail,
    TransactItems: actions({
      type: "structure",
      name: "TransactGetItem",
      members: {
        Get: {
          type: "structure",
          required: true,
          name: "Get",
          members: {
            TableName: tableOfItems,
            Key: item,
            ProjectionExpression: expression,
            ExpressionAttributeNames: { type: "map", of: { type: "string" } },
          },
        },
      },
    }),
  },
};
