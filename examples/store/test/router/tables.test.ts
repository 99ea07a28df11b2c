import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteTableCommand,
  DescribeTableCommand,
  InvalidRestoreTimeException,
  ListTablesCommand,
  PutItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  RestoreTableToPointInTimeCommand,
  type RestoreTableToPointInTimeCommandInput,
  ScanCommand,
  TableAlreadyExistsException,
  type TableDescription,
  TableNotFoundException,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, it, vi } from "vitest";
import { call, harness } from "./harness.js";

const h = harness();

const definition = (TableName: string): CreateTableCommandInput => ({
  TableName,
  KeySchema: [
    { AttributeName: "country", KeyType: "HASH" },
    { AttributeName: "city", KeyType: "RANGE" },
  ],
  AttributeDefinitions: [
    { AttributeName: "city", AttributeType: "S" },
    { AttributeName: "country", AttributeType: "N" },
  ],
  ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5 },
});
const create = (TableName: string) => h.client.send(new CreateTableCommand(definition(TableName)));

describe("tables", () => {
  it("are created, described, listed and deleted", async () => {
    const created = (await create("cities")).TableDescription;
    expect(created).toMatchObject({
      TableName: "cities",
      TableStatus: "ACTIVE",
      KeySchema: definition("cities").KeySchema,
      ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5, NumberOfDecreasesToday: 0 },
      CreationDateTime: new Date(1_700_000_000_000),
      TableArn: "arn:aws:dynamodb:local:000000000000:table/cities",
    });
    expect(created?.AttributeDefinitions).toEqual(definition("cities").AttributeDefinitions);
    expect(created).not.toHaveProperty("WarmThroughput");
    const { WarmThroughput, ...told } = (await h.client.send(new DescribeTableCommand({ TableName: "cities" })))
      .Table as TableDescription;
    expect(told).toEqual(created);
    expect(WarmThroughput).toMatchObject({ ReadUnitsPerSecond: 10, WriteUnitsPerSecond: 5 });
    const onDemand = {
      ...definition("on-demand"),
      BillingMode: "PAY_PER_REQUEST" as const,
      ProvisionedThroughput: undefined,
    };
    const answer = await h.client.send(new CreateTableCommand(onDemand));
    expect(answer.TableDescription?.BillingModeSummary).toEqual({ BillingMode: "PAY_PER_REQUEST" });
    expect((await h.client.send(new ListTablesCommand({}))).TableNames).toEqual(["cities", "on-demand"]);
    for (const TableName of ["cities", "on-demand"]) {
      const deleted = await h.client.send(new DeleteTableCommand({ TableName }));
      expect(deleted.TableDescription).toMatchObject({ TableName, TableStatus: "DELETING", ItemCount: 0 });
      for (const gone of ["AttributeDefinitions", "KeySchema", "CreationDateTime"])
        expect(deleted.TableDescription).not.toHaveProperty(gone);
    }
    expect((await h.client.send(new ListTablesCommand({}))).TableNames).toEqual([]);
  });

  it("are listed in pages", async () => {
    for (const name of ["c-c", "a-a", "b-b"]) await create(name);
    const first = await h.client.send(new ListTablesCommand({ Limit: 2 }));
    expect(first).toMatchObject({ TableNames: ["a-a", "b-b"], LastEvaluatedTableName: "b-b" });
    const second = await h.client.send(new ListTablesCommand({ Limit: 2, ExclusiveStartTableName: "b-b" }));
    expect(second.TableNames).toEqual(["c-c"]);
    expect(second.LastEvaluatedTableName).toBeUndefined();
  });

  it("are there once, or not at all", async () => {
    await create("once");
    await expect(create("once")).rejects.toBeInstanceOf(ResourceInUseException);
    const missing = h.client.send(new DescribeTableCommand({ TableName: "nowhere" }));
    await expect(missing).rejects.toBeInstanceOf(ResourceNotFoundException);
    await expect(missing).rejects.toThrow("Requested resource not found: Table: nowhere not found");
    const remove = h.client.send(new DeleteTableCommand({ TableName: "nowhere" }));
    await expect(remove).rejects.toThrow("Requested resource not found");
    const scan = h.client.send(new ScanCommand({ TableName: "nowhere" }));
    await expect(scan).rejects.toBeInstanceOf(ResourceNotFoundException);
  });
});

describe("a definition", () => {
  const invalid = "One or more parameter values were invalid: ";
  const element = (AttributeName: string, KeyType: string) => ({ AttributeName, KeyType });
  const attribute = (AttributeName: string, AttributeType: string) => ({ AttributeName, AttributeType });
  it.each<[string, object, string]>([
    [
      "no name",
      { TableName: undefined },
      "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null",
    ],
    [
      "a short name",
      { TableName: "ab" },
      "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
    ],
    [
      "a name with a space",
      { TableName: "a b" },
      "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ],
    [
      "nothing else",
      { KeySchema: null, AttributeDefinitions: null },
      "2 validation errors detected: Value null at 'attributeDefinitions' failed to satisfy constraint: Member must not be null; Value null at 'keySchema' failed to satisfy constraint: Member must not be null",
    ],
    [
      "no key",
      { KeySchema: [] },
      "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      "an unknown type",
      { AttributeDefinitions: [attribute("p", "X")] },
      "1 validation error detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
    ],
    [
      "no throughput",
      { ProvisionedThroughput: undefined },
      `${invalid}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED`,
    ],
    [
      "zero throughput",
      { ProvisionedThroughput: { ReadCapacityUnits: 0, WriteCapacityUnits: 1 } },
      "1 validation error detected: Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      "both kinds of billing",
      { BillingMode: "PAY_PER_REQUEST" },
      `${invalid}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
    ],
    [
      "an undefined key",
      { KeySchema: [element("q", "HASH")] },
      `${invalid}Some index key attributes are not defined in AttributeDefinitions. Keys: [q], AttributeDefinitions: [p]`,
    ],
    ...[
      ["p", "p"],
      ["p", "q"],
      ["q", "q"],
    ].map(([first, second]): [string, object, string] => [
      `fewer definitions than keys: ${first} and ${second}`,
      { KeySchema: [element(first as string, "HASH"), element(second as string, "RANGE")] },
      "Invalid KeySchema: Some index key attribute have no definition",
    ]),
    [
      "units out of bounds",
      { ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1_000_000_000_001 } },
      "Given value 1000000000001 for WriteCapacityUnits is out of bounds",
    ],
    [
      "one key twice",
      {
        KeySchema: [element("p", "HASH"), element("p", "RANGE")],
        AttributeDefinitions: [attribute("p", "S"), attribute("s", "S")],
      },
      "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ],
    [
      "a range key first",
      { KeySchema: [element("p", "RANGE")] },
      "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ],
    [
      "two hash keys",
      {
        KeySchema: [element("p", "HASH"), element("s", "HASH")],
        AttributeDefinitions: [attribute("p", "S"), attribute("s", "S")],
      },
      "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
    ],
    [
      "an idle attribute",
      { AttributeDefinitions: [attribute("p", "S"), attribute("s", "S")] },
      `${invalid}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions`,
    ],
    ["no index at all", { GlobalSecondaryIndexes: [] }, `${invalid}List of GlobalSecondaryIndexes is empty`],
    [
      "a stream of nothing",
      { StreamSpecification: { StreamEnabled: true } },
      `${invalid}Table is being created with a stream enabled, UpdateViewType is required`,
    ],
  ])("with %s is refused", async (_, changes, message) => {
    const answer = await call(h.port, "CreateTable", {
      TableName: "invalid",
      KeySchema: [element("p", "HASH")],
      AttributeDefinitions: [attribute("p", "S")],
      ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
      ...changes,
    });
    expect(answer.status).toBe(400);
    expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
  });
});

describe("restoring a table", () => {
  const restore = (rest: Partial<RestoreTableToPointInTimeCommandInput>) =>
    h.client.send(
      new RestoreTableToPointInTimeCommand({ SourceTableName: "source", TargetTableName: "target", ...rest }),
    );

  it("makes a new one of it", async () => {
    await create("source");
    const Item = { country: { N: "41" }, city: { S: "Bern" } };
    await h.client.send(new PutItemCommand({ TableName: "source", Item }));
    const at = new Date("2026-03-01T12:00:00.250Z");
    const { TableDescription: restored } = await restore({ RestoreDateTime: at });
    expect(restored).toMatchObject({
      TableName: "target",
      RestoreSummary: { SourceTableArn: "arn:aws:dynamodb:local:000000000000:table/source", RestoreDateTime: at },
    });
    expect((await h.client.send(new ScanCommand({ TableName: "target" }))).Items).toEqual([Item]);
    const SourceTableArn = "arn:aws:dynamodb:local:000000000000:table/source";
    const byArn = { SourceTableName: undefined, SourceTableArn };
    await restore({ ...byArn, UseLatestRestorableTime: true, TargetTableName: "latest" });
    expect((await h.client.send(new ScanCommand({ TableName: "latest" }))).Count).toBe(1);
  });

  it("shows it to who describes it, and to nobody else, until it is there", async () => {
    await create("filling");
    const record = await h.backend.describeTable("filling");
    const restore = { source: "source", backup: "01700000000000-0123abcd", untilMs: 1_700_000_000_500 };
    const described = vi
      .spyOn(h.backend, "describeTable")
      .mockResolvedValue({ ...record, status: "CREATING", restore });
    const { Table } = await h.client.send(new DescribeTableCommand({ TableName: "filling" }));
    expect(Table).toMatchObject({ TableStatus: "CREATING", TableId: record.tableId });
    expect(Table?.RestoreSummary).toEqual({
      SourceTableArn: "arn:aws:dynamodb:local:000000000000:table/source",
      SourceBackupArn: "arn:aws:dynamodb:local:000000000000:table/source/backup/01700000000000-0123abcd",
      RestoreDateTime: new Date(1_700_000_000_500),
      RestoreInProgress: true,
    });
    const ResourceArn = "arn:aws:dynamodb:local:000000000000:table/filling";
    for (const [operation, request, type, message] of [
      ["DescribeContinuousBackups", {}, "TableNotFoundException", "Table not found: filling"],
      ...(
        [
          ["DescribeTimeToLive", {}],
          ["DescribeContributorInsights", {}],
          ["ListTagsOfResource", { TableName: undefined, ResourceArn }],
          ["GetResourcePolicy", { TableName: undefined, ResourceArn }],
        ] as const
      ).map(
        ([name, asked]) =>
          [name, asked, "ResourceNotFoundException", "Requested resource not found: Table: filling not found"] as const,
      ),
    ] as const) {
      const answer = await call(h.port, operation, { TableName: "filling", ...request });
      expect(answer.json(), operation).toEqual({ __type: expect.stringMatching(`#${type}$`), message });
    }
    described.mockRestore();
  });

  it("is refused where it cannot be", async () => {
    const RestoreDateTime = new Date("2026-01-01");
    await expect(restore({ RestoreDateTime })).rejects.toBeInstanceOf(TableAlreadyExistsException);
    await expect(restore({ RestoreDateTime, SourceTableName: "never" })).rejects.toBeInstanceOf(TableNotFoundException);
    await expect(restore({ RestoreDateTime: new Date("2001-01-01"), TargetTableName: "early" })).rejects.toBeInstanceOf(
      InvalidRestoreTimeException,
    );
    await expect(restore({ RestoreDateTime: new Date("2001-01-01"), TargetTableName: "source" })).rejects.toMatchObject(
      {
        name: "InvalidRestoreTimeException",
        message: expect.stringMatching(
          /^RestoreDateTime '2001-01-01T00:00:00Z' must be within EarliestRestorableDateTime '[\dT:-]+Z' and LatestRestorableDateTime '[\dT:-]+Z'$/,
        ),
      },
    );
    const latest = { UseLatestRestorableTime: true };
    for (const [request, name, message] of [
      [
        {},
        "ValidationException",
        "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
      ],
      [
        { RestoreDateTime, ...latest },
        "ValidationException",
        "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime",
      ],
      [
        { SourceTableName: undefined, ...latest },
        "ValidationException",
        "The parameter 'TableName' is required but was not present in the request",
      ],
      [
        { SourceTableArn: "arn:aws:dynamodb:local:000000000000:table/source", ...latest },
        "ValidationException",
        "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
      ],
      // What is wrong with the source is told before what is wrong with the time, and that before the target.
      [
        { SourceTableName: "never", RestoreDateTime: new Date("2001-01-01"), TargetTableName: "source" },
        "TableNotFoundException",
        "Table not found: never",
      ],
      // By its ARN it is not told.
      [
        {
          SourceTableName: undefined,
          SourceTableArn: "arn:aws:dynamodb:local:000000000000:table/never",
          ...latest,
        },
        "TableNotFoundException",
        "Table not found",
      ],
    ] as const) {
      await expect(restore({ TargetTableName: "unclear", ...request })).rejects.toMatchObject({ name, message });
    }
    const beyond = { SourceTableName: "source", TargetTableName: "beyond", RestoreDateTime: 1e300 };
    expect((await call(h.port, "RestoreTableToPointInTime", beyond)).json().__type).toBe(
      "com.amazonaws.dynamodb.v20120810#InvalidRestoreTimeException",
    );
  });
});
