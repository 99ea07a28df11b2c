import { compareBytes } from "../../api/bytes.js";
import { validationError } from "../../api/errors.js";
import { attributeNames } from "../../api/expressions/attribute-names.js";
import { keyConditionOf } from "../../api/expressions/key-condition.js";
import { asIndexKey } from "../../api/key-schema.js";
import { queryRange } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { Condition, IndexDefinition, Item, KeyAttribute, TableRecord } from "../../api/model.js";
import { assertPlaceholdersWanted, parseExpressions } from "../../api/requests/expressions.js";
import { type QueryRequest, query as shape } from "../../api/requests/items.js";
import { indexOf, indexRead, type QueriedRange, queriedEntries, startEntry } from "./index-read.js";
import type { Operation } from "./operation.js";
import { checkSelect, checkStartItem, pageAnswer, pageBounds, startKey } from "./page.js";
import { inWords } from "./words.js";

const TAKE_VALUES = ["FilterExpression", "KeyConditionExpression"] as const;

export const query: Operation<QueryRequest> = {
  shape,
  words: "newer",
  async run(request, { backend }) {
    const { keyCondition, filter, projection } = inWords("newer", () => {
      assertPlaceholdersWanted(request, TAKE_VALUES);
      checkStartItem(request);
      inWords("enveloped", () => checkSelect(request));
      if (request.KeyConditionExpression === undefined && request.KeyConditions === undefined)
        throw validationError(messages.keyConditionMissing);
      return parseExpressions(request, TAKE_VALUES);
    });
    const table = await backend.table(request.TableName);
    const index = indexOf(table, request);
    const keySchema = index?.keySchema ?? asIndexKey(table.keySchema);
    const keys = [...keySchema.partition, ...keySchema.sort];
    if (Object.keys(request.KeyConditions ?? {}).length > Math.max(keys.length, 2))
      throw validationError(messages.keyConditionCount);
    const start = request.ExclusiveStartKey;
    const place = (key: Item) => (index === undefined ? startKey(table.keySchema, key) : startEntry(table, index, key));
    const after = start && place(start);
    const { from, to, partition, sorted } = queriedRange(table, index, keyCondition as Condition);
    if (filter !== undefined) checkFilter(filter, keys, request.QueryFilter && "QueryFilter");
    const isAskedFor = (at: Uint8Array) => compareBytes(at, from) >= 0 && compareBytes(at, to) < 0;
    if (after !== undefined && !isAskedFor(after)) {
      if (!sorted) throw validationError(messages.startKeyOutside);
      const otherHash = isAskedFor(place({ ...start, ...partition }));
      throw validationError(otherHash ? messages.startKeyOtherHash : messages.startKeyPredicate);
    }
    const page = await backend.page(table, {
      from,
      to,
      ...pageBounds(request),
      ...(request.ScanIndexForward === false && { reverse: true }),
      ...(after && { after }),
      ...(filter && { filter }),
      ...(index && { index: indexRead(table, index, request, projection, filter) }),
    });
    return pageAnswer(request, table, page, projection);
  },
};

function queriedRange(table: TableRecord, index: IndexDefinition | undefined, condition: Condition): QueriedRange {
  if (index !== undefined) return queriedEntries(index, condition);
  const { partition, sort } = keyConditionOf(condition, table.keySchema);
  const range = queryRange(table.keySchema, partition, sort);
  return { ...range, partition: { [table.keySchema.partition.name]: partition }, sorted: sort !== undefined };
}

/** The key condition is for the key: a filter on it would look like one, and read far more. */
function checkFilter(filter: Condition, keys: readonly KeyAttribute[], called?: "QueryFilter"): void {
  const names = attributeNames(filter);
  for (const key of keys) {
    if (names.has(key.name)) throw validationError(messages.filterOnKey(key.name, called));
  }
}
