import { absentOperations } from "./absent.js";
import { describeEndpoints, describeLimits } from "./account.js";
import { createBackup, deleteBackup, describeBackup, listBackups, restoreTableFromBackup } from "./backups.js";
import { batchExecuteStatement } from "./batch-execute-statement.js";
import { batchGetItem } from "./batch-get-item.js";
import { batchWriteItem } from "./batch-write-item.js";
import { describeContinuousBackups, updateContinuousBackups } from "./continuous-backups.js";
import { createTable } from "./create-table.js";
import { deleteItem } from "./delete-item.js";
import { deleteTable } from "./delete-table.js";
import { describeTable } from "./describe-table.js";
import { executeStatement } from "./execute-statement.js";
import { executeTransaction } from "./execute-transaction.js";
import { getItem } from "./get-item.js";
import { listTables } from "./list-tables.js";
import { neverBegunOperations } from "./never-begun.js";
import type { AnyOperation } from "./operation.js";
import { putItem } from "./put-item.js";
import { query } from "./query.js";
import { restoreTableToPointInTime } from "./restore-table.js";
import { scan } from "./scan.js";
import { listTagsOfResource, tagResource, untagResource } from "./tags.js";
import { describeTimeToLive, updateTimeToLive } from "./time-to-live.js";
import { transactGetItems } from "./transact-get-items.js";
import { transactWriteItems } from "./transact-write-items.js";
import { updateItem } from "./update-item.js";
import { updateTable } from "./update-table.js";

/** By the name in the `X-Amz-Target` header. */
export const operations: ReadonlyMap<string, AnyOperation> = new Map<string, AnyOperation>([
  ["CreateTable", createTable],
  ["DescribeTable", describeTable],
  ["ListTables", listTables],
  ["DeleteTable", deleteTable],
  ["UpdateTable", updateTable],
  ["TagResource", tagResource],
  ["UntagResource", untagResource],
  ["ListTagsOfResource", listTagsOfResource],
  ["DescribeLimits", describeLimits],
  ["DescribeEndpoints", describeEndpoints],
  ["DescribeContinuousBackups", describeContinuousBackups],
  ["UpdateContinuousBackups", updateContinuousBackups],
  ["UpdateTimeToLive", updateTimeToLive],
  ["DescribeTimeToLive", describeTimeToLive],
  ["RestoreTableToPointInTime", restoreTableToPointInTime],
  ["CreateBackup", createBackup],
  ["DescribeBackup", describeBackup],
  ["ListBackups", listBackups],
  ["DeleteBackup", deleteBackup],
  ["RestoreTableFromBackup", restoreTableFromBackup],
  ["PutItem", putItem],
  ["GetItem", getItem],
  ["UpdateItem", updateItem],
  ["DeleteItem", deleteItem],
  ["Query", query],
  ["Scan", scan],
  ["BatchWriteItem", batchWriteItem],
  ["BatchGetItem", batchGetItem],
  ["ExecuteStatement", executeStatement],
  ["BatchExecuteStatement", batchExecuteStatement],
  ["ExecuteTransaction", executeTransaction],
  ["TransactWriteItems", transactWriteItems],
  ["TransactGetItems", transactGetItems],
  ...absentOperations,
  ...neverBegunOperations,
]);
