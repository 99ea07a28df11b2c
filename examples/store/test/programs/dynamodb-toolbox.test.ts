/** A library of books on DynamoDB-Toolbox: entities, schemas and actions, driven through the toolbox alone. */
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import {
  $add,
  $append,
  $remove,
  BatchGetCommand,
  BatchGetRequest,
  BatchPutRequest,
  BatchWriteCommand,
  ConditionCheck,
  DeleteItemCommand,
  DeleteTransaction,
  Entity,
  executeBatchGet,
  executeBatchWrite,
  executeTransactGet,
  executeTransactWrite,
  GetItemCommand,
  GetTransaction,
  item,
  list,
  map,
  number,
  PutItemCommand,
  PutTransaction,
  QueryCommand,
  ScanCommand,
  set,
  string,
  Table,
  UpdateItemCommand,
  UpdateTransaction,
} from "dynamodb-toolbox";
import { beforeAll, describe, expect, it } from "vitest";
import { createTable, wholeStore } from "../router/harness.js";

const h = wholeStore();
const TableName = "library";

function library() {
  const books = new Table({
    name: TableName,
    documentClient: DynamoDBDocumentClient.from(h.client),
    partitionKey: { name: "shelf", type: "string" },
    sortKey: { name: "number", type: "number" },
    indexes: {
      byGenre: {
        type: "global",
        partitionKey: { name: "genre", type: "string" },
        sortKey: { name: "number", type: "number" },
      },
      byTitle: { type: "local", sortKey: { name: "title", type: "string" } },
    },
  });
  const book = new Entity({
    name: "book",
    table: books,
    schema: item({
      shelf: string().key(),
      number: number().key(),
      title: string(),
      pages: number().default(100),
      genre: string().enum("novel", "science").optional(),
      authors: set(string()).optional(),
      loans: list(string()).default([]),
      printed: map({ year: number(), city: string().optional() }).optional(),
    }),
  });
  return { books, book };
}

beforeAll(() =>
  createTable(h, {
    TableName,
    KeySchema: [
      { AttributeName: "shelf", KeyType: "HASH" },
      { AttributeName: "number", KeyType: "RANGE" },
    ],
    AttributeDefinitions: [
      { AttributeName: "shelf", AttributeType: "S" },
      { AttributeName: "number", AttributeType: "N" },
      { AttributeName: "genre", AttributeType: "S" },
      { AttributeName: "title", AttributeType: "S" },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: "byTitle",
        KeySchema: [
          { AttributeName: "shelf", KeyType: "HASH" },
          { AttributeName: "title", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: "byGenre",
        KeySchema: [
          { AttributeName: "genre", KeyType: "HASH" },
          { AttributeName: "number", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
    BillingMode: "PAY_PER_REQUEST",
  }),
);

describe("DynamoDB-Toolbox", () => {
  it("puts under a condition, reads parts, and updates deep inside", async () => {
    const { book } = library();
    const key = { shelf: "A", number: 1 };
    const put = () =>
      book
        .build(PutItemCommand)
        .item({ ...key, title: "Sketches", authors: new Set(["Ada"]), printed: { year: 1842 } })
        .options({ condition: { attr: "shelf", exists: false } })
        .send();
    await put();
    await expect(put()).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    const { Attributes } = await book
      .build(UpdateItemCommand)
      .item({
        ...key,
        pages: $add(23),
        loans: $append(["ada", "mary"]),
        printed: { city: "London" },
        genre: "science",
      })
      .options({ returnValues: "ALL_NEW", condition: { attr: "pages", gte: 100 } })
      .send();
    expect(Attributes).toMatchObject({ pages: 123, loans: ["ada", "mary"], printed: { year: 1842, city: "London" } });
    await book
      .build(UpdateItemCommand)
      .item({ ...key, genre: $remove() })
      .send();
    const { Item } = await book
      .build(GetItemCommand)
      .key(key)
      .options({ consistent: true, attributes: ["title", "printed.city", "loans[0]", "genre"] })
      .send();
    expect(Item).toEqual({ title: "Sketches", printed: { city: "London" }, loans: ["ada"] });
    const removed = await book.build(DeleteItemCommand).key(key).options({ returnValues: "ALL_OLD" }).send();
    expect(removed.Attributes).toMatchObject({ title: "Sketches" });
  });

  it("writes in batches, queries ranges with filters, and scans", async () => {
    const { books, book } = library();
    const all = Array.from({ length: 24 }, (_, i) => ({ shelf: "B", number: i - 4, title: `Volume ${i}`, pages: i }));
    await executeBatchWrite(
      books.build(BatchWriteCommand).requests(...all.map((one) => book.build(BatchPutRequest).item(one))),
    );
    const query = books
      .build(QueryCommand)
      .entities(book)
      .query({ partition: "B", range: { between: [-2, 8] } })
      .options({
        consistent: true,
        filters: {
          book: {
            or: [
              { attr: "pages", lt: 4 },
              { attr: "title", beginsWith: "Volume 11" },
            ],
          },
        },
      });
    expect((await query.send()).Items?.map(({ number }) => number)).toEqual([-2, -1, 7]);
    const reverse = await books
      .build(QueryCommand)
      .entities(book)
      .query({ partition: "B" })
      .options({ reverse: true, maxPages: Number.POSITIVE_INFINITY, limit: 5, consistent: true })
      .send();
    expect(reverse.Items?.map(({ number }) => number)).toEqual(all.map(({ number }) => number).reverse());
    const got = await executeBatchGet(
      books
        .build(BatchGetCommand)
        .requests(
          book.build(BatchGetRequest).key({ shelf: "B", number: 0 }),
          book.build(BatchGetRequest).key({ shelf: "B", number: 99 }),
        )
        .options({ consistent: true }),
    );
    expect(got.Responses?.[0].map((one) => one?.title)).toEqual(["Volume 4", undefined]);
    const scanned = await books
      .build(ScanCommand)
      .entities(book)
      .options({
        consistent: true,
        segment: 0,
        totalSegments: 1,
        filters: { book: { attr: "pages", between: [20, 30] } },
      })
      .send();
    expect(scanned.Items?.map(({ pages }) => pages)).toEqual([20, 21, 22, 23]);
  });

  it("finds books by a global and a local index", async () => {
    const { books, book } = library();
    const put = (number: number, title: string, genre?: "novel" | "science") =>
      book
        .build(PutItemCommand)
        .item({ shelf: "G", number, title, ...(genre && { genre }) })
        .send();
    await put(3, "Atoms", "science");
    await put(1, "Zebras", "science");
    await put(2, "Moby-Dick", "novel");
    await put(4, "Letters");
    const science = async () => {
      const query = books.build(QueryCommand).entities(book).query({ index: "byGenre", partition: "science" });
      return (await query.send()).Items?.map(({ title }) => title);
    };
    await expect.poll(science).toEqual(["Zebras", "Atoms"]);
    const { Items } = await books
      .build(QueryCommand)
      .entities(book)
      .query({ index: "byTitle", partition: "G", range: { lt: "N" } })
      .options({ consistent: true })
      .send();
    expect(Items?.map(({ number }) => number)).toEqual([3, 4, 2]);
  });

  it("writes and reads in transactions, all or nothing", async () => {
    const { book } = library();
    const key = (number: number) => ({ shelf: "T", number });
    for (const number of [1, 2])
      await book
        .build(PutItemCommand)
        .item({ ...key(number), title: `Volume ${number}` })
        .send();
    const lend = (reader: string) =>
      executeTransactWrite(
        book.build(PutTransaction).item({ ...key(10), title: `lent to ${reader}`, loans: [reader] }),
        book
          .build(UpdateTransaction)
          .item({ ...key(1), loans: $append([reader]) })
          .options({ condition: { size: "loans", lt: 1 } }),
        book.build(ConditionCheck).key(key(2)).condition({ attr: "title", exists: true }),
        book.build(DeleteTransaction).key(key(3)),
      );
    await lend("ada");
    await expect(lend("mary")).rejects.toMatchObject({
      name: "TransactionCanceledException",
      CancellationReasons: [{ Code: "None" }, { Code: "ConditionalCheckFailed" }, { Code: "None" }, { Code: "None" }],
    });
    const { Responses } = await executeTransactGet(
      book.build(GetTransaction).key(key(1)),
      book.build(GetTransaction).key(key(10)),
      book.build(GetTransaction).key(key(3)),
    );
    expect(Responses?.map(({ Item }) => Item?.loans)).toEqual([["ada"], ["ada"], undefined]);
  });
});
