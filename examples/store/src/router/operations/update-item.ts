import { validationError } from "../../api/errors.js";
import { checkIndexKeyUpdates } from "../../api/index-key-checks.js";
import { exactKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { KeySchema, UpdateAction } from "../../api/model.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { updateItem as shape, type UpdateItemRequest } from "../../api/requests/items.js";
import { tableCalled } from "../../api/requests/table-called.js";
import { assertChargeFits, assertFitsItem } from "../../api/update-charge.js";
import { checkItem } from "../../api/value-check.js";
import { collectionMetrics, consumedCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { inWords } from "./words.js";
import { writeOptions } from "./write-options.js";

export const updateItem: Operation<UpdateItemRequest> = {
  shape,
  words: "enveloped",
  async run(request, { backend }) {
    const { Key: key, TableName } = request;
    const { update: actions = [], condition } = inWords(
      "enveloped",
      () => {
        checkItem(key);
        return parseExpressions(request, ["UpdateExpression", "ConditionExpression"]);
      },
      request,
    );
    const table = await backend.table(TableName);
    const at = exactKey(table.keySchema, key);
    checkKeyUntouched(actions, table.keySchema);
    checkIndexKeyUpdates(table, actions);
    if (request.UpdateExpression === undefined) assertFitsItem(actions);
    else assertChargeFits(actions);
    const outcome = await backend.write(table, at, {
      kind: "update",
      keyAttributes: key,
      actions,
      ...writeOptions(request, condition),
    });
    return {
      ...(outcome.attributes && { Attributes: outcome.attributes }),
      ...consumedCapacity(request.ReturnConsumedCapacity, tableCalled(request), outcome.units, outcome.indexUnits),
      ...collectionMetrics(request.ReturnItemCollectionMetrics, table, key, outcome.collectionBytes),
    };
  },
};

/** @throws ApiError ValidationException */
export function checkKeyUntouched(actions: readonly UpdateAction[], { partition, sort }: KeySchema): void {
  for (const { path } of actions) {
    const name = path[0] as string;
    if (name === partition.name || name === sort?.name) throw validationError(messages.keyUpdate(name));
  }
}
