import { ConditionalCheckFailedException, type GetItemCommandOutput } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, GetCommand, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { beforeAll, expect, test } from "vitest";
import { createTable, singleStore } from "./support/single.js";

const s = singleStore();
const TableName = "raced";
const RACERS = 24;

beforeAll(() => createTable(s.dynamo, TableName));

const get = async (pk: string) =>
  (await s.documents.send(new GetCommand({ TableName, Key: { pk }, ConsistentRead: true }))).Item;

/** Whether the SDK asked again by itself, as it does where a leader was deposed before it could say what became of the request: the first attempt may have been carried out. */
const isRepeated = ({ $metadata }: Pick<GetItemCommandOutput, "$metadata">) => ($metadata.attempts ?? 1) > 1;

/** All at once; the one that succeeded. A failed condition is the only failure there may be, and who is told so at its second attempt may have succeeded at its first. */
async function winnerOf(racer: (i: number) => Promise<unknown>): Promise<readonly number[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: RACERS }, (_, i) => racer(i)));
  const winners: number[] = [];
  const perhaps: number[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === "fulfilled") winners.push(i);
    else if (!(outcome.reason instanceof ConditionalCheckFailedException)) throw outcome.reason;
    else if (isRepeated(outcome.reason)) perhaps.push(i);
  }
  if (winners.length === 0) return perhaps;
  expect(winners).toHaveLength(1);
  return winners;
}

test("of many that put an item only if it is not there, exactly one wins, and its item stands", async () => {
  for (let round = 0; round < 10; round++) {
    const pk = `lock-${round}`;
    const winners = await winnerOf((owner) =>
      s.documents.send(
        new PutCommand({ TableName, Item: { pk, owner }, ConditionExpression: "attribute_not_exists(pk)" }),
      ),
    );
    expect(winners.map((owner) => ({ pk, owner }))).toContainEqual(await get(pk));
  }
});

test("of many that delete an item only if it is there, exactly one does", async () => {
  for (let round = 0; round < 5; round++) {
    const pk = `deleted-${round}`;
    await s.documents.send(new PutCommand({ TableName, Item: { pk } }));
    const winners = await winnerOf(() =>
      s.documents.send(new DeleteCommand({ TableName, Key: { pk }, ConditionExpression: "attribute_exists(pk)" })),
    );
    expect(winners).not.toHaveLength(0);
    expect(await get(pk)).toBeUndefined();
  }
});

test("counters that read, compare and write lose nothing", async () => {
  let attempts = 0;
  let repeated = 0;
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
        if (isRepeated(error)) repeated++;
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
  // Who was not told that it had counted, as its leader was deposed then, counts again: that is one more, and none is ever lost.
  for (const pk of counters) {
    const { count } = (await get(pk)) as { count: number };
    expect(count).toBeGreaterThanOrEqual(20);
    expect(count).toBeLessThanOrEqual(20 + repeated);
  }
  expect(attempts, "there was no race").toBeGreaterThan(counters.length * 20);
});

test("counters that are raised where they lie lose nothing, and each answer is another number", async () => {
  const answers: number[] = [];
  let repeated = 0;
  const raise = async () => {
    for (let i = 0; i < 5; i++) {
      const answer = await s.documents.send(
        new UpdateCommand({
          TableName,
          Key: { pk: "raised" },
          UpdateExpression: "SET n = if_not_exists(n, :zero) + :one",
          ExpressionAttributeValues: { ":zero": 0, ":one": 1 },
          ReturnValues: "UPDATED_NEW",
        }),
      );
      answers.push(answer.Attributes?.n as number);
      if (isRepeated(answer)) repeated++;
    }
  };
  await Promise.all(Array.from({ length: RACERS }, raise));
  const { n } = (await get("raised")) as { n: number };
  expect(n).toBeGreaterThanOrEqual(RACERS * 5);
  expect(n).toBeLessThanOrEqual(RACERS * 5 + repeated);
  expect(new Set(answers).size).toBe(RACERS * 5);
  expect(Math.max(...answers)).toBeLessThanOrEqual(n);
  expect(answers.every((answer) => answer >= 1)).toBe(true);
});
