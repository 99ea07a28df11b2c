import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { History, type KvInput, type KvOutput, Random } from "@evenkeel/simulation";

export type KeyHistory = History<KvInput<string>, KvOutput<string>>;

export interface Workload {
  readonly endpoint: () => DynamoDBClient;
  readonly table: string;
  readonly history: KeyHistory;
  readonly random: Random;
  readonly keys: readonly string[];
  readonly running: () => boolean;
  /** Items under keys of their own, never overwritten: each one acknowledged has to be there for ever. */
  readonly acknowledged: Map<string, string>;
}

/** The choices of a test: others each time, told so that they can be made again. */
export function toldRandom(): Random {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.info(`seed ${seed} (replay the choices with SEED=${seed})`);
  return new Random(seed);
}

export function newHistory(): KeyHistory {
  return new History({ now: () => performance.now() });
}

/** One client: puts, conditional puts and consistent reads of shared keys, and now and then an item of its own. */
export async function runClient(
  name: string,
  { endpoint, table, history, random, keys, running, acknowledged }: Workload,
): Promise<void> {
  for (let i = 0; running(); i++) {
    const key = random.pick(keys);
    const value = `${name}-${i}`;
    const dice = random.int(10);
    if (dice < 4) await read(endpoint(), table, history, name, key);
    else if (dice < 7) await put(endpoint(), table, history, name, key, value);
    else if (dice < 9) await compareAndSet(endpoint(), table, history, name, key, value);
    else await putOwn(endpoint(), table, `own-${value}`, value, acknowledged);
  }
}

export async function read(
  dynamo: DynamoDBClient,
  table: string,
  history: KeyHistory,
  name: string,
  key: string,
): Promise<string | undefined> {
  const id = history.invoke(name, { kind: "get", key });
  try {
    const { Item } = await dynamo.send(
      new GetItemCommand({ TableName: table, Key: { id: { S: key } }, ConsistentRead: true }),
    );
    history.ok(id, Item?.v?.S);
    return Item?.v?.S;
  } catch {
    // A read that failed changed nothing.
    history.fail(id);
    await pause();
    return undefined;
  }
}

async function put(
  dynamo: DynamoDBClient,
  table: string,
  history: KeyHistory,
  name: string,
  key: string,
  value: string,
): Promise<void> {
  const id = history.invoke(name, { kind: "put", key, value });
  try {
    await dynamo.send(new PutItemCommand({ TableName: table, Item: { id: { S: key }, v: { S: value } } }));
    history.ok(id, undefined);
  } catch (error) {
    failed(history, id, error);
    await pause();
  }
}

async function compareAndSet(
  dynamo: DynamoDBClient,
  table: string,
  history: KeyHistory,
  name: string,
  key: string,
  to: string,
): Promise<void> {
  const from = await read(dynamo, table, history, name, key);
  const id = history.invoke(name, { kind: "cas", key, from, to });
  try {
    await dynamo.send(
      new PutItemCommand({
        TableName: table,
        Item: { id: { S: key }, v: { S: to } },
        ...(from === undefined
          ? { ConditionExpression: "attribute_not_exists(id)" }
          : { ConditionExpression: "v = :from", ExpressionAttributeValues: { ":from": { S: from } } }),
      }),
    );
    history.ok(id, true);
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) history.ok(id, false);
    else {
      failed(history, id, error);
      await pause();
    }
  }
}

async function putOwn(
  dynamo: DynamoDBClient,
  table: string,
  key: string,
  value: string,
  acknowledged: Map<string, string>,
): Promise<void> {
  try {
    await dynamo.send(new PutItemCommand({ TableName: table, Item: { id: { S: key }, v: { S: value } } }));
    acknowledged.set(key, value);
  } catch {
    await pause();
  }
}

/** A connection that was refused carried nothing: that write certainly did not happen. Of any other failure nobody knows. */
function failed(history: KeyHistory, id: number, error: unknown): void {
  if ((error as { code?: unknown }).code === "ECONNREFUSED") history.fail(id);
  else history.unknown(id);
}

/** A refused connection comes back at once; without a breath the history would fill with nothing else. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
