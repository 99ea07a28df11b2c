import type { Condition, WriteOp } from "../../api/model.js";
import type { DeleteItemRequest, PutItemRequest, UpdateItemRequest } from "../../api/requests/items.js";

/** What all three kinds of writes may ask for. */
export function writeOptions(
  request: PutItemRequest | UpdateItemRequest | DeleteItemRequest,
  condition: Condition | undefined,
): Pick<WriteOp, "condition" | "returnValues" | "returnOldOnConditionFailure"> {
  return {
    returnValues: request.ReturnValues ?? "NONE",
    ...(condition && { condition }),
    ...(request.ReturnValuesOnConditionCheckFailure === "ALL_OLD" && { returnOldOnConditionFailure: true }),
  };
}
