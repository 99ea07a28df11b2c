/** What may be asked of a table while its stream or an index of it is on its way: states that last for moments, and are put together here. */
import { describe, expect, it } from "vitest";
import { assertAdmitted } from "../../src/api/control/admission.js";
import type { TableUpdate } from "../../src/api/control/settings.js";
import type { IndexUpdate } from "../../src/api/index-updates.js";
import type { GlobalIndex, TableRecord } from "../../src/api/model.js";
import { tableDescription } from "../../src/api/tables.js";

const IN_USE = "Attempt to change a resource which is still in use: ";
const NOT_FOUND = "Requested resource not found: Table: busy not found";
const LABEL = "2026-11-22T07:00:29.405";
const index = (name: string, more: Partial<GlobalIndex>): GlobalIndex => ({
  name,
  indexId: `of-${name}`,
  status: "ACTIVE",
  keySchema: { partition: [{ name: "group", type: "S" }], sort: [] },
  projection: { type: "ALL" },
  readUnitsPerSecond: 1,
  writeUnitsPerSecond: 1,
  ...more,
});
const table = (more: Partial<TableRecord> & { restore?: object } = {}): TableRecord => ({
  name: "busy",
  tableId: "t",
  status: "ACTIVE",
  createdAtMs: 1_000,
  partitions: 1,
  keySchema: { partition: { name: "name", type: "S" } },
  billingMode: "PROVISIONED",
  readUnitsPerSecond: 1,
  writeUnitsPerSecond: 1,
  ...more,
});
const units: TableUpdate = { throughput: { readUnits: 2, writeUnits: 2 } };
const figures = (name: string): IndexUpdate => ({ kind: "throughput", name, readUnits: 2, writeUnits: 2 });
const created = (IndexName: string): IndexUpdate => ({
  kind: "create",
  request: { IndexName, KeySchema: [], Projection: {} },
  attributes: [],
});
const placed = table({ globalIndexes: [index("old", {}), index("new", { status: "CREATING", backfilling: false })] });
const filling = table({ globalIndexes: [index("new", { status: "CREATING", backfilling: true })] });
const dying = table({ globalIndexes: [index("old", {}), index("gone", { status: "DELETING" })] });
const streamed = (enabled: boolean) =>
  table({ status: "UPDATING", latestStream: { label: LABEL, viewType: "KEYS_ONLY", enabled } });
const restored = table({ status: "CREATING", restore: { untilMs: 9 } });

describe("a table whose", () => {
  it.each<[string, TableRecord, TableUpdate, string, string]>([
    ...(
      [
        [units, "change table IOPS"],
        [{ billingMode: "PAY_PER_REQUEST" }, "change table IOPS"],
        [{ tableClass: "STANDARD" }, "update table class"],
        [{ indexUpdates: [{ kind: "delete", name: "old" }] }, "create or delete an index"],
      ] as [TableUpdate, string][]
    ).map(([change, what]): [string, TableRecord, TableUpdate, string, string] => [
      "stream begins",
      streamed(true),
      change,
      "ResourceInUseException",
      `${IN_USE}Can't ${what} when stream status is being updated. Table: busy Stream: ${LABEL} Operation: ENABLE`,
    ]),
    [
      "stream ends",
      streamed(false),
      { streamViewType: "KEYS_ONLY" },
      "ResourceInUseException",
      `${IN_USE}A stream status change is currently in progress. Table: busy Stream: ${LABEL} Operation: DISABLE`,
    ],
    [
      "stream ends",
      streamed(false),
      { OnDemandThroughput: { MaxReadRequestUnits: 9 } },
      "ResourceInUseException",
      `${IN_USE}OnDemandThroughput cannot be updated while stream status update is in progress`,
    ],
    [
      "index is given its place",
      placed,
      units,
      "ResourceInUseException",
      `${IN_USE}Can't change table IOPS when an index is being created. Table: busy Indexes: [new]`,
    ],
    [
      "index is given its place",
      placed,
      { streamViewType: "KEYS_ONLY" },
      "ResourceInUseException",
      `${IN_USE}Can't change stream status when an index is being created. Table: busy Indexes: [new]`,
    ],
    [
      "index is given its place",
      placed,
      { OnDemandThroughput: { MaxReadRequestUnits: 9 } },
      "ResourceInUseException",
      `${IN_USE}OnDemandThroughput cannot be updated while index creation is in progress for indexes: [new]`,
    ],
    [
      "index is given its place",
      placed,
      { indexUpdates: [figures("new")] },
      "ResourceInUseException",
      `${IN_USE}Index is being created but is not backfilling yet. Table: busy Index: new`,
    ],
    ...[figures("gone"), created("gone"), { kind: "delete", name: "gone" } as const].map(
      (update): [string, TableRecord, TableUpdate, string, string] => [
        "index goes",
        dying,
        { ...units, indexUpdates: [update] },
        "ResourceInUseException",
        `${IN_USE}Index is being deleted. Table: busy Index: gone`,
      ],
    ),
    [
      "index goes",
      dying,
      { billingMode: "PAY_PER_REQUEST" },
      "ResourceInUseException",
      `${IN_USE}Can't change table IOPS when an index is being deleted. Table: busy Indexes: [gone]`,
    ],
    [
      "index goes",
      dying,
      { OnDemandThroughput: { MaxReadRequestUnits: 9 } },
      "ResourceInUseException",
      `${IN_USE}OnDemandThroughput cannot be updated while index deletion is in progress for indexes: [gone]`,
    ],
    [
      "items are on their way",
      table({ status: "CREATING" }),
      { deletionProtection: true },
      "ResourceInUseException",
      `${IN_USE}Table is being created: busy`,
    ],
    [
      "items are on their way",
      table({ status: "CREATING" }),
      { pointInTimeRecovery: true },
      "ContinuousBackupsUnavailableException",
      "Backups are being enabled for the table: busy. Please retry later",
    ],
    ["items are being restored", restored, { tag: [] }, "ResourceNotFoundException", NOT_FOUND],
    ["items are being restored", restored, { pointInTimeRecovery: true }, "ResourceNotFoundException", NOT_FOUND],
    [
      "items go",
      table({ status: "DELETING" }),
      { tag: [] },
      "ResourceInUseException",
      `${IN_USE}Table is being deleted: busy`,
    ],
    ["items go", table({ status: "DELETING" }), { pointInTimeRecovery: false }, "ResourceNotFoundException", NOT_FOUND],
  ])("%s is not changed so: %#", (_, record, change, type, message) => {
    expect(() => assertAdmitted(record, change)).toThrow(expect.objectContaining({ type, message }));
  });

  it.each<[string, TableRecord, TableUpdate]>([
    ["stream begins", streamed(true), { deletionProtection: true }],
    ["stream begins", streamed(true), { encryption: { Enabled: true } }],
    ["stream begins", streamed(true), { WarmThroughput: { ReadUnitsPerSecond: 2 } }],
    ["stream begins", streamed(true), { tag: [] }],
    ["stream begins", streamed(true), { pointInTimeRecovery: false }],
    ["stream begins", streamed(true), { billingMode: "PROVISIONED" }],
    ["index is given its place", placed, { indexUpdates: [figures("old")] }],
    ["index is given its place", placed, { deletionProtection: true }],
    ["index is filled", filling, units],
    ["index is filled", filling, { streamViewType: "KEYS_ONLY" }],
    ["index goes", dying, { indexUpdates: [figures("old")] }],
    ["index goes", dying, { billingMode: "PROVISIONED" }],
  ])("%s may be changed so: %#", (_, record, change) => {
    expect(() => assertAdmitted(record, change)).not.toThrow();
  });

  it.each([
    ["index is given its place", placed, "UPDATING"],
    ["index is filled", filling, "ACTIVE"],
    ["index goes", dying, "UPDATING"],
  ] as const)("%s is told as it is", (_, record, status) => {
    expect(tableDescription(record).TableStatus).toBe(status);
  });
});
