import { validationError } from "../../api/errors.js";
import { checkIndexKeys } from "../../api/index-key-checks.js";
import { exactKey, keyWithin } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { ItemKey, TableRecord } from "../../api/model.js";
import {
  BATCH_WRITES_MAX,
  type BatchWrite,
  type BatchWriteItemRequest,
  batchWriteItem as shape,
} from "../../api/requests/items.js";
import { ITEM_BYTES_MAX, itemBytes } from "../../api/size.js";
import { checkItem } from "../../api/value-check.js";
import type { IndexUnits } from "../backend.js";
import { addIndexUnits, collectionMetricsOf, tableCapacity } from "./answers.js";
import { byTable, byTableName, type OfTable, runBatch } from "./batch.js";
import type { Operation } from "./operation.js";

interface Prepared {
  readonly table: TableRecord;
  readonly called: string;
  readonly key: ItemKey;
  readonly write: BatchWrite;
}

export const batchWriteItem: Operation<BatchWriteItemRequest> = {
  shape,
  async run(request, { backend }) {
    const tables = byTable(request.RequestItems, (one, other) => [...one, ...other]);
    checkWrites(tables);
    const prepared: Prepared[] = [];
    for (const { name, called, asked } of tables)
      for (const write of prepare(await backend.table(name), asked)) prepared.push({ ...write, called });
    const outcomes = await runBatch(
      prepared.map(({ table, key, write: { PutRequest: put } }) => () => {
        const op = put === undefined ? ({ kind: "delete" } as const) : ({ kind: "put", item: put.Item } as const);
        return backend.write(table, key, { ...op, returnValues: "NONE" });
      }),
    );
    const unprocessed = byTableName<Record<string, BatchWrite[]>>();
    const units = new Map<string, number>();
    const indexUnits = new Map<string, IndexUnits | undefined>();
    const metrics = byTableName<Record<string, object[]>>();
    prepared.forEach(({ table, called: name, write }, i) => {
      const outcome = outcomes[i];
      if (outcome?.done) {
        units.set(name, (units.get(name) ?? 0) + outcome.value.units);
        indexUnits.set(name, addIndexUnits(indexUnits.get(name), outcome.value.indexUnits));
        const written = write.PutRequest?.Item ?? write.DeleteRequest?.Key ?? {};
        const collection = collectionMetricsOf(
          request.ReturnItemCollectionMetrics,
          table,
          written,
          outcome.value.collectionBytes,
        );
        if (collection !== undefined) {
          metrics[name] ??= [];
          metrics[name].push(collection);
        }
      } else {
        unprocessed[name] ??= [];
        unprocessed[name].push(write);
      }
    });
    const detail = request.ReturnConsumedCapacity ?? "NONE";
    return {
      UnprocessedItems: unprocessed,
      ...(request.ReturnItemCollectionMetrics === "SIZE" && { ItemCollectionMetrics: metrics }),
      ...(detail !== "NONE" && {
        ConsumedCapacity: [...units].map(([name, used]) => tableCapacity(detail, name, used, indexUnits.get(name))),
      }),
    };
  },
};

/** Checks that need no table. */
function checkWrites(tables: readonly OfTable<readonly BatchWrite[]>[]): void {
  let count = 0;
  for (const { asked: writes } of tables) {
    count += writes.length;
    for (const { PutRequest: put, DeleteRequest: del } of writes) {
      if (put === undefined && del === undefined) throw validationError(messages.valueAmbiguous);
      if (put !== undefined && del !== undefined) throw validationError(messages.valueAmbiguous);
      checkItem(put?.Item ?? del?.Key);
      if (put !== undefined && itemBytes(put.Item) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLarge);
    }
  }
  if (count > BATCH_WRITES_MAX) throw validationError(messages.batchTooMany("BatchWriteItem"));
}

function prepare(table: TableRecord, writes: readonly BatchWrite[]): Omit<Prepared, "called">[] {
  const seen = new Set<string>();
  return writes.map((write) => {
    const { PutRequest: put, DeleteRequest: del } = write;
    const key = put === undefined ? exactKey(table.keySchema, del?.Key ?? {}) : keyWithin(table.keySchema, put.Item);
    if (put !== undefined) checkIndexKeys(table, put.Item);
    const bytes = String.fromCharCode(...key.bytes);
    if (seen.has(bytes)) throw validationError(messages.batchDuplicates);
    seen.add(bytes);
    return { table, key, write };
  });
}
