/** Every operation of the service, and every error that its API reference names for it: how each is shown here, or why it cannot be. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { collected, type Inventoried, newTable } from "./subject.js";

/** Asserts, with a store. */
type Show = (s: Inventoried) => Promise<unknown>;

export type Proof =
  | { readonly kind: "shown"; readonly show: Show }
  /** In another file, whose text has these words. */
  | { readonly kind: "elsewhere"; readonly file: string; readonly words: string }
  | { readonly kind: "never"; readonly why: string };

export type Offered = { readonly works: Show; readonly errors: Readonly<Record<string, Proof>> };
export type Row = Offered | { readonly notOffered: string };

const shown = (show: Show): Proof => ({ kind: "shown", show });
const never = (why: string): Proof => ({ kind: "never", why });
const elsewhere = (file: string, words: string): Proof => ({ kind: "elsewhere", file, words });

const InvalidEndpointException = never("endpoints do not change: DescribeEndpoints names the one that was asked");
const ReplicatedWriteConflictException = never("there is one region");
const RequestLimitExceeded = elsewhere("../throttled.test.ts", "RequestLimitExceeded");
const noLimit = never("there is no limit of such operations at a time");

const Key = { pk: { S: "there" } };
const on = (TableName: string) => ({ TableName, Key });
const all = (TableName: string) => ({ TableName, ConsistentRead: true });
const ofKey = (TableName: string) => ({
  ...all(TableName),
  KeyConditionExpression: "pk = :pk",
  ExpressionAttributeValues: { ":pk": { S: "there" } },
});
const put = (TableName: string) => ({ TableName, Item: Key });
const update = (TableName: string) => ({
  ...on(TableName),
  UpdateExpression: "SET n = :n",
  ExpressionAttributeValues: { ":n": { N: "2" } },
});
const batchGet = (name: string) => ({ RequestItems: { [name]: { Keys: [Key] } } });
const batchPut = (name: string) => ({ RequestItems: { [name]: [{ PutRequest: { Item: Key } }] } });
const select = (name: string) => ({ Statement: `SELECT * FROM "${name}" WHERE pk = 'there'`, ConsistentRead: true });
const set = (name: string) => ({ Statement: `UPDATE "${name}" SET n = 3 WHERE pk = 'there'` });
const transactGet = (name: string) => ({ TransactItems: [{ Get: on(name) }] });
const transactPut = (name: string) => ({ TransactItems: [{ Put: put(name) }], ClientRequestToken: randomUUID() });
const statements = (name: string) => ({ TransactStatements: [set(name)], ClientRequestToken: randomUUID() });
const table = (TableName: string) => ({ TableName });
const arnOf = (name: string) => `arn:aws:dynamodb:local:000000000000:table/${name}`;
const ttl = (TableName: string, AttributeName = "ttl") => ({
  TableName,
  TimeToLiveSpecification: { Enabled: true, AttributeName },
});
const recovery = (TableName: string, PointInTimeRecoveryEnabled = true) => ({
  TableName,
  PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled },
});

const works =
  (operation: string, input: object): Show =>
  (s) =>
    s.send(operation, input);
const fails = (operation: string, input: object, error: string): Proof =>
  shown((s) => s.fails(operation, input, error));

/** What a node cannot do and what it has no room for, as the router tells it. */
const ofNodes = (operation: string, input: (s: Inventoried) => object | Promise<object>) => ({
  InternalServerError: shown(async (s) => {
    const request = await input(s);
    await s.whileNodesSay("ERR_STORE_CORRUPT", () => s.fails(operation, request, "InternalServerError"));
  }),
  ThrottlingException: shown(async (s) => {
    const request = await input(s);
    await s.whileNodesSay("ERR_STORE_OVERLOADED", () => s.fails(operation, request, "ThrottlingException"));
  }),
});
const internal = (operation: string, input: (s: Inventoried) => object | Promise<object>) => {
  const { InternalServerError } = ofNodes(operation, input);
  return { InternalServerError };
};

/** What operations on items have in common: a table that is there, one that is not, and one that has no capacity left. */
const onItems = (operation: string, input: (table: string) => object) => ({
  ...ofNodes(operation, () => input("plain")),
  InvalidEndpointException,
  RequestLimitExceeded,
  ResourceNotFoundException: fails(operation, input("nowhere"), "ResourceNotFoundException"),
  ProvisionedThroughputExceededException: fails(operation, input("slow"), "ProvisionedThroughputExceededException"),
});

const held = (s: Inventoried, operation: string, input: (key: object) => object) =>
  s.whilePrepared(() => s.fails(operation, input({ pk: { S: "held-1" } }), "TransactionConflictException"));
const conflict = (operation: string, input: (key: object) => object): Proof => shown((s) => held(s, operation, input));

const never_is = { ConditionExpression: "attribute_exists(nothing)" };
const full = { TableName: "collected", Item: collected("2", 200) };

/** Cancelled, for this reason. */
const cancelledFor = (operation: string, input: () => object, code: string): Proof =>
  shown(async (s) => {
    const error = await s.fails(operation, input(), "TransactionCanceledException");
    const { CancellationReasons } = error as unknown as { CancellationReasons: { Code: string }[] };
    expect(CancellationReasons.map(({ Code }) => Code)).toContain(code);
  });

const inBatch =
  (input: object, code: string): Show =>
  async (s) => {
    const { Responses } = (await s.send("BatchExecuteStatement", { Statements: [input] })) as {
      Responses?: { Error?: { Code?: string } }[];
    };
    expect(Responses?.[0]?.Error?.Code).toBe(code);
  };

async function shardOf(s: Inventoried): Promise<{ StreamArn: string; ShardId: string }> {
  const { StreamDescription } = (await s.send("DescribeStream", { StreamArn: s.streamArn })) as {
    StreamDescription: { Shards: { ShardId: string }[] };
  };
  return { StreamArn: s.streamArn, ShardId: StreamDescription.Shards[0]?.ShardId as string };
}
async function iteratorOf(s: Inventoried): Promise<{ ShardIterator: string }> {
  const request = { ...(await shardOf(s)), ShardIteratorType: "TRIM_HORIZON" };
  const { ShardIterator } = (await s.send("GetShardIterator", request)) as { ShardIterator: string };
  return { ShardIterator };
}
const noStream = `${arnOf("plain")}/stream/2020-01-01T00:00:00.000`;
const noBackup = `${arnOf("plain")}/backup/01577836800000-00000000`;
const noShard = { ShardId: "shardId-00000000000000000000-00000000", ShardIteratorType: "LATEST" };

const restored = (BackupArn: string, TargetTableName = `restored-${randomUUID()}`) => ({ BackupArn, TargetTableName });
const restoredNow = (SourceTableName: string, more: object = {}) => ({
  SourceTableName,
  TargetTableName: `restored-${randomUUID()}`,
  UseLatestRestorableTime: true,
  ...more,
});
/** Into a table that is being made or deleted at the moment. */
const ontoNewTable = (operation: string, input: (s: Inventoried, TargetTableName: string) => object): Proof =>
  shown((s) => s.failsOnNewTable(operation, (TargetTableName) => input(s, TargetTableName), "TableInUseException"));

const tags = (n: number) => Array.from({ length: n }, (_, i) => ({ Key: `k${i}`, Value: "v" }));
const tagged = (name: string) => ({ ResourceArn: arnOf(name), Tags: tags(1) });
const untagged = (name: string) => ({ ResourceArn: arnOf(name), TagKeys: ["k0"] });
const newIndex = (IndexName: string) => ({
  TableName: "plain",
  AttributeDefinitions: [{ AttributeName: IndexName, AttributeType: "S" }],
  GlobalSecondaryIndexUpdates: [
    {
      Create: {
        IndexName,
        KeySchema: [{ AttributeName: IndexName, KeyType: "HASH" }],
        Projection: { ProjectionType: "ALL" },
      },
    },
  ],
});

/** The whole answer is the router's own. */
const known: Proof = never("the router knows by itself, and asks nobody");
/** A list that is empty, or a thing that is not there. */
const lists = (operation: string, list: string): Offered => ({
  works: async (s) => expect(await s.send(operation, {})).toMatchObject({ [list]: [] }),
  errors: { InternalServerError: known, InvalidEndpointException },
});
const lacks = (
  operation: string,
  input: object,
  error: string,
  more: Readonly<Record<string, Proof>> = {},
): Offered => ({
  works: (s) => s.fails(operation, input, error),
  errors: { InternalServerError: known, InvalidEndpointException, [error]: fails(operation, input, error), ...more },
});
/** What there is none of, of a table that is there. */
const ofTable = (operation: string, answer: object): Offered => ({
  works: async (s) => expect(await s.send(operation, table("plain"))).toMatchObject(answer),
  errors: {
    ...internal(operation, () => table("plain")),
    InvalidEndpointException,
    ResourceNotFoundException: fails(operation, table("nowhere"), "ResourceNotFoundException"),
  },
});
const noGlobal = { GlobalTableName: "plain" };
const ofOld = (operation: string, input: object, errors: Readonly<Record<string, Proof>>): Offered => ({
  works: async (s) => {
    await expect(s.send(operation, input)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining("version 2017.11.29 is not supported"),
    });
  },
  errors: { InternalServerError: known, InvalidEndpointException, ...errors },
});
const refusedBefore = never("global tables of that version are refused before");
/** What would begin what there is none of: right as the request is, it is told so. */
const refused = (operation: string, input: object, says: string, errors: Readonly<Record<string, Proof>>): Offered => ({
  works: async (s) => {
    await expect(s.send(operation, input)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(says),
    });
  },
  errors,
});
const stream = { StreamArn: "arn:aws:kinesis:local:000000000000:stream/changes" };
/** Of a table that is there, and can be used. */
const destination = (operation: string, says: string): Offered =>
  refused(operation, { ...table("plain"), ...stream }, says, {
    ...internal(operation, () => ({ ...table("plain"), ...stream })),
    InvalidEndpointException,
    LimitExceededException: noLimit,
    ResourceInUseException: shown((s) =>
      s.failsOnNewTable(operation, (TableName) => ({ TableName, ...stream }), "ResourceInUseException"),
    ),
    ResourceNotFoundException: fails(operation, { ...table("nowhere"), ...stream }, "ResourceNotFoundException"),
  });
const exported = (name: string) => ({ TableArn: arnOf(name), S3Bucket: "a-bucket" });
const imported = (name: string) => ({
  InputFormat: "CSV",
  S3BucketSource: { S3Bucket: "a-bucket" },
  TableCreationParameters: newTable(name),
});
const policy = (name: string) => ({ ResourceArn: arnOf(name), Policy: '{"Statement":[{"Effect":"Allow"}]}' });
const insight = (TableName: string) => ({ TableName, ContributorInsightsAction: "ENABLE" });
const bulk = { notOffered: "there are no bulk operations" };

export const inventory: Readonly<Record<string, Row>> = {
  BatchExecuteStatement: {
    works: (s) => s.send("BatchExecuteStatement", { Statements: [select("plain")] }),
    errors: {
      InternalServerError: shown((s) =>
        s.whileNodesSay("ERR_STORE_CORRUPT", () => inBatch(select("plain"), "InternalServerError")(s)),
      ),
      ThrottlingException: shown((s) =>
        s.whileNodesSay("ERR_STORE_OVERLOADED", () => inBatch(select("plain"), "ThrottlingError")(s)),
      ),
      RequestLimitExceeded,
    },
  },
  BatchGetItem: { works: works("BatchGetItem", batchGet("plain")), errors: onItems("BatchGetItem", batchGet) },
  BatchWriteItem: {
    works: works("BatchWriteItem", batchPut("plain")),
    errors: {
      ...onItems("BatchWriteItem", batchPut),
      ReplicatedWriteConflictException,
      ItemCollectionSizeLimitExceededException: fails(
        "BatchWriteItem",
        { RequestItems: { collected: [{ PutRequest: { Item: full.Item } }] } },
        "ItemCollectionSizeLimitExceededException",
      ),
    },
  },
  CancelBulkOperation: bulk,
  CreateBackup: {
    works: works("CreateBackup", { TableName: "plain", BackupName: "another" }),
    errors: {
      ...internal("CreateBackup", () => ({ TableName: "plain", BackupName: "another" })),
      InvalidEndpointException,
      BackupInUseException: never("backups of one table are made one after another, and each waits for its turn"),
      ContinuousBackupsUnavailableException: shown((s) =>
        s.failsOnNewTable(
          "CreateBackup",
          (TableName) => ({ TableName, BackupName: "soon" }),
          "ContinuousBackupsUnavailableException",
        ),
      ),
      LimitExceededException: elsewhere("../backup-service.test.ts", "LimitExceededException"),
      TableInUseException: elsewhere("../backup-service.test.ts", "TableInUseException"),
      TableNotFoundException: fails(
        "CreateBackup",
        { TableName: "nowhere", BackupName: "never" },
        "TableNotFoundException",
      ),
    },
  },
  CreateGlobalTable: ofOld(
    "CreateGlobalTable",
    { ...noGlobal, ReplicationGroup: [{ RegionName: "local" }] },
    {
      GlobalTableAlreadyExistsException: refusedBefore,
      LimitExceededException: refusedBefore,
      TableNotFoundException: refusedBefore,
    },
  ),
  CreateTable: {
    works: (s) => s.send("CreateTable", newTable(`made-${randomUUID()}`)),
    errors: {
      ...internal("CreateTable", () => newTable("never")),
      InvalidEndpointException,
      LimitExceededException: fails(
        "CreateTable",
        { ...newTable("greedy"), OnDemandThroughput: { MaxReadRequestUnits: 40_001 } },
        "LimitExceededException",
      ),
      ResourceInUseException: fails("CreateTable", newTable("plain"), "ResourceInUseException"),
    },
  },
  DeleteBackup: {
    works: async (s) => {
      const { BackupDetails } = (await s.send("CreateBackup", { TableName: "plain", BackupName: "gone" })) as {
        BackupDetails: { BackupArn: string };
      };
      await s.send("DeleteBackup", { BackupArn: BackupDetails.BackupArn });
    },
    errors: {
      ...internal("DeleteBackup", (s) => ({ BackupArn: s.backupArn })),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      BackupInUseException: elsewhere("../backup-service.test.ts", "BackupInUseException"),
      BackupNotFoundException: fails("DeleteBackup", { BackupArn: noBackup }, "BackupNotFoundException"),
    },
  },
  DeleteItem: {
    works: works("DeleteItem", { TableName: "plain", Key: { pk: { S: "gone" } } }),
    errors: {
      ...onItems("DeleteItem", on),
      ReplicatedWriteConflictException,
      ConditionalCheckFailedException: fails(
        "DeleteItem",
        { ...on("plain"), ...never_is },
        "ConditionalCheckFailedException",
      ),
      ItemCollectionSizeLimitExceededException: never("a deletion makes no collection larger"),
      TransactionConflictException: conflict("DeleteItem", (key) => ({ TableName: "plain", Key: key })),
    },
  },
  DeleteResourcePolicy: {
    works: works("DeleteResourcePolicy", { ResourceArn: arnOf("plain") }),
    errors: {
      ...internal("DeleteResourcePolicy", () => ({ ResourceArn: arnOf("plain") })),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      PolicyNotFoundException: fails(
        "DeleteResourcePolicy",
        { ResourceArn: arnOf("plain"), ExpectedRevisionId: "1" },
        "PolicyNotFoundException",
      ),
      ResourceInUseException: never("there is nothing to be deleted that could be in use"),
      ResourceNotFoundException: fails(
        "DeleteResourcePolicy",
        { ResourceArn: arnOf("nowhere") },
        "ResourceNotFoundException",
      ),
    },
  },
  DeleteTable: {
    works: async (s) => {
      const name = `goes-${randomUUID()}`;
      await s.send("CreateTable", newTable(name));
      await expect
        .poll(
          () =>
            s.send("DeleteTable", table(name)).then(
              () => true,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
    },
    errors: {
      ...internal("DeleteTable", () => table("plain")),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      ResourceInUseException: shown((s) => s.failsOnNewTable("DeleteTable", table, "ResourceInUseException")),
      ResourceNotFoundException: fails("DeleteTable", table("nowhere"), "ResourceNotFoundException"),
    },
  },
  DescribeBackup: {
    works: (s) => s.send("DescribeBackup", { BackupArn: s.backupArn }),
    errors: {
      ...internal("DescribeBackup", (s) => ({ BackupArn: s.backupArn })),
      InvalidEndpointException,
      BackupNotFoundException: fails("DescribeBackup", { BackupArn: noBackup }, "BackupNotFoundException"),
    },
  },
  DescribeBulkOperation: bulk,
  DescribeContinuousBackups: {
    works: works("DescribeContinuousBackups", table("plain")),
    errors: {
      ...internal("DescribeContinuousBackups", () => table("plain")),
      InvalidEndpointException,
      TableNotFoundException: fails("DescribeContinuousBackups", table("nowhere"), "TableNotFoundException"),
    },
  },
  DescribeContributorInsights: ofTable("DescribeContributorInsights", { ContributorInsightsStatus: "DISABLED" }),
  DescribeEndpoints: { works: works("DescribeEndpoints", {}), errors: {} },
  DescribeExport: lacks(
    "DescribeExport",
    { ExportArn: `${arnOf("plain")}/export/01577836800000-00000000` },
    "ExportNotFoundException",
    { LimitExceededException: noLimit },
  ),
  DescribeGlobalTable: lacks("DescribeGlobalTable", noGlobal, "GlobalTableNotFoundException"),
  DescribeGlobalTableSettings: lacks("DescribeGlobalTableSettings", noGlobal, "GlobalTableNotFoundException"),
  DescribeImport: lacks(
    "DescribeImport",
    { ImportArn: `${arnOf("plain")}/import/01577836800000-00000000` },
    "ImportNotFoundException",
  ),
  DescribeKinesisStreamingDestination: ofTable("DescribeKinesisStreamingDestination", {
    KinesisDataStreamDestinations: [],
  }),
  DescribeLimits: {
    works: works("DescribeLimits", {}),
    errors: { InvalidEndpointException, InternalServerError: never("the router knows by itself, and asks nobody") },
  },
  DescribeTable: {
    works: works("DescribeTable", table("plain")),
    errors: {
      ...internal("DescribeTable", () => table("plain")),
      InvalidEndpointException,
      ResourceNotFoundException: fails("DescribeTable", table("nowhere"), "ResourceNotFoundException"),
    },
  },
  DescribeTableReplicaAutoScaling: lacks(
    "DescribeTableReplicaAutoScaling",
    table("plain"),
    "ResourceNotFoundException",
    {},
  ),
  DescribeTimeToLive: {
    works: works("DescribeTimeToLive", table("plain")),
    errors: {
      ...internal("DescribeTimeToLive", () => table("plain")),
      InvalidEndpointException,
      ResourceNotFoundException: fails("DescribeTimeToLive", table("nowhere"), "ResourceNotFoundException"),
    },
  },
  DisableKinesisStreamingDestination: destination(
    "DisableKinesisStreamingDestination",
    "must be ACTIVE to perform DISABLE",
  ),
  EnableKinesisStreamingDestination: destination("EnableKinesisStreamingDestination", "has no Kinesis data streams"),
  ExecuteStatement: {
    works: works("ExecuteStatement", select("plain")),
    errors: {
      ...onItems("ExecuteStatement", select),
      ConditionalCheckFailedException: fails(
        "ExecuteStatement",
        { Statement: `UPDATE "plain" SET n = 3 WHERE pk = 'there' AND n = 1000` },
        "ConditionalCheckFailedException",
      ),
      DuplicateItemException: fails(
        "ExecuteStatement",
        { Statement: `INSERT INTO "plain" VALUE {'pk': 'there'}` },
        "DuplicateItemException",
      ),
      ItemCollectionSizeLimitExceededException: fails(
        "ExecuteStatement",
        { Statement: `INSERT INTO "collected" VALUE {'pk': 'c', 'sk': '3', 'text': '${"x".repeat(200)}'}` },
        "ItemCollectionSizeLimitExceededException",
      ),
      TransactionConflictException: conflict("ExecuteStatement", () => ({
        Statement: `DELETE FROM "plain" WHERE pk = 'held-1'`,
      })),
    },
  },
  ExecuteTransaction: {
    works: (s) => s.send("ExecuteTransaction", statements("plain")),
    errors: {
      ...ofNodes("ExecuteTransaction", () => statements("plain")),
      RequestLimitExceeded,
      // The whole is cancelled; the reason says it.
      ResourceNotFoundException: cancelledFor("ExecuteTransaction", () => statements("nowhere"), "ResourceNotFound"),
      ProvisionedThroughputExceededException: cancelledFor(
        "ExecuteTransaction",
        () => statements("slow"),
        "ProvisionedThroughputExceeded",
      ),
      IdempotentParameterMismatchException: shown(async (s) => {
        const request = statements("plain");
        await s.send("ExecuteTransaction", request);
        const other = {
          ...request,
          TransactStatements: [{ Statement: `UPDATE "plain" SET n = 4 WHERE pk = 'there'` }],
        };
        await s.fails("ExecuteTransaction", other, "IdempotentParameterMismatchException");
      }),
      TransactionCanceledException: cancelledFor(
        "ExecuteTransaction",
        () => ({ TransactStatements: [{ Statement: `INSERT INTO "plain" VALUE {'pk': 'there'}` }] }),
        "DuplicateItem",
      ),
      TransactionInProgressException: shown((s) =>
        s.whilePrepared(
          (request) => s.fails("ExecuteTransaction", request, "TransactionInProgressException"),
          "ExecuteTransaction",
        ),
      ),
    },
  },
  ExportTableToPointInTime: refused("ExportTableToPointInTime", exported("plain"), "has no S3 to export", {
    ...internal("ExportTableToPointInTime", () => exported("plain")),
    ExportConflictException: never("no export is begun, and so none under a token that another one has"),
    InvalidExportTimeException: fails(
      "ExportTableToPointInTime",
      { ...exported("plain"), ExportTime: new Date(1_000) },
      "InvalidExportTimeException",
    ),
    LimitExceededException: noLimit,
    PointInTimeRecoveryUnavailableException: shown(async (s) => {
      await s.send("UpdateContinuousBackups", recovery("slow", false));
      await s.fails("ExportTableToPointInTime", exported("slow"), "PointInTimeRecoveryUnavailableException");
    }),
    TableNotFoundException: fails("ExportTableToPointInTime", exported("nowhere"), "TableNotFoundException"),
  }),
  GetItem: {
    works: works("GetItem", on("plain")),
    errors: onItems("GetItem", (name) => ({ ...on(name), ConsistentRead: true })),
  },
  GetRecords: {
    works: async (s) => s.send("GetRecords", await iteratorOf(s)),
    errors: {
      ...internal("GetRecords", iteratorOf),
      ExpiredIteratorException: elsewhere("../streams.test.ts", "ExpiredIteratorException"),
      LimitExceededException: never("there is no limit of reads a second"),
      ResourceNotFoundException: shown(async (s) => {
        const { ShardIterator } = await iteratorOf(s);
        const [, ...place] = ShardIterator.split("|");
        await s.fails("GetRecords", { ShardIterator: [noStream, ...place].join("|") }, "ResourceNotFoundException");
      }),
      TrimmedDataAccessException: elsewhere("../streams.test.ts", "TrimmedDataAccessException"),
    },
  },
  GetResourcePolicy: {
    ...lacks("GetResourcePolicy", { ResourceArn: arnOf("plain") }, "PolicyNotFoundException"),
    errors: {
      ...internal("GetResourcePolicy", () => ({ ResourceArn: arnOf("plain") })),
      InvalidEndpointException,
      PolicyNotFoundException: fails("GetResourcePolicy", { ResourceArn: arnOf("plain") }, "PolicyNotFoundException"),
      ResourceNotFoundException: fails(
        "GetResourcePolicy",
        { ResourceArn: arnOf("nowhere") },
        "ResourceNotFoundException",
      ),
    },
  },
  GetShardIterator: {
    works: iteratorOf,
    errors: {
      ...internal("GetShardIterator", async (s) => ({ ...(await shardOf(s)), ShardIteratorType: "LATEST" })),
      ResourceNotFoundException: shown((s) =>
        s.fails("GetShardIterator", { StreamArn: s.streamArn, ...noShard }, "ResourceNotFoundException"),
      ),
      TrimmedDataAccessException: shown(async (s) => {
        const before = { ShardIteratorType: "AT_SEQUENCE_NUMBER", SequenceNumber: `1${"0".repeat(23)}` };
        await s.fails("GetShardIterator", { ...(await shardOf(s)), ...before }, "TrimmedDataAccessException");
      }),
    },
  },
  ImportTable: refused("ImportTable", imported("brought"), "has no S3 to import", {
    ImportConflictException: never("no import is begun, and so none under a token that another one has"),
    LimitExceededException: noLimit,
    ResourceInUseException: fails("ImportTable", imported("plain"), "ResourceInUseException"),
  }),
  ListBackups: {
    works: works("ListBackups", {}),
    errors: { ...internal("ListBackups", () => ({})), InvalidEndpointException },
  },
  ListBulkOperations: lists("ListBulkOperations", "BulkOperationsSummaryList"),
  ListContributorInsights: {
    ...lists("ListContributorInsights", "ContributorInsightsSummaries"),
    errors: {
      ...internal("ListContributorInsights", () => table("plain")),
      ResourceNotFoundException: fails("ListContributorInsights", table("nowhere"), "ResourceNotFoundException"),
    },
  },
  ListExports: {
    ...lists("ListExports", "ExportSummaries"),
    errors: { InternalServerError: known, InvalidEndpointException, LimitExceededException: noLimit },
  },
  ListGlobalTables: lists("ListGlobalTables", "GlobalTables"),
  ListImports: {
    ...lists("ListImports", "ImportSummaryList"),
    errors: { LimitExceededException: noLimit },
  },
  ListStreams: {
    works: works("ListStreams", {}),
    errors: {
      ...internal("ListStreams", () => ({})),
      ResourceNotFoundException: never("the streams of a table that is not there are none"),
    },
  },
  ListTables: {
    works: works("ListTables", {}),
    errors: { ...internal("ListTables", () => ({})), InvalidEndpointException },
  },
  ListTagsOfResource: {
    works: works("ListTagsOfResource", { ResourceArn: arnOf("plain") }),
    errors: {
      ...internal("ListTagsOfResource", () => ({ ResourceArn: arnOf("plain") })),
      InvalidEndpointException,
      ResourceNotFoundException: fails(
        "ListTagsOfResource",
        { ResourceArn: arnOf("nowhere") },
        "ResourceNotFoundException",
      ),
    },
  },
  PutItem: {
    works: works("PutItem", put("plain")),
    errors: {
      ...onItems("PutItem", put),
      ReplicatedWriteConflictException,
      ConditionalCheckFailedException: fails(
        "PutItem",
        { ...put("plain"), ...never_is },
        "ConditionalCheckFailedException",
      ),
      ItemCollectionSizeLimitExceededException: fails("PutItem", full, "ItemCollectionSizeLimitExceededException"),
      TransactionConflictException: conflict("PutItem", (key) => ({ TableName: "plain", Item: key })),
    },
  },
  PutResourcePolicy: refused("PutResourcePolicy", policy("plain"), "has no resource-based policies", {
    ...internal("PutResourcePolicy", () => policy("plain")),
    InvalidEndpointException,
    LimitExceededException: noLimit,
    PolicyNotFoundException: fails(
      "PutResourcePolicy",
      { ...policy("plain"), ExpectedRevisionId: "1" },
      "PolicyNotFoundException",
    ),
    ResourceInUseException: never("there is none that could be in use"),
    ResourceNotFoundException: fails("PutResourcePolicy", policy("nowhere"), "ResourceNotFoundException"),
  }),
  Query: { works: works("Query", ofKey("plain")), errors: onItems("Query", ofKey) },
  RestoreTableFromBackup: {
    works: (s) => s.send("RestoreTableFromBackup", restored(s.backupArn)),
    errors: {
      ...internal("RestoreTableFromBackup", (s) => restored(s.backupArn)),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      BackupInUseException: never("as many tables as one likes are restored from a backup at a time"),
      BackupNotFoundException: fails("RestoreTableFromBackup", restored(noBackup), "BackupNotFoundException"),
      TableAlreadyExistsException: shown((s) =>
        s.fails("RestoreTableFromBackup", restored(s.backupArn, "plain"), "TableAlreadyExistsException"),
      ),
      TableInUseException: ontoNewTable("RestoreTableFromBackup", (s, target) => restored(s.backupArn, target)),
    },
  },
  RestoreTableToPointInTime: {
    works: works("RestoreTableToPointInTime", restoredNow("plain")),
    errors: {
      ...internal("RestoreTableToPointInTime", () => restoredNow("plain")),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      InvalidRestoreTimeException: fails(
        "RestoreTableToPointInTime",
        restoredNow("plain", { UseLatestRestorableTime: undefined, RestoreDateTime: new Date(1_000) }),
        "InvalidRestoreTimeException",
      ),
      PointInTimeRecoveryUnavailableException: shown(async (s) => {
        await s.send("UpdateContinuousBackups", recovery("slow", false));
        await s.fails("RestoreTableToPointInTime", restoredNow("slow"), "PointInTimeRecoveryUnavailableException");
      }),
      TableAlreadyExistsException: fails(
        "RestoreTableToPointInTime",
        restoredNow("plain", { TargetTableName: "slow" }),
        "TableAlreadyExistsException",
      ),
      TableInUseException: ontoNewTable("RestoreTableToPointInTime", (_, TargetTableName) =>
        restoredNow("plain", { TargetTableName }),
      ),
      TableNotFoundException: fails("RestoreTableToPointInTime", restoredNow("nowhere"), "TableNotFoundException"),
    },
  },
  Scan: { works: works("Scan", all("plain")), errors: onItems("Scan", all) },
  SearchVectors: { notOffered: "there are no vector indexes" },
  StartBulkPutItems: bulk,
  TagResource: {
    works: works("TagResource", tagged("plain")),
    errors: {
      ...internal("TagResource", () => tagged("plain")),
      InvalidEndpointException,
      LimitExceededException: never(
        "too many tags are an invalid request, and no limit of such operations at a time is there",
      ),
      ResourceInUseException: never("tags may be changed whatever a table is on its way to"),
      ResourceNotFoundException: fails("TagResource", tagged("nowhere"), "ResourceNotFoundException"),
    },
  },
  TransactGetItems: {
    works: works("TransactGetItems", transactGet("plain")),
    errors: {
      ...ofNodes("TransactGetItems", () => transactGet("plain")),
      InvalidEndpointException,
      RequestLimitExceeded,
      ResourceNotFoundException: fails("TransactGetItems", transactGet("nowhere"), "ResourceNotFoundException"),
      // The whole is cancelled; the reason says it.
      ProvisionedThroughputExceededException: cancelledFor(
        "TransactGetItems",
        () => transactGet("slow"),
        "ProvisionedThroughputExceeded",
      ),
      TransactionCanceledException: shown((s) =>
        s.whilePrepared(() =>
          s.fails(
            "TransactGetItems",
            { TransactItems: [{ Get: { TableName: "plain", Key: { pk: { S: "held-1" } } } }] },
            "TransactionCanceledException",
          ),
        ),
      ),
    },
  },
  TransactWriteItems: {
    works: (s) => s.send("TransactWriteItems", transactPut("plain")),
    errors: {
      ...ofNodes("TransactWriteItems", () => transactPut("plain")),
      InvalidEndpointException,
      RequestLimitExceeded,
      ResourceNotFoundException: fails("TransactWriteItems", transactPut("nowhere"), "ResourceNotFoundException"),
      // The whole is cancelled; the reason says it.
      ProvisionedThroughputExceededException: cancelledFor(
        "TransactWriteItems",
        () => transactPut("slow"),
        "ProvisionedThroughputExceeded",
      ),
      IdempotentParameterMismatchException: shown(async (s) => {
        const request = transactPut("plain");
        await s.send("TransactWriteItems", request);
        const other = { ...request, TransactItems: [{ Delete: { TableName: "plain", Key: { pk: { S: "other" } } } }] };
        await s.fails("TransactWriteItems", other, "IdempotentParameterMismatchException");
      }),
      TransactionCanceledException: cancelledFor(
        "TransactWriteItems",
        () => ({ TransactItems: [{ Put: { ...put("plain"), ...never_is } }] }),
        "ConditionalCheckFailed",
      ),
      TransactionInProgressException: shown((s) =>
        s.whilePrepared((request) => s.fails("TransactWriteItems", request, "TransactionInProgressException")),
      ),
    },
  },
  UntagResource: {
    works: works("UntagResource", untagged("plain")),
    errors: {
      ...internal("UntagResource", () => untagged("plain")),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      ResourceInUseException: never("tags may be changed whatever a table is on its way to"),
      ResourceNotFoundException: fails("UntagResource", untagged("nowhere"), "ResourceNotFoundException"),
    },
  },
  UpdateContinuousBackups: {
    works: works("UpdateContinuousBackups", recovery("plain")),
    errors: {
      ...internal("UpdateContinuousBackups", () => recovery("plain")),
      InvalidEndpointException,
      ContinuousBackupsUnavailableException: shown((s) =>
        s.failsOnNewTable("UpdateContinuousBackups", recovery, "ContinuousBackupsUnavailableException"),
      ),
      TableNotFoundException: fails("UpdateContinuousBackups", recovery("nowhere"), "TableNotFoundException"),
    },
  },
  UpdateContributorInsights: refused("UpdateContributorInsights", insight("plain"), "no Contributor Insights", {
    ...internal("UpdateContributorInsights", () => insight("plain")),
    ResourceNotFoundException: fails("UpdateContributorInsights", insight("nowhere"), "ResourceNotFoundException"),
  }),
  UpdateGlobalTable: ofOld(
    "UpdateGlobalTable",
    { ...noGlobal, ReplicaUpdates: [{ Create: { RegionName: "local" } }] },
    {
      GlobalTableNotFoundException: fails(
        "UpdateGlobalTable",
        { ...noGlobal, ReplicaUpdates: [{ Delete: { RegionName: "local" } }] },
        "GlobalTableNotFoundException",
      ),
      ReplicaAlreadyExistsException: refusedBefore,
      ReplicaNotFoundException: refusedBefore,
      TableNotFoundException: refusedBefore,
    },
  ),
  UpdateGlobalTableSettings: lacks("UpdateGlobalTableSettings", noGlobal, "GlobalTableNotFoundException", {
    IndexNotFoundException: refusedBefore,
    LimitExceededException: refusedBefore,
    ReplicaNotFoundException: refusedBefore,
    ResourceInUseException: refusedBefore,
  }),
  UpdateItem: {
    works: works("UpdateItem", update("plain")),
    errors: {
      ...onItems("UpdateItem", update),
      ReplicatedWriteConflictException,
      ConditionalCheckFailedException: fails(
        "UpdateItem",
        { ...update("plain"), ...never_is },
        "ConditionalCheckFailedException",
      ),
      ItemCollectionSizeLimitExceededException: fails(
        "UpdateItem",
        {
          TableName: "collected",
          Key: { pk: { S: "c" }, sk: { S: "1" } },
          UpdateExpression: "SET more = :m",
          ExpressionAttributeValues: { ":m": { S: "x".repeat(200) } },
        },
        "ItemCollectionSizeLimitExceededException",
      ),
      TransactionConflictException: conflict("UpdateItem", (key) => ({ ...update("plain"), Key: key })),
    },
  },
  UpdateKinesisStreamingDestination: destination(
    "UpdateKinesisStreamingDestination",
    "UpdateKinesisStreamingConfiguration cannot be null",
  ),
  UpdateTable: {
    works: works("UpdateTable", { TableName: "plain", DeletionProtectionEnabled: false }),
    errors: {
      ...internal("UpdateTable", () => ({ TableName: "plain", DeletionProtectionEnabled: false })),
      InvalidEndpointException,
      // One index at a time.
      LimitExceededException: shown(async (s) => {
        const two = [newIndex("one"), newIndex("two")];
        await s.fails(
          "UpdateTable",
          {
            TableName: "plain",
            AttributeDefinitions: two.flatMap((index) => index.AttributeDefinitions),
            GlobalSecondaryIndexUpdates: two.flatMap((index) => index.GlobalSecondaryIndexUpdates),
          },
          "LimitExceededException",
        );
      }),
      ResourceInUseException: shown((s) =>
        s.failsOnNewTable(
          "UpdateTable",
          (TableName) => ({ TableName, DeletionProtectionEnabled: true }),
          "ResourceInUseException",
        ),
      ),
      ResourceNotFoundException: fails(
        "UpdateTable",
        { TableName: "nowhere", DeletionProtectionEnabled: true },
        "ResourceNotFoundException",
      ),
    },
  },
  UpdateTableReplicaAutoScaling: lacks("UpdateTableReplicaAutoScaling", table("plain"), "ResourceNotFoundException", {
    LimitExceededException: noLimit,
    ResourceInUseException: never("no table is a global one"),
  }),
  UpdateTimeToLive: {
    works: works("UpdateTimeToLive", ttl("plain")),
    errors: {
      ...internal("UpdateTimeToLive", () => ttl("slow")),
      InvalidEndpointException,
      LimitExceededException: noLimit,
      ResourceInUseException: shown((s) => s.failsOnNewTable("UpdateTimeToLive", ttl, "ResourceInUseException")),
      ResourceNotFoundException: fails("UpdateTimeToLive", ttl("nowhere"), "ResourceNotFoundException"),
    },
  },

  DescribeStream: {
    works: (s) => s.send("DescribeStream", { StreamArn: s.streamArn }),
    errors: {
      ...internal("DescribeStream", (s) => ({ StreamArn: s.streamArn })),
      ResourceNotFoundException: fails("DescribeStream", { StreamArn: noStream }, "ResourceNotFoundException"),
    },
  },
};

/** What the reference names for no operation, since any may be answered so, and where that is shown. */
export const commonErrors: Readonly<Record<string, Proof>> = {
  AccessDeniedException: never("there are no policies: whoever is known may do everything"),
  IncompleteSignatureException: elsewhere("../router/signatures.test.ts", "IncompleteSignatureException"),
  InvalidSignatureException: elsewhere("../router/signatures.test.ts", "InvalidSignatureException"),
  MissingAuthenticationTokenException: elsewhere("../router/protocol.test.ts", "MissingAuthenticationTokenException"),
  SerializationException: elsewhere("../router/protocol.test.ts", "SerializationException"),
  ServiceUnavailable: elsewhere("../router/protocol.test.ts", "ServiceUnavailable"),
  UnknownOperationException: elsewhere("../router/protocol.test.ts", "UnknownOperationException"),
  UnrecognizedClientException: elsewhere("../router/signatures.test.ts", "UnrecognizedClientException"),
  ValidationException: elsewhere("../router/protocol.test.ts", "ValidationException"),
};
