import { validationError } from "../../api/errors.js";
import { attributeNames } from "../../api/expressions/attribute-names.js";
import { keyConditionOf } from "../../api/expressions/key-condition.js";
import { queryRange } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { Condition, KeySchema } from "../../api/model.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { type QueryRequest, query as shape } from "../../api/requests/items.js";
import { compareBytes } from "../../api/text.js";
import type { Operation } from "./operation.js";
import { checkIndex, checkPageParameters, pageAnswer, pageBounds, startKey } from "./page.js";

export const query: Operation<QueryRequest> = {
  shape,
  async run(request, { backend }) {
    checkPageParameters(request);
    if (request.KeyConditionExpression === undefined && request.KeyConditions === undefined)
      throw validationError(messages.keyConditionMissing);
    const { keyCondition, filter, projection } = parseExpressions(request, [
      "FilterExpression",
      "KeyConditionExpression",
    ]);
    const table = await backend.table(request.TableName);
    checkIndex(request);
    const { partition, sort } = keyConditionOf(keyCondition as Condition, table.keySchema);
    if (filter !== undefined) checkFilter(filter, table.keySchema, request.QueryFilter && "QueryFilter");
    const { from, to } = queryRange(table.keySchema, partition, sort);
    let after: Uint8Array | undefined;
    if (request.ExclusiveStartKey !== undefined) {
      after = startKey(table.keySchema, request.ExclusiveStartKey);
      if (compareBytes(after, from) < 0 || compareBytes(after, to) >= 0) {
        throw validationError(sort === undefined ? messages.startKeyOutside : messages.startKeyPredicate);
      }
    }
    const page = await backend.page(table, {
      from,
      to,
      ...pageBounds(request),
      ...(request.ScanIndexForward === false && { reverse: true }),
      ...(after && { after }),
      ...(filter && { filter }),
    });
    return pageAnswer(request, table, page, projection);
  },
};

/** The key condition is for the key: a filter on it would look like one, and read far more. */
function checkFilter(filter: Condition, { partition, sort }: KeySchema, called?: "QueryFilter"): void {
  const names = attributeNames(filter);
  for (const key of [partition, sort]) {
    if (key !== undefined && names.has(key.name)) throw validationError(messages.filterOnKey(key.name, called));
  }
}
