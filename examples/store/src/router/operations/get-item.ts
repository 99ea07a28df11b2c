import { exactKey } from "../../api/keys.js";
import { project, projectionOf } from "../../api/projection.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import { type GetItemRequest, getItem as shape } from "../../api/requests/items.js";
import { tableCalled } from "../../api/requests/table-called.js";
import { checkItem } from "../../api/value-check.js";
import { answerWithItem, consumedCapacity, itemOf } from "./answers.js";
import type { Operation } from "./operation.js";
import { inWords } from "./words.js";

export const getItem: Operation<GetItemRequest> = {
  shape,
  words: "newer",
  async run(request, { backend }) {
    const { Key: key, TableName, ConsistentRead: consistent = false } = request;
    const { projection } = inWords("newer", () => {
      checkItem(key);
      return parseExpressions(request, []);
    });
    const known = backend.table(TableName);
    const table = known instanceof Promise ? await known : known;
    const outcome = await backend.get(table, exactKey(table.keySchema, key), { consistent });
    const capacity = consumedCapacity(request.ReturnConsumedCapacity, tableCalled(request), outcome.units);
    if (outcome.json !== undefined && projection === undefined) return answerWithItem(outcome.json, capacity);
    const item = itemOf(outcome);
    const Item = item !== undefined && projection !== undefined ? project(item, projectionOf(projection)) : item;
    return { ...(Item && { Item }), ...capacity };
  },
};
