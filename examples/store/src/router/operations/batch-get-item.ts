import { validationError } from "../../api/errors.js";
import { exactKey } from "../../api/keys.js";
import { checkTogether } from "../../api/legacy/parameters.js";
import { messages } from "../../api/messages.js";
import type { Item, ItemKey, TableRecord } from "../../api/model.js";
import { type Projection, project, projectionOf } from "../../api/projection.js";
import { parseExpressions } from "../../api/requests/expressions.js";
import {
  BATCH_KEYS_MAX,
  type BatchGetItemRequest,
  type BatchKeys,
  batchGetItem as shape,
} from "../../api/requests/items.js";
import { itemBytes } from "../../api/size.js";
import { canonicalText } from "../../api/transactions.js";
import { checkItem } from "../../api/value-check.js";
import { itemOf, tableCapacity } from "./answers.js";
import { byTable, byTableName, runBatch } from "./batch.js";
import type { Operation } from "./operation.js";
import { inWords } from "./words.js";

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

interface Prepared {
  readonly table: TableRecord;
  readonly called: string;
  readonly key: ItemKey;
  readonly asked: Item;
  readonly of: BatchKeys;
  readonly projection: Projection | undefined;
}

export const batchGetItem: Operation<BatchGetItemRequest> = {
  shape,
  async run(request, { backend }) {
    const projections = check(request);
    const prepared: Prepared[] = [];
    for (const { name, called, asked } of byTable(request.RequestItems, joined)) {
      const table = await backend.table(name);
      const projection = projections.get(called);
      for (const key of asked.Keys)
        prepared.push({ table, called, key: exactKey(table.keySchema, key), asked: key, of: asked, projection });
    }
    const outcomes = await runBatch(
      prepared.map(
        ({ table, key, of }) =>
          () =>
            backend.get(table, key, { consistent: of.ConsistentRead ?? false }),
      ),
    );
    const found = byTableName<Record<string, Item[]>>();
    const unprocessed = byTableName<Record<string, BatchKeys>>();
    const units = new Map<string, number>();
    let bytes = 0;
    prepared.forEach(({ called: name, asked, of, projection }, i) => {
      const outcome = outcomes[i];
      const item = outcome?.done ? itemOf(outcome.value) : undefined;
      if (item !== undefined) bytes += itemBytes(item);
      if (!outcome?.done || bytes > ANSWER_BYTES_MAX) {
        unprocessed[name] ??= { ...of, Keys: [] };
        unprocessed[name].Keys.push(asked);
        return;
      }
      units.set(name, (units.get(name) ?? 0) + outcome.value.units);
      found[name] ??= [];
      if (item !== undefined) found[name].push(projection === undefined ? item : project(item, projection));
    });
    const detail = request.ReturnConsumedCapacity ?? "NONE";
    return {
      Responses: found,
      UnprocessedKeys: unprocessed,
      ...(detail !== "NONE" && {
        ConsumedCapacity: [...units].map(([name, used]) => tableCapacity(detail, name, used)),
      }),
    };
  },
};

/** Checks that need no table. Returns what each table's part asks to see. */
function check(request: BatchGetItemRequest): Map<string, Projection> {
  const projections = new Map<string, Projection>();
  let count = 0;
  // Tables may not ask with parameters of both kinds either, one with the one and one with the other.
  checkTogether(Object.assign({}, ...Object.values(request.RequestItems)));
  for (const [name, of] of Object.entries(request.RequestItems)) {
    count += of.Keys.length;
    const { projection } = inWords("newer", () => {
      for (const key of of.Keys) checkItem(key);
      const expressions = parseExpressions(of, []);
      // Before it is known what the table's keys are: as they stand.
      if (new Set(of.Keys.map((key) => canonicalText(key))).size < of.Keys.length)
        throw validationError(messages.batchDuplicates);
      return expressions;
    });
    if (projection !== undefined) projections.set(name, projectionOf(projection));
  }
  if (count > BATCH_KEYS_MAX) throw validationError(messages.batchTooMany("BatchGetItem"));
  return projections;
}

/** Each key once. */
function joined(one: BatchKeys, other: BatchKeys): BatchKeys {
  const known = new Set(one.Keys.map((key) => canonicalText(key)));
  return { ...one, Keys: [...one.Keys, ...other.Keys.filter((key) => !known.has(canonicalText(key)))] };
}
