import { randomUUID } from "node:crypto";
import * as dynamo from "@aws-sdk/client-dynamodb";
import * as streams from "@aws-sdk/client-dynamodb-streams";
import { afterAll, beforeAll, expect, vi } from "vitest";
import type { Caller } from "../../src/rpc/protocol.js";
import { StoreError } from "../../src/storage-node/errors.js";
import type { Store, StoreOptions } from "../../src/store.js";
import { attributes, createTable, keys } from "../indexes/support.js";
import { gate } from "../support/gate.js";
import { client, openStore, temporaryDir } from "../support/store.js";
import { streamsClient } from "../support/streams.js";

type Sdk = Readonly<Record<string, unknown>>;
const SDKS: readonly Sdk[] = [dynamo as unknown as Sdk, streams as unknown as Sdk];

export const STREAM_OPERATIONS: ReadonlySet<string> = new Set(
  Object.keys(streams).flatMap((name) => /^(.+)Command$/.exec(name)?.[1] ?? []),
);

/** By its name, of the client that has the operation. */
export function ofSdk<T>(operation: string, name: string): T {
  return SDKS[STREAM_OPERATIONS.has(operation) ? 1 : 0]?.[name] as T;
}

type CommandClass = new (input: object) => dynamo.GetItemCommand;
type ErrorClass = new (...args: never[]) => Error;

/** A store, the two clients of the unmodified SDK, and tables for what is to be shown on them. */
export class Inventoried {
  readonly store: Store;
  readonly #dynamo: dynamo.DynamoDBClient;
  readonly #streams: streams.DynamoDBStreamsClient;
  streamArn = "";
  backupArn = "";

  constructor(store: Store) {
    this.store = store;
    this.#dynamo = client(store.endpoint, 1);
    this.#streams = streamsClient(store.endpoint);
    // Each answer is to be seen.
    this.#streams.config.maxAttempts = async () => 1;
    // Here coordinators are only slow, however slow the machine is.
    store.router.backend.transactions.lostAfterMs = 60_000;
  }

  async send(operation: string, input: object): Promise<Record<string, unknown>> {
    const Command = ofSdk<CommandClass>(operation, `${operation}Command`);
    const sdk = STREAM_OPERATIONS.has(operation) ? (this.#streams as unknown as dynamo.DynamoDBClient) : this.#dynamo;
    return (await sdk.send(new Command(input))) as unknown as Record<string, unknown>;
  }

  /** The request fails with this error, as the SDK's own class of that name. */
  async fails(operation: string, input: object, error: string): Promise<Error> {
    if (JSON.stringify(input).includes('"slow"')) await this.#exhaust();
    let failure: unknown;
    do {
      failure = await this.send(operation, input).then(
        () => undefined,
        (failed: unknown) => failed,
      );
      // A busy machine may depose a leader at any moment, and then it is to be asked again.
    } while ((failure as Error | undefined)?.name === "InternalServerError" && error !== "InternalServerError");
    expect((failure as Error | undefined)?.name, `${operation} ${JSON.stringify(input)}: ${failure}`).toBe(error);
    expect(failure).toBeInstanceOf(ofSdk<ErrorClass>(operation, error));
    return failure as Error;
  }

  /** While `run` does, whatever a router asks of a node is answered with this error of the store. */
  async whileNodesSay(code: "ERR_STORE_CORRUPT" | "ERR_STORE_OVERLOADED", run: () => Promise<unknown>): Promise<void> {
    const caller: Caller = {
      call: async () => {
        throw new StoreError(code, "as the test wants it");
      },
      close: async () => undefined,
    };
    const spy = vi.spyOn(this.store.fleet, "callerTo").mockReturnValue(caller);
    try {
      await run();
    } finally {
      spy.mockRestore();
    }
  }

  /** While `run` does, a transaction has prepared the items `held-0` to `held-9` of the table `plain`. */
  async whilePrepared(
    run: (request: object) => Promise<unknown>,
    operation: "TransactWriteItems" | "ExecuteTransaction" = "TransactWriteItems",
  ): Promise<void> {
    const { transactions } = this.store.router.backend;
    const prepared = gate();
    const decision = gate();
    transactions.onStep = async (step) => {
      if (step !== "decide") return;
      prepared.open();
      await decision.opened;
    };
    const held10 = Array.from({ length: 10 }, (_, i) => `held-${i}`);
    const request = {
      ClientRequestToken: randomUUID(),
      ...(operation === "TransactWriteItems"
        ? { TransactItems: held10.map((pk) => ({ Put: { TableName: "plain", Item: { pk: { S: pk } } } })) }
        : { TransactStatements: held10.map((pk) => ({ Statement: `DELETE FROM "plain" WHERE pk = '${pk}'` })) }),
    };
    const held = this.send(operation, request);
    try {
      await prepared.opened;
      await run(request);
    } finally {
      transactions.onStep = () => undefined;
      decision.open();
      await held;
    }
  }

  /** What is asked of a table that was begun to be created a moment ago fails with this error: with one of some tables, since each is done at some moment. */
  async failsOnNewTable(operation: string, input: (TableName: string) => object, error: string): Promise<void> {
    for (let i = 0; ; i++) {
      const TableName = `new-${randomUUID()}`;
      // Its answer is held until the table is there.
      const created = this.send("CreateTable", newTable(TableName));
      await this.#isKnown(TableName, created);
      const failure = await this.send(operation, input(TableName)).then(
        () => undefined,
        (failed: unknown) => failed as Error,
      );
      await created;
      if (failure?.name === error) {
        expect(failure).toBeInstanceOf(ofSdk<ErrorClass>(operation, error));
        return;
      }
      if (i === 10) throw failure ?? new Error(`${operation} never came before the table was there`);
    }
  }

  /** Until the table can be described, or is not going to be made. */
  async #isKnown(TableName: string, created: Promise<unknown>): Promise<void> {
    let ended = false;
    const end = () => {
      ended = true;
    };
    created.then(end, end);
    while (!ended) {
      const found = await this.send("DescribeTable", { TableName }).catch(() => undefined);
      if (found !== undefined) return;
    }
  }

  async close(): Promise<void> {
    this.#dynamo.destroy();
    this.#streams.destroy();
    await this.store.close();
  }

  async setUp(): Promise<void> {
    const sdk = this.#dynamo;
    await createTable(sdk, {
      ...newTable("plain"),
      StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
    });
    await createTable(sdk, {
      TableName: "collected",
      KeySchema: keys(["pk", "sk"]),
      AttributeDefinitions: attributes({ pk: "S", sk: "S", day: "S" }),
      LocalSecondaryIndexes: [
        { IndexName: "by-day", KeySchema: keys(["pk", "day"]), Projection: { ProjectionType: "ALL" } },
      ],
    });
    await createTable(sdk, {
      ...newTable("slow"),
      BillingMode: "PROVISIONED",
      ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
    });
    await this.send("PutItem", { TableName: "slow", Item: { ...BIG, text: { S: "x".repeat(240_000) } } });
    await this.#exhaust();
    await this.send("PutItem", { TableName: "plain", Item: { pk: { S: "there" }, n: { N: "1" } } });
    await this.send("PutItem", { TableName: "collected", Item: collected("1", 900) });
    const { Table } = (await this.send("DescribeTable", { TableName: "plain" })) as Pick<
      dynamo.DescribeTableCommandOutput,
      "Table"
    >;
    this.streamArn = Table?.LatestStreamArn ?? "";
    const { BackupDetails } = (await this.send("CreateBackup", {
      TableName: "plain",
      BackupName: "kept",
    })) as Pick<dynamo.CreateBackupCommandOutput, "BackupDetails">;
    this.backupArn = BackupDetails?.BackupArn ?? "";
  }

  /** What was saved is spent, and more: what an item costs beyond the least is debited. Some minutes later it would be paid back. */
  async #exhaust(): Promise<void> {
    const change = {
      TableName: "slow",
      Key: BIG,
      UpdateExpression: "SET n = :n",
      ExpressionAttributeValues: { ":n": { N: "1" } },
    };
    const spent = (operation: string, input: object) =>
      this.send(operation, input).then(
        () => false,
        ({ name }: Error) => name === "ProvisionedThroughputExceededException",
      );
    while (!(await spent("UpdateItem", change)));
    while (!(await spent("GetItem", { TableName: "slow", Key: BIG, ConsistentRead: true })));
  }
}

const BIG = { pk: { S: "big" } };

export const newTable = (TableName: string) => ({
  TableName,
  KeySchema: keys(["pk"]),
  AttributeDefinitions: attributes({ pk: "S" }),
  BillingMode: "PAY_PER_REQUEST" as const,
});

export const collected = (sk: string, bytes: number) => ({
  pk: { S: "c" },
  sk: { S: sk },
  text: { S: "x".repeat(bytes) },
});

/** For all tests of a file. */
export function inventoried(options: Partial<StoreOptions>): { subject: Inventoried } {
  const s = {} as { subject: Inventoried };
  let remove: () => Promise<void>;
  beforeAll(async () => {
    const temporary = await temporaryDir();
    ({ remove } = temporary);
    const upkeep = { collectionBytesMax: 1_000, timeToLiveCooldownMs: 1, recoverTransactionsAfterMs: 60_000 };
    s.subject = new Inventoried(await openStore({ ...options, dir: temporary.dir, upkeep }));
    await s.subject.setUp();
  });
  afterAll(async () => {
    await s.subject.close();
    await remove();
  });
  return s;
}
