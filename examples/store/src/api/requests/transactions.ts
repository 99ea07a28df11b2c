/** What the operations on several items at once, all or none, take. */
import type { Item } from "../model.js";
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
import type { ExpressionParameters } from "./items.js";
import { type Shape, type StructureShape, structure } from "./shapes.js";
import { tableOfItems } from "./table-parts.js";

const TRANSACTION_ACTIONS_MAX = 100;

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

const ofActions: Readonly<Record<string, Shape>> = {
  TableName: tableOfItems,
  ConditionExpression: expression,
  ExpressionAttributeNames: names,
  ExpressionAttributeValues: values,
  ReturnValuesOnConditionCheckFailure: returnedOnFailure,
};
const actions = (of: Shape): Shape => ({
  type: "list",
  required: true,
  lengthMin: 1,
  lengthMax: TRANSACTION_ACTIONS_MAX,
  of,
});

export const transactWriteItems: StructureShape = structure("TransactWriteItemsInput", {
  ClientRequestToken: { type: "string", lengthMin: 1, lengthMax: 36 },
  ReturnConsumedCapacity: capacityDetail,
  ReturnItemCollectionMetrics: collectionMetrics,
  TransactItems: actions(
    structure("TransactWriteItem", {
      ConditionCheck: structure("ConditionCheck", {
        ...ofActions,
        Key: key,
        ConditionExpression: { ...expression, required: true },
      }),
      Put: structure("Put", { ...ofActions, Item: key }),
      Delete: structure("Delete", { ...ofActions, Key: key }),
      Update: structure("Update", { ...ofActions, Key: key, UpdateExpression: { ...expression, required: true } }),
    }),
  ),
});

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

export const transactGetItems: StructureShape = structure("TransactGetItemsInput", {
  ReturnConsumedCapacity: capacityDetail,
  TransactItems: actions(
    structure("TransactGetItem", {
      Get: {
        ...structure("Get", {
          TableName: tableOfItems,
          Key: key,
          ProjectionExpression: expression,
          ExpressionAttributeNames: names,
        }),
        required: true,
      },
    }),
  ),
});
