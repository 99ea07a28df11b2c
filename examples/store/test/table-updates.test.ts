/** One UpdateTable may ask for several things. It is one decision: one entry of the metadata's log, of which there is all or nothing whoever dies. */
import { DescribeTableCommand, UpdateTableCommand, type UpdateTableCommandInput } from "@aws-sdk/client-dynamodb";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { tableKey } from "../src/metadata/records.js";
import type { Write } from "../src/storage-node/command.js";
import { Writer } from "../src/storage-node/writer.js";
import { active, attributes, createTable, keys } from "./indexes/support.js";
import { singleStore } from "./support/single.js";

const single = singleStore({ partitionsPerTable: 1 });
const units = (read: number) => ({ ReadCapacityUnits: read, WriteCapacityUnits: read });
const byDay = (read: number) => ({
  IndexName: "by-day",
  KeySchema: keys(["day"]),
  Projection: { ProjectionType: "KEYS_ONLY" as const },
  ProvisionedThroughput: units(read),
});
const AttributeDefinitions = attributes({ id: "S", day: "S", hour: "S" });
const byHour = { ...byDay(0), IndexName: "by-hour", KeySchema: keys(["hour"]), ProvisionedThroughput: undefined };
/** Figures are told as they were. */
const begun = {
  TableStatus: "UPDATING",
  ProvisionedThroughput: units(5),
  GlobalSecondaryIndexes: [{ IndexStatus: "UPDATING", ProvisionedThroughput: units(5) }],
};
const newIndex = [{ Create: byHour }];

beforeAll(async () => {
  for (const TableName of ["refused", "granted"])
    await createTable(single.dynamo, {
      TableName,
      KeySchema: keys(["id"]),
      AttributeDefinitions: attributes({ id: "S", day: "S" }),
      BillingMode: "PROVISIONED",
      ProvisionedThroughput: units(5),
      GlobalSecondaryIndexes: [byDay(5)],
    });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const described = async (TableName: string) =>
  (await single.dynamo.send(new DescribeTableCommand({ TableName }))).Table;
const update = (TableName: string, input: Omit<UpdateTableCommandInput, "TableName">) =>
  single.dynamo.send(new UpdateTableCommand({ TableName, ...input }));

test.each<[string, Omit<UpdateTableCommandInput, "TableName">, string]>([
  [
    "an index that is not there",
    {
      ProvisionedThroughput: units(9),
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "by-hour", ProvisionedThroughput: units(9) } }],
    },
    "ResourceNotFoundException",
  ],
  [
    "an index that is there",
    {
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions,
      GlobalSecondaryIndexUpdates: [{ Create: { ...byHour, IndexName: "by-day" } }],
    },
    "ValidationException",
  ],
  [
    "an attribute defined twice",
    {
      AttributeDefinitions: [...AttributeDefinitions, ...attributes({ hour: "N" })],
      GlobalSecondaryIndexUpdates: [{ Create: { ...byHour, ProvisionedThroughput: units(1) } }],
    },
    "ValidationException",
  ],
  [
    "a stream that is not there",
    { BillingMode: "PAY_PER_REQUEST", StreamSpecification: { StreamEnabled: false } },
    "ValidationException",
  ],
  [
    "a stream that is not there, beside an index's figures",
    {
      StreamSpecification: { StreamEnabled: false },
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "by-day", ProvisionedThroughput: units(9) } }],
    },
    "ValidationException",
  ],
])("where %s is not to be had nothing is", async (_, input, error) => {
  const before = await described("refused");
  await expect(update("refused", input)).rejects.toMatchObject({ name: error });
  expect(await described("refused")).toEqual(before);
});

const redefined = (before: string, after: string) =>
  `One or more parameter values were invalid: Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. Existing schema: Schema:[SchemaElement: key{${before}}] New schema: Schema:[SchemaElement: key{${after}}]`;

test.each<[string, string, "S" | "N", string | undefined]>([
  ["the key of another index", "day", "N", redefined("day:S:HASH", "day:N:HASH")],
  ["the table's key", "id", "N", redefined("id:S:HASH", "id:N:HASH")],
  // Defined, and part of no key: nobody looks.
  ["an attribute of no key", "hour", "S", undefined],
])("a new index does not give %s another type", async (_, name, type, message) => {
  const before = await described("refused");
  const definitions = attributes({ id: "S", day: "N", ...{ [name]: type } });
  const made = update("refused", {
    AttributeDefinitions: definitions,
    GlobalSecondaryIndexUpdates: [{ Create: { ...byHour, KeySchema: keys([name]), ProvisionedThroughput: units(1) } }],
  });
  if (message === undefined) {
    await made;
    await active(single.dynamo, "refused");
    expect((await described("refused"))?.AttributeDefinitions).toEqual(attributes({ day: "S", hour: "S", id: "S" }));
    return;
  }
  await expect(made).rejects.toMatchObject({ name: "ValidationException", message });
  expect(await described("refused")).toEqual(before);
});

test.each<[string, Omit<UpdateTableCommandInput, "TableName">, object]>([
  [
    "figures of the table and of its index",
    {
      ProvisionedThroughput: units(7),
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "by-day", ProvisionedThroughput: units(8) } }],
    },
    { ProvisionedThroughput: units(7), GlobalSecondaryIndexes: [{ ProvisionedThroughput: units(8) }] },
  ],
  [
    "how it is paid for, and a new index",
    { BillingMode: "PAY_PER_REQUEST", AttributeDefinitions, GlobalSecondaryIndexUpdates: newIndex },
    {
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
      GlobalSecondaryIndexes: [{ IndexName: "by-day" }, { IndexName: "by-hour" }],
    },
  ],
  [
    "how it is paid for, a stream and an index's most",
    {
      BillingMode: "PAY_PER_REQUEST",
      StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
      GlobalSecondaryIndexUpdates: [
        {
          Update: { IndexName: "by-day", OnDemandThroughput: { MaxReadRequestUnits: 100, MaxWriteRequestUnits: 100 } },
        },
      ],
    },
    {
      StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
      GlobalSecondaryIndexes: [{ OnDemandThroughput: { MaxReadRequestUnits: 100 } }, {}],
    },
  ],
])("%s are one entry of the log", async (_, input, wanted) => {
  const ofTable = Buffer.from(tableKey("granted"));
  const submitted = vi.spyOn(Writer.prototype, "submit");
  const { TableDescription } = await update("granted", input);
  const decided = submitted.mock.calls.filter(([writes]) =>
    (writes as readonly Write[]).some(({ key }) => ofTable.equals(key)),
  );
  expect(TableDescription).toMatchObject(input.BillingMode === undefined ? begun : wanted);
  expect(await described("granted")).toMatchObject(wanted);
  // Those that follow are steps on the way of an index or a stream: the first has everything that was asked for.
  const [first = []] = decided[0] ?? [];
  const record = (first as readonly Write[]).find(({ key }) => ofTable.equals(key));
  expect(record?.op).toBe("put");
  const stored = JSON.parse(Buffer.from((record as Write & { op: "put" }).bytes).toString()) as Record<string, unknown>;
  expect(stored).toMatchObject({
    ...(input.BillingMode && { billingMode: input.BillingMode }),
    ...(input.ProvisionedThroughput && { readUnitsPerSecond: input.ProvisionedThroughput.ReadCapacityUnits }),
    ...(input.StreamSpecification && { latestStream: { enabled: true } }),
  });
  expect(stored.globalIndexes).toHaveLength(TableDescription?.GlobalSecondaryIndexes?.length ?? 0);
  await active(single.dynamo, "granted");
});

test("how often a table's figures fell today is counted, and told when it is done", async () => {
  const told = async () => (await described("refused"))?.ProvisionedThroughput;
  for (const [i, read] of [4, 3].entries()) {
    const { TableDescription } = await update("refused", { ProvisionedThroughput: units(read) });
    expect(TableDescription?.ProvisionedThroughput).toMatchObject({ ...units(read + 1), NumberOfDecreasesToday: i });
    expect(await told()).toMatchObject({ ...units(read), NumberOfDecreasesToday: i + 1 });
  }
  await update("refused", { ProvisionedThroughput: units(5) });
  expect(await told()).toMatchObject({ NumberOfDecreasesToday: 2 });
});

test("how often an index's figures fell today is counted for itself", async () => {
  const told = async () => (await described("refused"))?.GlobalSecondaryIndexes?.[0]?.ProvisionedThroughput;
  const rated = (read: number) =>
    update("refused", {
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "by-day", ProvisionedThroughput: units(read) } }],
    });
  expect(await told()).toEqual({ NumberOfDecreasesToday: 0, ...units(5) });
  const { TableDescription } = await rated(4);
  expect(TableDescription?.GlobalSecondaryIndexes?.[0]?.ProvisionedThroughput).toEqual({
    LastDecreaseDateTime: expect.any(Date),
    NumberOfDecreasesToday: 0,
    ...units(5),
  });
  expect(await told()).toEqual({ LastDecreaseDateTime: expect.any(Date), NumberOfDecreasesToday: 1, ...units(4) });
  const ofTable = (await described("refused"))?.ProvisionedThroughput?.NumberOfDecreasesToday;
  // An index that is not paid for by its units any more has fewer, and its table has not.
  await update("refused", { BillingMode: "PAY_PER_REQUEST" });
  expect(await told()).toMatchObject({ NumberOfDecreasesToday: 2, ...units(0) });
  expect((await described("refused"))?.ProvisionedThroughput?.NumberOfDecreasesToday).toBe(ofTable);
});
