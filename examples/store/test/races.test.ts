import { ConditionalCheckFailedException } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, GetCommand, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { beforeAll, expect, test } from "vitest";
import { createTable, singleStore } from "./support/single.js";

const s = singleStore();
const TableName = "raced";
const RACERS = 24;

beforeAll(() => createTable(s.dynamo, TableName));

const get = async (pk: string) =>
  (await s.documents.send(new GetCommand({ TableName, Key: { pk }, ConsistentRead: true }))).Item;

/** All at once; the indexes of those that succeeded. A failed condition is the only failure there may be. */
async function race(racer: (i: number) => Promise<unknown>): Promise<number[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: RACERS }, (_, i) => racer(i)));
  return outcomes.flatMap((outcome, i) => {
    if (outcome.status === "fulfilled") return [i];
    if (!(outcome.reason instanceof ConditionalCheckFailedException)) throw outcome.reason;
    return [];
  });
}

test("of many that put an item only if it is not there, exactly one wins, and its item stands", async () => {
  for (let round = 0; round < 10; round++) {
    const pk = `lock-${round}`;
    const winners = await race((owner) =>
      s.documents.send(
        new PutCommand({ TableName, Item: { pk, owner }, ConditionExpression: "attribute_not_exists(pk)" }),
      ),
    );
    expect(winners).toHaveLength(1);
    expect(await get(pk)).toEqual({ pk, owner: winners[0] });
  }
});

test("of many that delete an item only if it is there, exactly one does", async () => {
  for (let round = 0; round < 5; round++) {
    const pk = `deleted-${round}`;
    await s.documents.send(new PutCommand({ TableName, Item: { pk } }));
    const winners = await race(() =>
      s.documents.send(new DeleteCommand({ TableName, Key: { pk }, ConditionExpression: "attribute_exists(pk)" })),
    );
    expect(winners).toHaveLength(1);
    expect(await get(pk)).toBeUndefined();
  }
});

test("counters that read, compare and write lose nothing", async () => {
  let attempts = 0;
  const increment = async (pk: string): Promise<void> => {
    for (;;) {
      attempts++;
      const count = ((await get(pk))?.count as number | undefined) ?? 0;
      try {
        await s.documents.send(
          new PutCommand({
            TableName,
            Item: { pk, count: count + 1 },
            ...(count === 0
              ? { ConditionExpression: "attribute_not_exists(pk)" }
              : {
                  ConditionExpression: "#c = :c",
                  ExpressionAttributeNames: { "#c": "count" },
                  ExpressionAttributeValues: { ":c": count },
                }),
          }),
        );
        return;
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
      }
    }
  };
  const counters = ["counter-a", "counter-b", "counter-c"];
  await Promise.all(
    counters.flatMap((pk) =>
      Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 5; i++) await increment(pk);
      }),
    ),
  );
  for (const pk of counters) expect(await get(pk)).toEqual({ pk, count: 20 });
  expect(attempts, "there was no race").toBeGreaterThan(counters.length * 20);
});

test("counters that are raised where they lie lose nothing, and each answer is another number", async () => {
  const answers: number[] = [];
  await race(async () => {
    for (let i = 0; i < 5; i++) {
      const { Attributes } = await s.documents.send(
        new UpdateCommand({
          TableName,
          Key: { pk: "raised" },
          UpdateExpression: "SET n = if_not_exists(n, :zero) + :one",
          ExpressionAttributeValues: { ":zero": 0, ":one": 1 },
          ReturnValues: "UPDATED_NEW",
        }),
      );
      answers.push(Attributes?.n as number);
    }
  });
  expect(await get("raised")).toEqual({ pk: "raised", n: RACERS * 5 });
  expect(answers.sort((a, b) => a - b)).toEqual(Array.from({ length: RACERS * 5 }, (_, i) => i + 1));
});
