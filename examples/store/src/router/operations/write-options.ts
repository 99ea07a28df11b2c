import { validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import type { Condition, ReturnValues, WriteOp } from "../../api/model.js";
import type { DeleteItemRequest, PutItemRequest, UpdateItemRequest } from "../../api/requests/items.js";

/** PutItem and DeleteItem have nothing else to return. @throws ValidationException */
export function assertOldOrNothing(returnValues: ReturnValues = "NONE"): void {
  if (returnValues !== "NONE" && returnValues !== "ALL_OLD") throw validationError(messages.returnValuesPut);
}

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
