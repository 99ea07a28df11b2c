import { exactKey } from "../../api/keys.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { type DeleteItemRequest, deleteItem as shape } from "../../api/requests/items.js";
import { tableCalled } from "../../api/requests/table-called.js";
import { checkItem } from "../../api/value-check.js";
import { collectionMetrics, consumedCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { inWords } from "./words.js";
import { assertOldOrNothing, writeOptions } from "./write-options.js";

export const deleteItem: Operation<DeleteItemRequest> = {
  shape,
  words: "enveloped",
  async run(request, { backend }) {
    const { Key: key, TableName } = request;
    const { condition } = inWords(
      "enveloped",
      () => {
        checkItem(key);
        assertOldOrNothing(request.ReturnValues);
        return parseExpressions(request, ["ConditionExpression"]);
      },
      request,
    );
    const table = await backend.table(TableName);
    const outcome = await backend.write(table, exactKey(table.keySchema, key), {
      kind: "delete",
      ...writeOptions(request, condition),
    });
    return {
      ...(outcome.attributes && { Attributes: outcome.attributes }),
      ...consumedCapacity(request.ReturnConsumedCapacity, tableCalled(request), outcome.units, outcome.indexUnits),
      ...collectionMetrics(request.ReturnItemCollectionMetrics, table, key, outcome.collectionBytes),
    };
  },
};
