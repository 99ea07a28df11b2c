import { validationError } from "../../api/errors.js";
import { checkIndexKeys } from "../../api/index-key-checks.js";
import { itemKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { type PutItemRequest, putItem as shape } from "../../api/requests/items.js";
import { tableCalled } from "../../api/requests/table-called.js";
import { ITEM_BYTES_MAX, itemBytes } from "../../api/size.js";
import { checkItem } from "../../api/value-check.js";
import { collectionMetrics, consumedCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { inWords } from "./words.js";
import { assertOldOrNothing, writeOptions } from "./write-options.js";

export const putItem: Operation<PutItemRequest> = {
  shape,
  words: "enveloped",
  async run(request, { backend }) {
    const { Item: item, TableName } = request;
    inWords(
      "enveloped",
      () => {
        checkItem(item);
        assertOldOrNothing(request.ReturnValues);
      },
      request,
    );
    if (itemBytes(item) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLarge);
    const { condition } = inWords("enveloped", () => parseExpressions(request, ["ConditionExpression"]), request);
    const known = backend.table(TableName);
    const table = known instanceof Promise ? await known : known;
    const key = itemKey(table.keySchema, item);
    checkIndexKeys(table, item);
    const outcome = await backend.write(table, key, {
      kind: "put",
      item,
      ...writeOptions(request, condition),
    });
    return {
      ...(outcome.attributes && { Attributes: outcome.attributes }),
      ...consumedCapacity(request.ReturnConsumedCapacity, tableCalled(request), outcome.units, outcome.indexUnits),
      ...collectionMetrics(request.ReturnItemCollectionMetrics, table, item, outcome.collectionBytes),
    };
  },
};
