/** A register of guests on Dynamoose, which creates its own table and is driven through its models alone. */
import { DescribeTableCommand } from "@aws-sdk/client-dynamodb";
import dynamoose from "dynamoose";
import { Item } from "dynamoose/dist/Item.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wholeStore } from "../router/harness.js";

const h = wholeStore();

class Guest extends Item {
  house!: string;
  night!: number;
  name!: string;
  beds!: number;
  wishes!: string[];
  address!: { street: string; since?: Date };
  paid!: boolean;
}

const schema = new dynamoose.Schema(
  {
    house: { type: String, hashKey: true },
    night: { type: Number, rangeKey: true },
    name: { type: String, required: true, index: { name: "byName", type: "global", rangeKey: "night" } },
    beds: { type: Number, default: 1, validate: (beds) => (beds as number) > 0 },
    wishes: { type: Array, schema: [String] },
    address: { type: Object, schema: { street: String, since: Date } },
    paid: Boolean,
  },
  { timestamps: true },
);
const Guests = dynamoose.model<Guest>("guest", schema);

beforeAll(async () => {
  const ddb = new dynamoose.aws.ddb.DynamoDB({
    endpoint: `http://127.0.0.1:${h.port}`,
    region: "local",
    credentials: { accessKeyId: "any", secretAccessKey: "key" },
  });
  dynamoose.aws.ddb.set(ddb);
  const table = new dynamoose.Table("guests", [Guests], {
    throughput: "ON_DEMAND",
    initialize: false,
    waitForActive: { enabled: true, check: { timeout: 30_000, frequency: 50 } },
  });
  await table.initialize();
});
afterAll(() => dynamoose.aws.ddb.revert());

describe("Dynamoose", () => {
  it("created its table", async () => {
    const { Table } = await h.client.send(new DescribeTableCommand({ TableName: "guests" }));
    expect(Table).toMatchObject({ TableStatus: "ACTIVE", BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" } });
  });

  it("creates, reads, updates and deletes guests", async () => {
    const guest = { house: "inn", night: 1, name: "Ada", wishes: ["tea"], address: { street: "Hill Street" } };
    const created = await Guests.create(guest);
    expect(created).toMatchObject({ ...guest, beds: 1 });
    await expect(Guests.create(guest)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    const updated = await Guests.update(
      { house: "inn", night: 1 },
      { $ADD: { beds: 2 }, $SET: { paid: true, address: { street: "Dale Street", since: new Date(86_400_000) } } },
    );
    expect(updated).toMatchObject({ beds: 3, paid: true, address: { since: new Date(86_400_000) } });
    const taken = await Guests.update({ house: "inn", night: 1 }, { $REMOVE: ["wishes"] });
    expect(taken.wishes).toBeUndefined();
    await expect(
      Guests.update(
        { house: "inn", night: 1 },
        { name: "Mary" },
        { condition: new dynamoose.Condition().where("paid").eq(false), return: "item" },
      ),
    ).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    await expect.poll(() => Guests.get({ house: "inn", night: 1 })).toMatchObject({ name: "Ada" });
    await Guests.delete({ house: "inn", night: 1 });
    // Dynamoose's own reads are eventual ones: a replica may hear of it a moment later.
    await expect.poll(() => Guests.get({ house: "inn", night: 1 })).toBeUndefined();
  });

  it("queries, filters, counts, scans and works in batches", async () => {
    const nights = Array.from({ length: 20 }, (_, night) => ({
      house: "lodge",
      night,
      name: night % 2 === 0 ? "Even" : "Odd",
      beds: night + 1,
    }));
    await Guests.batchPut(nights);
    const late = await Guests.query("house").eq("lodge").where("night").ge(15).consistent().exec();
    expect(late.map(({ night }) => night)).toEqual([15, 16, 17, 18, 19]);
    const even = await Guests.query("house")
      .eq("lodge")
      .filter("name")
      .beginsWith("Ev")
      .filter("beds")
      .between(5, 11)
      .attributes(["night"])
      .sort("descending")
      .consistent()
      .exec();
    expect(even.map(({ night }) => night)).toEqual([10, 8, 6, 4]);
    expect(await Guests.query("house").eq("lodge").consistent().count().exec()).toMatchObject({ count: 20 });
    const either = await Guests.scan()
      .where("beds")
      .in([1, 20])
      .or()
      .where("name")
      .contains("dd")
      .all()
      .consistent()
      .exec();
    expect(either.map(({ night }) => night)).toEqual([0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    const keys = [3, 4, 99].map((night) => ({ house: "lodge", night }));
    await expect.poll(async () => (await Guests.batchGet(keys)).map(({ night }) => night).sort()).toEqual([3, 4]);
    const page = await Guests.query("house").eq("lodge").limit(8).consistent().exec();
    const next = await Guests.query("house").eq("lodge").startAt(page.lastKey).consistent().exec();
    expect([...page, ...next].map(({ night }) => night)).toEqual(nights.map(({ night }) => night));
    await Guests.batchDelete(nights.map(({ house, night }) => ({ house, night })));
    expect(await Guests.query("house").eq("lodge").consistent().exec()).toHaveLength(0);
  });

  it("finds guests by a global index, which it created with its table", async () => {
    const { Table } = await h.client.send(new DescribeTableCommand({ TableName: "guests" }));
    expect(Table?.GlobalSecondaryIndexes).toMatchObject([{ IndexName: "byName", IndexStatus: "ACTIVE" }]);
    await Guests.batchPut([5, 3, 4].map((night) => ({ house: `house ${night}`, night, name: "Grace" })));
    const nights = async () =>
      (await Guests.query("name").eq("Grace").using("byName").exec()).map(({ night }) => night);
    await expect.poll(nights).toEqual([3, 4, 5]);
    await Guests.update({ house: "house 4", night: 4 }, { name: "Mary" });
    await expect.poll(nights).toEqual([3, 5]);
  });

  it("writes and reads in transactions, all or nothing", async () => {
    await Guests.create({ house: "hotel", night: 1, name: "Ada", beds: 1 });
    const move = (night: number) =>
      dynamoose.transaction([
        Guests.transaction.create({ house: "hotel", night, name: "Ada", beds: 1 }),
        Guests.transaction.update({ house: "hotel", night: 1 }, { $ADD: { beds: 1 } }),
        Guests.transaction.condition(
          { house: "hotel", night: 1 },
          new dynamoose.Condition().where("paid").not().exists(),
        ),
      ]);
    // The service takes an item once.
    await expect(move(2)).rejects.toMatchObject({ name: "ValidationException" });
    const extend = (night: number) =>
      dynamoose.transaction([
        Guests.transaction.create({ house: "hotel", night, name: "Ada", beds: 1 }),
        Guests.transaction.update({ house: "hotel", night: 1 }, { $ADD: { beds: 1 } }),
      ]);
    await extend(2);
    await expect(extend(2)).rejects.toMatchObject({ name: "TransactionCanceledException" });
    const both = (await dynamoose.transaction([
      Guests.transaction.get({ house: "hotel", night: 1 }),
      Guests.transaction.get({ house: "hotel", night: 2 }),
    ])) as unknown as Guest[];
    expect(both.map(({ beds }) => beds)).toEqual([2, 1]);
  });
});
