import {
  CreateBackupCommand,
  DescribeTableCommand,
  DynamoDBServiceException,
  RestoreTableFromBackupCommand,
  type RestoreTableFromBackupCommandInput,
  RestoreTableToPointInTimeCommand,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import { PutCommand, QueryCommand } from "@aws-sdk/lib-dynamodb";
import { beforeAll, describe, expect, test } from "vitest";
import { active, attributes, createTable, keys } from "./indexes/support.js";
import { singleStore } from "./support/single.js";

const single = singleStore();
const TableName = "source";
const ALL = { ProjectionType: "ALL" } as const;
const units = (n: number) => ({ ReadCapacityUnits: n, WriteCapacityUnits: n });
const byColor = { IndexName: "by-color", KeySchema: keys(["color"]), Projection: ALL };
const bySize = {
  IndexName: "by-size",
  KeySchema: keys(["size", "color"]),
  Projection: { ProjectionType: "INCLUDE" as const, NonKeyAttributes: ["text"] },
};
const local = { IndexName: "by-day", KeySchema: keys(["pk", "day"]), Projection: ALL };
const another = { ...local, IndexName: "by-color-too", KeySchema: keys(["pk", "color"]) };

type Overrides = Omit<RestoreTableFromBackupCommandInput, "TargetTableName" | "BackupArn">;
let backup = "";

beforeAll(async () => {
  const { dynamo, documents } = single;
  await createTable(dynamo, {
    TableName,
    KeySchema: keys(["pk", "sk"]),
    AttributeDefinitions: attributes({ pk: "S", sk: "S", color: "S", size: "N", day: "N" }),
    BillingMode: "PROVISIONED",
    ProvisionedThroughput: units(50),
    LocalSecondaryIndexes: [local, another],
    GlobalSecondaryIndexes: [
      { ...byColor, ProvisionedThroughput: units(7) },
      { ...bySize, ProvisionedThroughput: units(8) },
    ],
  });
  for (const sk of ["a", "b"])
    await documents.send(
      new PutCommand({ TableName, Item: { pk: "p", sk, color: "red", size: 1, day: 2, text: sk, more: sk } }),
    );
  const { BackupDetails } = await dynamo.send(new CreateBackupCommand({ TableName, BackupName: "kept" }));
  backup = BackupDetails?.BackupArn ?? "";
});

const ways = {
  "from a backup": (TargetTableName: string, overrides: Overrides) =>
    single.dynamo.send(new RestoreTableFromBackupCommand({ BackupArn: backup, TargetTableName, ...overrides })),
  "to a point in time": (TargetTableName: string, overrides: Overrides) =>
    single.dynamo.send(
      new RestoreTableToPointInTimeCommand({
        SourceTableName: TableName,
        TargetTableName,
        UseLatestRestorableTime: true,
        ...overrides,
      }),
    ),
};

const summary = ({ BillingModeSummary, ProvisionedThroughput, ...table }: TableDescription) => ({
  mode: BillingModeSummary?.BillingMode ?? "PROVISIONED",
  units: ProvisionedThroughput?.WriteCapacityUnits,
  global: Object.fromEntries(
    (table.GlobalSecondaryIndexes ?? []).map((index) => [
      index.IndexName,
      index.ProvisionedThroughput?.WriteCapacityUnits,
    ]),
  ),
  local: (table.LocalSecondaryIndexes ?? []).map(({ IndexName }) => IndexName),
  attributes: (table.AttributeDefinitions ?? []).map(({ AttributeName }) => AttributeName),
});

describe.each(Object.entries(ways))("restored %s", (way, restore) => {
  const prefix = way.replaceAll(" ", "-");
  async function restored(name: string, overrides: Overrides) {
    const TableName = `${prefix}-${name}`;
    await restore(TableName, overrides);
    await active(single.dynamo, TableName);
    const { Table = {} } = await single.dynamo.send(new DescribeTableCommand({ TableName }));
    return summary(Table);
  }

  test("a table is as it was, but for what is asked to be other", async () => {
    expect(await restored("as-it-was", {})).toEqual({
      mode: "PROVISIONED",
      units: 50,
      global: { "by-color": 7, "by-size": 8 },
      local: ["by-day", "by-color-too"],
      attributes: ["color", "day", "pk", "size", "sk"],
    });
    expect(
      await restored("fewer", {
        ProvisionedThroughputOverride: units(9),
        // Under another name, as the service lets them be called.
        GlobalSecondaryIndexOverride: [{ ...bySize, IndexName: "by-extent", ProvisionedThroughput: units(3) }],
        LocalSecondaryIndexOverride: [another],
        SSESpecificationOverride: { Enabled: false },
      }),
    ).toEqual({
      mode: "PROVISIONED",
      units: 9,
      global: { "by-extent": 3 },
      local: ["by-color-too"],
      attributes: ["color", "pk", "size", "sk"],
    });
    const { Items } = await single.documents.send(
      new QueryCommand({
        TableName: `${prefix}-fewer`,
        IndexName: "by-color-too",
        KeyConditionExpression: "pk = :p AND color = :c",
        ExpressionAttributeValues: { ":p": "p", ":c": "red" },
        ConsistentRead: true,
      }),
    );
    expect(Items?.map(({ more }) => more)).toEqual(["a", "b"]);
  });

  test("it has no indexes where none are asked for, and is paid for otherwise", async () => {
    expect(
      await restored("bare", {
        BillingModeOverride: "PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride: [],
        LocalSecondaryIndexOverride: [],
      }),
    ).toEqual({ mode: "PAY_PER_REQUEST", units: 0, global: {}, local: [], attributes: ["pk", "sk"] });
  });

  const differs = (name: string) =>
    `Invalid Request: Index ${name} does not match a secondary index that existed in the source table and cannot be created during the restore operation`;
  const refused: [string, Overrides, string][] = [
    [
      "throughput of what is paid by the request",
      { BillingModeOverride: "PAY_PER_REQUEST", ProvisionedThroughputOverride: units(1) },
      "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST",
    ],
    [
      "throughput of an index of what is paid by the request",
      {
        BillingModeOverride: "PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride: [{ ...byColor, ProvisionedThroughput: units(1) }],
      },
      "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index by-color",
    ],
    [
      "an index that was not there",
      { GlobalSecondaryIndexOverride: [{ ...byColor, IndexName: "new", KeySchema: keys(["day"]) }] },
      differs("new"),
    ],
    [
      "an index of another key",
      { GlobalSecondaryIndexOverride: [{ ...byColor, KeySchema: keys(["size"]) }] },
      differs("by-color"),
    ],
    [
      "an index that shows something else",
      { LocalSecondaryIndexOverride: [{ ...local, Projection: { ProjectionType: "KEYS_ONLY" } }] },
      differs("by-day"),
    ],
    [
      "an index that shows more",
      {
        GlobalSecondaryIndexOverride: [
          { ...bySize, Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["text", "more"] } },
        ],
      },
      differs("by-size"),
    ],
    [
      "figures of an index that is asked for without any",
      { GlobalSecondaryIndexOverride: [bySize] },
      "Invalid Request: Must specify provisioned throughput for index by-size",
    ],
    [
      "an index twice",
      { LocalSecondaryIndexOverride: [local, local] },
      "One or more parameter values were invalid: Duplicate index name: by-day",
    ],
    [
      "no throughput",
      { ProvisionedThroughputOverride: { ReadCapacityUnits: 0, WriteCapacityUnits: 1 } },
      "1 validation error detected: Value '0' at 'provisionedThroughputOverride.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
  ];
  test.each(refused)("%s is refused", async (_, overrides, message) => {
    const failure: unknown = await restore(`${prefix}-refused`, overrides).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DynamoDBServiceException);
    expect(failure).toMatchObject({ name: "ValidationException", message });
  });
});

test("a table that was paid by the request needs throughput, of its indexes too, to be provisioned", async () => {
  const { dynamo } = single;
  await createTable(dynamo, {
    TableName: "on-demand",
    KeySchema: keys(["pk"]),
    AttributeDefinitions: attributes({ pk: "S", color: "S" }),
    GlobalSecondaryIndexes: [byColor],
  });
  const restore = (TargetTableName: string, overrides: Overrides) =>
    dynamo.send(
      new RestoreTableToPointInTimeCommand({
        SourceTableName: "on-demand",
        TargetTableName,
        UseLatestRestorableTime: true,
        BillingModeOverride: "PROVISIONED",
        ...overrides,
      }),
    );
  await expect(restore("never", {})).rejects.toMatchObject({ name: "ValidationException" });
  const table = { ProvisionedThroughputOverride: units(5) };
  await expect(restore("never", table)).rejects.toMatchObject({ message: expect.stringContaining("by-color") });
  await restore("provisioned", {
    ...table,
    GlobalSecondaryIndexOverride: [{ ...byColor, ProvisionedThroughput: units(6) }],
  });
  await active(dynamo, "provisioned");
  const { Table = {} } = await dynamo.send(new DescribeTableCommand({ TableName: "provisioned" }));
  expect(summary(Table)).toMatchObject({ mode: "PROVISIONED", units: 5, global: { "by-color": 6 } });
});
