/** What the service answered, in October 2026, to requests that are well-formed and say nothing, or nearly: which mistake is told, in which order and words. */
import { CreateBackupCommand } from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { call, createTable, harness } from "./harness.js";

const h = harness();
const ONE = "One or more parameter values were invalid: ";
const arn = "arn:aws:dynamodb:local:000000000000:table/on-demand";
const value = (shown: string, at: string, rule: string) =>
  `Value ${shown} at '${at}' failed to satisfy constraint: ${rule}`;
const NULL = "Member must not be null";
const least = (n: number) => `Member must have length greater than or equal to ${n}`;
const NAME = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
const detected = (...failures: string[]) =>
  `${failures.length} validation error${failures.length > 1 ? "s" : ""} detected: ${failures.join("; ")}`;
const nothing =
  "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required";

const made = {
  TableName: "made",
  KeySchema: [{ AttributeName: "id", KeyType: "HASH" as const }],
  AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" as const }],
  BillingMode: "PAY_PER_REQUEST" as const,
};
const TableName = "on-demand";
const index = { IndexName: "by-id", KeySchema: made.KeySchema, Projection: { ProjectionType: "ALL" } };
const units = { ReadCapacityUnits: 1, WriteCapacityUnits: 1 };
let BackupArn = "";

beforeAll(async () => {
  await createTable(h, { ...made, TableName });
  const backup = await h.client.send(new CreateBackupCommand({ TableName, BackupName: "kept" }));
  BackupArn = backup.BackupDetails?.BackupArn ?? "";
});

/** By operation, what was asked (a new table's parts on top of one that is well, say) and what was said. */
const answers: Readonly<Record<string, readonly (readonly [object, string])[]>> = {
  CreateTable: [
    [
      { ...made, AttributeDefinitions: [{}] },
      detected(
        value("null", "attributeDefinitions.1.member.attributeType", NULL),
        value("null", "attributeDefinitions.1.member.attributeName", NULL),
      ),
    ],
    [
      { ...made, AttributeDefinitions: [...made.AttributeDefinitions, ...made.AttributeDefinitions] },
      "Attribute Name is duplicated: id",
    ],
    [
      { ...made, BillingMode: "" },
      detected(value("''", "billingMode", "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]")),
    ],
    [{ ...made, GlobalSecondaryIndexes: [{ ...index, Projection: {} }] }, `${ONE}Unknown ProjectionType: null`],
    [{ ...made, KeySchema: [] }, detected(value("'[]'", "keySchema", least(1)))],
    [
      { ...made, KeySchema: [{}] },
      detected(
        value("null", "keySchema.1.member.attributeName", NULL),
        value("null", "keySchema.1.member.keyType", NULL),
      ),
    ],
    [
      { ...made, SSESpecification: { Enabled: true, SSEType: "KMS", KMSMasterKeyId: "" } },
      detected(value("''", "sSESpecification.kMSMasterKeyId", least(1))),
    ],
    [{ ...made, SSESpecification: { Enabled: true, SSEType: "AES256" } }, `${ONE}SSEType AES256 is not supported`],
    [
      { ...made, SSESpecification: { Enabled: false, SSEType: "KMS" } },
      `${ONE}SSEType can not be specified if Enabled is false`,
    ],
    [
      { ...made, StreamSpecification: { StreamEnabled: true, StreamViewType: "" } },
      detected(
        value(
          "''",
          "streamSpecification.streamViewType",
          "Member must satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]",
        ),
      ),
    ],
    [{ ...made, Tags: [{}] }, "The Tag Key provided is invalid, Key: null"],
    [
      { ...made, TableClass: "GLACIAL" },
      "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, STANDARD_INFREQUENT_ACCESS].",
    ],
    [
      { ...made, WarmThroughput: { ReadUnitsPerSecond: -1, WriteUnitsPerSecond: -1 } },
      `${ONE}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial`,
    ],
    [
      {
        ...made,
        BillingMode: "PROVISIONED",
        ProvisionedThroughput: units,
        OnDemandThroughput: { MaxReadRequestUnits: 10 },
      },
      `${ONE}MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED.`,
    ],
    [
      { ...made, GlobalSecondaryIndexes: [{ ...index, OnDemandThroughput: { MaxReadRequestUnits: -1 } }] },
      `${ONE}Requested MaxReadRequestUnits for OnDemandThroughput for index : by-id is outside of valid range`,
    ],
  ],
  DescribeTable: [[{ TableName: "" }, detected(value("''", "tableName", least(3)), value("''", "tableName", NAME))]],
  ListTables: [
    [{ Limit: 0 }, detected(value("'0'", "limit", "Member must have value greater than or equal to 1"))],
    [
      { ExclusiveStartTableName: "" },
      detected(value("''", "exclusiveStartTableName", NAME), value("''", "exclusiveStartTableName", least(3))),
    ],
  ],
  UpdateTable: [
    [{ TableName, OnDemandThroughput: {} }, nothing],
    [{ TableName, AttributeDefinitions: made.AttributeDefinitions }, nothing],
    [
      { TableName, OnDemandThroughput: { MaxReadRequestUnits: 0, MaxWriteRequestUnits: 0 } },
      `${ONE}Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range`,
    ],
    [
      { TableName, WarmThroughput: { ReadUnitsPerSecond: -1 } },
      `${ONE}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported`,
    ],
    [
      { TableName: "nowhere", GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "ghost", WarmThroughput: {} } }] },
      `${ONE}WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: ghost`,
    ],
    [
      {
        TableName,
        GlobalSecondaryIndexUpdates: [
          { Create: index },
          { Update: { IndexName: "other", ProvisionedThroughput: units } },
        ],
        SSESpecification: { Enabled: true },
      },
      `${ONE}Server-Side Encryption modification must be the only operation in the request`,
    ],
    [
      {
        TableName,
        WarmThroughput: { ReadUnitsPerSecond: 20_000 },
        GlobalSecondaryIndexUpdates: [{ Create: index }],
      },
      `${ONE}Create global secondary index cannot be specified when updating WarmThroughput`,
    ],
    [
      {
        TableName,
        OnDemandThroughput: { MaxReadRequestUnits: 10 },
        StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
      },
      `${ONE}OnDemandThroughput can only be combined with BillingMode in an UpdateTable request`,
    ],
  ],
  TagResource: [
    [{ ResourceArn: arn, Tags: [{}] }, "The Tag Key provided is invalid, Key: null"],
    [{ ResourceArn: arn, Tags: [{ Value: "v" }] }, "The Tag Key provided is invalid, Key: null"],
    [{ ResourceArn: arn, Tags: [{ Key: "k" }] }, "The Tag Value provided is invalid, Value: null"],
    [
      { ResourceArn: arn, Tags: [1, 2].map(() => ({ Key: "k", Value: "v" })) },
      "Duplicate Tag Keys provided as input: Duplicate Tag Key found k",
    ],
    [{ ResourceArn: arn, Tags: [{ Key: "aws:k", Value: "v" }] }, "Tag Key cannot be prefixed with aws:, Key: aws:k"],
    [
      { ResourceArn: arn, Tags: Array.from({ length: 51 }, (_, i) => ({ Key: `${i}`, Value: "" })) },
      "Number of Tags exceed the current limit for the provided ResourceArn",
    ],
    [{ ResourceArn: "on-demand", Tags: [{ Key: "k", Value: "v" }] }, `${ONE}ARNs must start with 'arn:': on-demand`],
    [
      { ResourceArn: `${arn}/index/by-id`, Tags: [{ Key: "k", Value: "v" }] },
      `${ONE}Invalid resource arn provided, only table or stream is accepted. Provided resource arn: ${arn}/index/by-id`,
    ],
  ],
  UntagResource: [
    [{ ResourceArn: arn, TagKeys: [] }, "Atleast one Tag Key needs to be provided as Input."],
    [{ ResourceArn: arn, TagKeys: [""] }, "The Tag Key provided is invalid, Key: "],
  ],
  ListTagsOfResource: [
    [{ ResourceArn: "arn:aws:s3:::bucket" }, `${ONE}Provided Arn is not a DynamoDB resource arn: arn:aws:s3:::bucket`],
  ],
  CreateBackup: [
    [{ TableName, BackupName: "" }, detected(value("''", "backupName", NAME), value("''", "backupName", least(3)))],
  ],
  DescribeBackup: [[{ BackupArn: "" }, "Invalid Backup ARN"]],
  ListBackups: [[{ Limit: 0 }, detected(value("'0'", "limit", "Member must have value greater than or equal to 1"))]],
  UpdateContinuousBackups: [
    [
      { TableName, PointInTimeRecoverySpecification: {} },
      detected(value("null", "pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled", NULL)),
    ],
    [
      {
        TableName,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 0 },
      },
      detected(
        value(
          "'0'",
          "pointInTimeRecoverySpecification.recoveryPeriodInDays",
          "Member must have value greater than or equal to 1",
        ),
      ),
    ],
    [
      {
        TableName,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: false, RecoveryPeriodInDays: 7 },
      },
      "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
    ],
  ],
  UpdateTimeToLive: [
    [
      { TableName, TimeToLiveSpecification: {} },
      detected(
        value("null", "timeToLiveSpecification.attributeName", NULL),
        value("null", "timeToLiveSpecification.enabled", NULL),
      ),
    ],
    [
      { TableName, TimeToLiveSpecification: { Enabled: true, AttributeName: "" } },
      detected(value("''", "timeToLiveSpecification.attributeName", least(1))),
    ],
  ],
  DescribeContributorInsights: [
    [{ TableName, IndexName: "" }, "IndexName must be at least 3 characters long and at most 255 characters long"],
  ],
  DescribeGlobalTable: [
    [{ GlobalTableName: "" }, "TableName must be at least 3 characters long and at most 255 characters long"],
  ],
  DeleteResourcePolicy: [
    [{ ResourceArn: arn, ExpectedRevisionId: "" }, detected(value("''", "expectedRevisionId", least(1)))],
  ],
  RestoreTableToPointInTime: [
    [
      { SourceTableName: TableName, TargetTableName: "restored" },
      "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
    ],
  ],
};

const rows = Object.entries(answers).flatMap(([operation, all]) =>
  all.map(([body, message]) => [operation, body, message] as const),
);

describe("degenerate requests are answered as the service answers them", () => {
  it.each(rows)("%s with %j", async (operation, body, message) => {
    const answer = await call(h.port, operation, body);
    expect(answer.json()).toMatchObject({ __type: "com.amazon.coral.validate#ValidationException", message });
  });

  const restored = (more: object) => ({ BackupArn, TargetTableName: "restored", ...more });
  it.each<[object, string]>([
    [{ TargetTableName: "" }, "TableName must be at least 3 characters long and at most 255 characters long"],
    [
      { OnDemandThroughputOverride: { MaxReadRequestUnits: 0 } },
      "Invalid Request: Requested MaxReadRequestUnits for OnDemandThroughput is outside of valid range",
    ],
    [
      {
        BillingModeOverride: "PROVISIONED",
        ProvisionedThroughputOverride: units,
        OnDemandThroughputOverride: { MaxReadRequestUnits: 5 },
      },
      "Invalid Request: Cannot override MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST",
    ],
    [
      { ProvisionedThroughputOverride: {} },
      detected(
        value("null", "provisionedThroughputOverride.writeCapacityUnits", NULL),
        value("null", "provisionedThroughputOverride.readCapacityUnits", NULL),
      ),
    ],
    [
      { BillingModeOverride: "PROVISIONED" },
      "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
    ],
    [
      { GlobalSecondaryIndexOverride: [index] },
      "Invalid Request: Index by-id does not match a secondary index that existed in the source table and cannot be created during the restore operation",
    ],
  ])("RestoreTableFromBackup with %j", async (more, message) => {
    const answer = await call(h.port, "RestoreTableFromBackup", restored(more));
    expect(answer.json()).toMatchObject({ __type: "com.amazon.coral.validate#ValidationException", message });
  });
});

/** Two mistakes at once: as dynalite and dynoxide, who agree in these, found it with the service. */
describe("of two mistakes the service's first is told", () => {
  const values = { ExpressionAttributeValues: { ":v": { S: "a" } } };
  const unread = { id: { S: "a" }, b: { BOOL: "x" } };
  const ofValues = "ExpressionAttributeValues can only be specified when using expressions: FilterExpression";
  it.each<[string, object, string]>([
    ["Query", { TableName, ...values }, ofValues],
    ["Query", { TableName, Select: "SPECIFIC_ATTRIBUTES", ...values }, ofValues],
    ["Scan", { TableName, Segment: 0, ...values }, ofValues],
    ["Scan", { TableName, TotalSegments: 2, ExpressionAttributeNames: {} }, "ExpressionAttributeNames can only be"],
    [
      "BatchGetItem",
      { RequestItems: { nowhere: { Keys: [{ id: { S: "a" } }, { id: { S: "a" } }] } } },
      "Provided list of item keys contains duplicates",
    ],
    // What cannot be read is told before what makes no sense, wherever it stands.
    ["PutItem", { TableName: "a;b", Item: unread }, "Unexpected token received from parser"],
    ["PutItem", { TableName, Item: { id: { N: "x" }, b: { S: 1 } } }, "NUMBER_VALUE cannot be converted to String"],
    [
      "UpdateItem",
      { TableName, Key: { id: { S: "a" } }, UpdateExpression: "SET", ExpressionAttributeValues: unread },
      "Unexpected token received from parser",
    ],
    [
      "DeleteItem",
      { TableName: "nowhere", Key: { id: { B: "Y" } } },
      "Base64 encoded length is expected a multiple of 4 bytes but found: 1",
    ],
    [
      "BatchWriteItem",
      { RequestItems: { "a;b": [{ PutRequest: { Item: unread } }] } },
      "Unexpected token received from parser",
    ],
    [
      "TransactWriteItems",
      { TransactItems: [{ Put: { TableName: "", Item: { id: { L: [{ M: unread }] } } } }] },
      "Unexpected token received from parser",
    ],
    [
      "ExecuteStatement",
      { Statement: "SELECT", Parameters: [{ NS: [1] }] },
      "NUMBER_VALUE cannot be converted to String",
    ],
  ])("%s with %j", async (operation, body, message) => {
    const answer = (await call(h.port, operation, body)).json();
    expect(String(answer.message ?? answer.Message)).toContain(message);
  });
});
