/** What is told of tables whose indexes are on their way, and what may be asked of them: states that last for moments, and are put together here. */
import { describe, expect, it } from "vitest";
import { backupDescription } from "../../src/api/control/backups.js";
import { changedTable } from "../../src/api/control/settings.js";
import { indexChanges } from "../../src/api/index-updates.js";
import type { GlobalIndex, TableRecord } from "../../src/api/model.js";
import type { CreateTableRequest } from "../../src/api/requests/tables.js";
import { createdDescription, tableDefinition, tableDescription } from "../../src/api/tables.js";
import { taken } from "../../src/metadata/service.js";

const index = (name: string): GlobalIndex => ({
  name,
  indexId: `of-${name}`,
  status: "ACTIVE",
  keySchema: { partition: [{ name: "group", type: "S" }], sort: [] },
  projection: { type: "INCLUDE", names: ["size", "colour"] },
  readUnitsPerSecond: 0,
  writeUnitsPerSecond: 0,
});
const table = (more: Partial<TableRecord> = {}): TableRecord => ({
  name: "shown",
  tableId: "t",
  status: "ACTIVE",
  createdAtMs: 1_000,
  partitions: 1,
  keySchema: { partition: { name: "name", type: "S" } },
  billingMode: "PAY_PER_REQUEST",
  readUnitsPerSecond: 0,
  writeUnitsPerSecond: 0,
  ...more,
});
const globalIndexes = [index("by-group")];
const keyed = (name: string, sort: string) => ({
  name,
  keySchema: { partition: [{ name: "name", type: "S" as const }], sort: [{ name: sort, type: "S" as const }] },
  projection: { type: "KEYS_ONLY" as const },
});

describe("a table", () => {
  it.each([
    ["CREATING", undefined, "Attempt to change a resource which is still in use: Table is being created: shown"],
    [
      "CREATING",
      { partitions: [], untilMs: 1 },
      "Attempt to change a resource which is still in use: Table is being used: shown",
    ],
    ["ACTIVE", undefined, "Table already exists: shown"],
    ["DELETING", undefined, "Table already exists: shown"],
  ] as const)("that is %s, restored by %j, has its name for itself", (status, restore, message) => {
    const error = taken({ name: "shown", status, ...(restore && { restore }) });
    expect(error).toMatchObject({ type: "ResourceInUseException", message });
  });

  it("with as many indexes as it may have is given no other", () => {
    const globalIndexes = Array.from({ length: 20 }, (_, i) => index(`by-${i}`));
    const request = { IndexName: "by-20", KeySchema: [], Projection: {} };
    expect(() => indexChanges(table({ globalIndexes }), [{ kind: "create", request, attributes: [] }], 1)).toThrow(
      "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20",
    );
  });

  it("whose index has the figures that are asked for is told so by the index's name", () => {
    const figured = { ...index("by-group"), readUnitsPerSecond: 2, writeUnitsPerSecond: 3 };
    const record = table({ billingMode: "PROVISIONED", globalIndexes: [figured] });
    expect(() =>
      indexChanges(record, [{ kind: "throughput", name: "by-group", readUnits: 2, writeUnits: 3 }], 1),
    ).toThrow(
      "The provisioned throughput for the index by-group will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for index by-group: 2. Requested ReadCapacityUnits: 2. Current WriteCapacityUnits provisioned for index by-group: 3. Requested WriteCapacityUnits: 3. Refer to the Amazon DynamoDB Developer Guide",
    );
  });

  it("tells attributes in the order of their names", () => {
    const { AttributeDefinitions, GlobalSecondaryIndexes } = tableDescription(table({ globalIndexes }));
    expect(AttributeDefinitions).toMatchObject([{ AttributeName: "group" }, { AttributeName: "name" }]);
    expect(GlobalSecondaryIndexes).toMatchObject([{ Projection: { NonKeyAttributes: ["colour", "size"] } }]);
  });

  it.each([
    [{}, undefined],
    [{ warm: { readUnits: 13_000, writeUnits: 5_000 } }, { ReadUnitsPerSecond: 13_000, Status: "UPDATING" }],
  ])("with %j, being made, tells nothing of it that was not asked for", (more, warm) => {
    const told = createdDescription(table({ status: "CREATING", globalIndexes, ...more }));
    expect(told.BillingModeSummary).toEqual({ BillingMode: "PAY_PER_REQUEST" });
    if (warm === undefined) expect(told.WarmThroughput).toBeUndefined();
    else expect(told.WarmThroughput).toMatchObject(warm);
    expect((told.GlobalSecondaryIndexes as object[])[0]).not.toHaveProperty("WarmThroughput");
  });

  it("is told in a backup with what it had, and its indexes as what they are", () => {
    const record = table({
      globalIndexes,
      localIndexes: [{ ...keyed("by-size", "size"), number: 1 }],
      onDemand: { readUnitsMax: 9 },
      timeToLive: { attribute: "until", enabled: true },
      settings: { encryption: { keyArn: "arn:key" }, deletionProtection: true },
    });
    const told = backupDescription({ id: "1", name: "kept", table: record, untilMs: 1 });
    expect(told.SourceTableDetails).toMatchObject({
      ProvisionedThroughput: { ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
      OnDemandThroughput: { MaxReadRequestUnits: 9 },
    });
    expect(told.SourceTableFeatureDetails).toEqual({
      GlobalSecondaryIndexes: [
        {
          IndexName: "by-group",
          KeySchema: [{ AttributeName: "group", KeyType: "HASH" }],
          Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["colour", "size"] },
          ProvisionedThroughput: { ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
        },
      ],
      LocalSecondaryIndexes: [
        {
          IndexName: "by-size",
          KeySchema: [
            { AttributeName: "name", KeyType: "HASH" },
            { AttributeName: "size", KeyType: "RANGE" },
          ],
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      ],
      TimeToLiveDescription: { TimeToLiveStatus: "ENABLED", AttributeName: "until" },
      SSEDescription: { Status: "ENABLED", SSEType: "KMS", KMSMasterKeyArn: "arn:key" },
    });
    const plain = backupDescription({ id: "1", name: "kept", table: table(), untilMs: 1 });
    expect(plain.SourceTableFeatureDetails).toEqual({});
  });
});

describe("more than an account has is refused", () => {
  const figured = (reads: number) => ({ ReadCapacityUnits: reads, WriteCapacityUnits: 1 });
  const made = (more: Partial<CreateTableRequest>, ofIndex: object = {}) =>
    tableDefinition({
      TableName: "made",
      KeySchema: [{ AttributeName: "p", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "p", AttributeType: "S" }],
      GlobalSecondaryIndexes: [
        {
          IndexName: "gsi1",
          KeySchema: [{ AttributeName: "p", KeyType: "HASH" }],
          Projection: { ProjectionType: "ALL" },
          ...ofIndex,
        },
      ],
      BillingMode: "PAY_PER_REQUEST",
      ...more,
    });
  const provisioned = { billingMode: "PROVISIONED" as const, readUnitsPerSecond: 1, writeUnitsPerSecond: 1 };
  const ofGuide =
    "Per table maximum: 40000. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.";

  it.each<[string, () => unknown]>([
    [
      `The requested ReadCapacityUnits, 40001, is above the per table maximum for the account in local. ${ofGuide}`,
      () =>
        made(
          { BillingMode: "PROVISIONED", ProvisionedThroughput: figured(40_001) },
          { ProvisionedThroughput: figured(1) },
        ),
    ],
    [
      `The requested ReadCapacityUnits for index gsi1, 40001, is above the per index maximum for the account in local. ${ofGuide}`,
      () =>
        made(
          { BillingMode: "PROVISIONED", ProvisionedThroughput: figured(40_000) },
          { ProvisionedThroughput: figured(40_001) },
        ),
    ],
    [
      `The requested WriteCapacityUnits, 40001, is above the per table maximum for the account in local. ${ofGuide}`,
      () => changedTable(table(provisioned), { throughput: { readUnits: 1, writeUnits: 40_001 } }, 1),
    ],
    [
      `The requested WriteCapacityUnits for index by-group, 40001, is above the per index maximum for the account in local. ${ofGuide}`,
      () =>
        indexChanges(
          table({ ...provisioned, globalIndexes }),
          [{ kind: "throughput", name: "by-group", readUnits: 1, writeUnits: 40_001 }],
          1,
        ),
    ],
    [
      "Subscriber limit exceeded: Requested MaxReadRequestUnits for OnDemandThroughput for table exceeds TableMaxReadCapacityUnits of the account in region local",
      () => changedTable(table(), { OnDemandThroughput: { MaxReadRequestUnits: 40_001 } }, 1),
    ],
    [
      "Subscriber limit exceeded: Requested MaxWriteRequestUnits for OnDemandThroughput for index : gsi1 exceeds TableMaxWriteCapacityUnits of the account in region local",
      () => made({}, { OnDemandThroughput: { MaxWriteRequestUnits: 40_001 } }),
    ],
    [
      "Subscriber limit exceeded: Requested ReadUnitsPerSecond for WarmThroughput for index by-group exceeds TableMaxReadCapacityUnits of the account in region local",
      () =>
        indexChanges(
          table({ globalIndexes }),
          [{ kind: "capacity", name: "by-group", WarmThroughput: { ReadUnitsPerSecond: 40_001 } }],
          1,
        ),
    ],
  ])("%s", (message, asked) => {
    expect(asked).toThrow(expect.objectContaining({ type: "LimitExceededException", message }));
  });

  it("or figures that fall a fifth time on a day, and within an hour", () => {
    const day = Date.UTC(2026, 9, 8);
    const at = (hours: number, minutes: number, seconds = 0) => day + ((hours * 60 + minutes) * 60 + seconds) * 1_000;
    const to = (record: TableRecord, readUnits: number, nowMs: number) =>
      changedTable(record, { throughput: { readUnits, writeUnits: 1 } }, nowMs);
    const fallenAt = (nowMs: number) =>
      [9, 8, 7, 6].reduce(
        (record, units) => to(record, units, nowMs),
        table({ ...provisioned, readUnitsPerSecond: 10 }),
      );
    const fallen = fallenAt(at(23, 20, 48));
    const refused =
      "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. Number of decreases today: 4. Last decrease at Thursday, October 8, 2026 at 11:20:48 PM Coordinated Universal Time. Next decrease can be made at Friday, October 9, 2026 at 12:00:00 AM Coordinated Universal Time";
    expect(() => to(fallen, 5, at(23, 59, 59))).toThrow(
      expect.objectContaining({ type: "LimitExceededException", message: refused }),
    );
    expect(to(fallen, 7, at(23, 30)).readUnitsPerSecond).toBe(7);
    expect(to(fallen, 5, at(24, 0)).readUnitsPerSecond).toBe(5);
    const early = fallenAt(at(1, 0));
    expect(() => to(early, 5, at(1, 59))).toThrow(/at 2:00:00 AM/);
    expect(to(early, 5, at(2, 0)).readUnitsPerSecond).toBe(5);
  });
});
