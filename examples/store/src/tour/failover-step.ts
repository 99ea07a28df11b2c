import { type DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { itemKey } from "../api/keys.js";
import { NODE_IDS } from "../control/fleet.js";
import type { ProcessFleet } from "../control/process-fleet.js";
import type { NodeStatus } from "../storage-node/status.js";
import type { Store } from "../store.js";
import type { City } from "./cities.js";
import { TABLE } from "./load-step.js";
import { figure, type Report, until } from "./report.js";

const WRITE_FOR_MS_MAX = 15_000;
const STEADY_MS = 1_500;
export const keySchema = { partition: { name: "country", type: "S" }, sort: { name: "place", type: "S" } } as const;

/** The partition of the cities' table that holds a city. */
export async function partitionOf(store: Store, city: City): Promise<number> {
  const table = await store.router.routes.table(TABLE);
  const key = itemKey(keySchema, { country: { S: city.country }, place: { S: city.place } });
  const record = await store.router.routes.partition(table.tableId, key.hash);
  if (record === undefined) throw new Error(`no partition holds ${city.country}/${city.place}`);
  return record.partition;
}

export async function statusOf(store: Store, node: string): Promise<NodeStatus | undefined> {
  return await store.fleet
    .callerTo(node)
    .call("status", {}, { timeoutMs: 1_000 })
    .catch(() => undefined);
}

export async function leaderOf(store: Store, partition: number): Promise<string> {
  return await until(`a leader of partition ${partition}`, async () => {
    for (const node of NODE_IDS) {
      const status = await statusOf(store, node);
      if (status?.partitions.some((found) => found.partition === partition && found.ready)) return node;
    }
    return undefined;
  });
}

export async function killTheLeader(
  report: Report,
  store: Store,
  documents: DynamoDBDocumentClient,
  cities: readonly City[],
): Promise<void> {
  report.step("The leader's process is killed with SIGKILL while a client writes");
  const city = cities.find(({ country }) => country === "CH") as City;
  const partition = await partitionOf(store, city);
  const leader = await leaderOf(store, partition);
  const fleet = store.fleet as ProcessFleet;

  // Items of the same partition key, one after another, each acknowledged before the next.
  const acknowledged: number[] = [];
  const key = (i: number) => ({ country: city.country, place: `tour#${i}` });
  let killedAt = 0;
  let longestMs = 0;
  let last = performance.now();
  const startedAt = last;
  for (let i = 0; ; i++) {
    const now = performance.now();
    if (killedAt === 0 && now - startedAt > STEADY_MS) {
      fleet.kill(leader, { hold: true });
      killedAt = now;
    }
    if (killedAt > 0 && now - killedAt > 2 * STEADY_MS) break;
    if (now - startedAt > WRITE_FOR_MS_MAX) throw new Error("writes did not go on after the leader was killed");
    await documents.send(new PutCommand({ TableName: TABLE, Item: { ...key(i), n: i } }));
    acknowledged.push(i);
    const done = performance.now();
    if (killedAt > 0) longestMs = Math.max(longestMs, done - last);
    last = done;
  }
  const next = await leaderOf(store, partition);
  report.say(`${leader}, which led partition ${partition}, was killed; ${next} leads now`);
  report.say(
    `writes were refused for ${figure(longestMs)} ms: the longest time between two acknowledged writes; the client saw no error`,
  );
  report.promise(next !== leader, "another node took over");

  for (const i of acknowledged) {
    const { Item } = await documents.send(new GetCommand({ TableName: TABLE, Key: key(i), ConsistentRead: true }));
    if (Item?.n !== i) throw new Error(`the acknowledged write ${i} is not there`);
  }
  report.promise(true, `all ${figure(acknowledged.length)} writes acknowledged before, during and after are there`);

  fleet.release(leader);
  const started = performance.now();
  await until(`${leader} has caught up`, async () => {
    const back = (await statusOf(store, leader))?.partitions.find((found) => found.partition === partition);
    const ahead = (await statusOf(store, next))?.partitions.find((found) => found.partition === partition);
    return back !== undefined && ahead !== undefined && back.appliedThrough === ahead.chosenThrough ? true : undefined;
  });
  report.promise(
    true,
    `${leader} was started again and has caught up, ${figure(performance.now() - started)} ms later`,
  );
}
