import { validationError } from "../../api/errors.js";
import { exactKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { type DeleteItemRequest, deleteItem as shape } from "../../api/requests/items.js";
import { checkItem } from "../../api/value-check.js";
import { collectionMetrics, consumedCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { writeOptions } from "./write-options.js";

export const deleteItem: Operation<DeleteItemRequest> = {
  shape,
  async run(request, { backend }) {
    const { Key: key, TableName, ReturnValues: returnValues = "NONE" } = request;
    checkItem(key);
    if (returnValues !== "NONE" && returnValues !== "ALL_OLD") throw validationError(messages.returnValuesPut);
    const { condition } = parseExpressions(request, ["ConditionExpression"]);
    const table = await backend.table(TableName);
    const outcome = await backend.write(table, exactKey(table.keySchema, key), {
      kind: "delete",
      ...writeOptions(request, condition),
    });
    return {
      ...(outcome.attributes && { Attributes: outcome.attributes }),
      ...consumedCapacity(request.ReturnConsumedCapacity, TableName, outcome.units, outcome.indexUnits),
      ...collectionMetrics(request.ReturnItemCollectionMetrics, table, key, outcome.collectionBytes),
    };
  },
};
