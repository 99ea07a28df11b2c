/** What would begin what there is none of here: what is wrong with a request is told first, in the service's order, and then what this store does not have. */
import { beforeAll, expect, test } from "vitest";
import { call, createTable, harness } from "./harness.js";

const h = harness();
const T = "begun";
const arn = (name: string) => `arn:aws:dynamodb:local:000000000000:table/${name}`;
const StreamArn = "arn:aws:kinesis:local:000000000000:stream/changes";
const precisely = { ApproximateCreationDateTimePrecision: "MICROSECOND" };
const failed = (value: string, at: string, rule: string) =>
  `1 validation error detected: Value ${value} at '${at}' failed to satisfy constraint: ${rule}`;
const missing = (at: string) => failed("null", at, "Member must not be null");
const NOWHERE = "Requested resource not found: Table: nowhere not found";
/** In Unix seconds. */
const CREATED = 1_700_000_000;
const HOUR_AGO = Math.floor(Date.now() / 1000) - 3600;
const creation = {
  TableName: "brought",
  KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
  AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
  BillingMode: "PAY_PER_REQUEST",
};
const source = {
  ClientToken: "once",
  S3BucketSource: { S3Bucket: "a-bucket" },
  InputFormat: "CSV",
};

/** Operation, request, type of the error, text. */
type Row = [string, object, string, string];

beforeAll(() => createTable(h, { ...creation, TableName: T } as never));

test.each<Row>([
  ["PutResourcePolicy", { ResourceArn: arn(T) }, "ValidationException", missing("policy")],
  [
    "PutResourcePolicy",
    { ResourceArn: arn("nowhere"), Policy: "no policy", ExpectedRevisionId: "1" },
    "ResourceNotFoundException",
    NOWHERE,
  ],
  [
    "PutResourcePolicy",
    { ResourceArn: arn(T), Policy: "no policy", ExpectedRevisionId: "1" },
    "PolicyNotFoundException",
    `Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id 1, but table ${T} has no associated policy.`,
  ],
  [
    "DeleteResourcePolicy",
    { ResourceArn: arn(T), ExpectedRevisionId: "1" },
    "PolicyNotFoundException",
    `Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id 1, but table ${T} has no associated policy.`,
  ],
  [
    "PutResourcePolicy",
    { ResourceArn: arn(T), Policy: "no policy", ExpectedRevisionId: "NO_POLICY" },
    "ValidationException",
    "One or more parameter values were invalid: Invalid policy document: This policy contains invalid Json",
  ],
  [
    "PutResourcePolicy",
    { ResourceArn: arn(T), Policy: '{"Statement":[{"Effect":"Allow"}]}' },
    "ValidationException",
    "This store has no resource-based policies: whoever it knows may do everything",
  ],
  ...(
    [
      ["[]", "This policy contains invalid Json"],
      ["null", "This text appears not to be a policy"],
      ["{}", "Syntax error at position (1,3)"],
      ['{"Statement":[]}', "Could not parse the policy: Statement is empty!"],
      ['{"Statement":[{}]}', "Missing required field Effect"],
    ] as const
  ).map(([Policy, problem]): [string, object, string, string] => [
    "PutResourcePolicy",
    { ResourceArn: arn(T), Policy },
    "ValidationException",
    `One or more parameter values were invalid: Invalid policy document: ${problem}`,
  ]),
  ...["GetResourcePolicy", "DeleteResourcePolicy"].map((operation): [string, object, string, string] => [
    operation,
    { ResourceArn: arn(T).replace("aws", "aws-cn") },
    "ValidationException",
    `One or more parameter values were invalid: Invalid resource Arn: ${arn(T).replace("aws", "aws-cn")}`,
  ]),
  ...["GetResourcePolicy", "DeleteResourcePolicy"].map((operation): [string, object, string, string] => [
    operation,
    { ResourceArn: `${arn(T)}/stream/2026-01-01T00:00:00.000` },
    "ResourceNotFoundException",
    `Requested resource not found: Stream: 2026-01-01T00:00:00.000 not found for Table: ${T}`,
  ]),
  [
    "UpdateContributorInsights",
    { TableName: T, IndexName: "", ContributorInsightsAction: "ENABLE" },
    "ValidationException",
    "IndexName must be at least 3 characters long and at most 255 characters long",
  ],
  [
    "UpdateContributorInsights",
    { TableName: T, ContributorInsightsAction: "ENABLE", ContributorInsightsMode: "" },
    "ValidationException",
    failed(
      "''",
      "contributorInsightsMode",
      "Member must satisfy enum value set: [THROTTLED_KEYS, ACCESSED_AND_THROTTLED_KEYS]",
    ),
  ],
  [
    "UpdateContributorInsights",
    { TableName: T, ContributorInsightsAction: "BEGIN" },
    "ValidationException",
    failed("'BEGIN'", "contributorInsightsAction", "Member must satisfy enum value set: [ENABLE, DISABLE]"),
  ],
  [
    "UpdateContributorInsights",
    { TableName: T, IndexName: "none", ContributorInsightsAction: "ENABLE" },
    "ResourceNotFoundException",
    `Requested resource not found: Index: none not found for table: ${T}`,
  ],
  [
    "UpdateTableReplicaAutoScaling",
    { TableName: T, ReplicaUpdates: [{}] },
    "ValidationException",
    missing("replicaUpdates.1.member.regionName"),
  ],
  [
    "UpdateTableReplicaAutoScaling",
    { TableName: T, ProvisionedWriteCapacityAutoScalingUpdate: { MinimumUnits: 0 } },
    "ValidationException",
    failed(
      "'0'",
      "provisionedWriteCapacityAutoScalingUpdate.minimumUnits",
      "Member must have value greater than or equal to 1",
    ),
  ],
  [
    "EnableKinesisStreamingDestination",
    { TableName: "nowhere", StreamArn: "stream" },
    "ValidationException",
    failed("'stream'", "streamArn", "Member must have length greater than or equal to 37"),
  ],
  ["DisableKinesisStreamingDestination", { TableName: "nowhere", StreamArn }, "ResourceNotFoundException", NOWHERE],
  [
    "DisableKinesisStreamingDestination",
    { TableName: T, StreamArn },
    "ValidationException",
    "Table is not in a valid state to enable Kinesis Streaming Destination: KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.",
  ],
  [
    "UpdateKinesisStreamingDestination",
    { TableName: T, StreamArn },
    "ValidationException",
    "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be null or contain only null values",
  ],
  [
    "UpdateKinesisStreamingDestination",
    { TableName: T, StreamArn, UpdateKinesisStreamingConfiguration: precisely },
    "ValidationException",
    `Table is not in a valid state to enable Kinesis Streaming Destination: No streaming destination with streamArn: ${StreamArn} found for table with tableName: ${T}`,
  ],
  [
    "DisableKinesisStreamingDestination",
    { TableName: T, StreamArn, EnableKinesisStreamingConfiguration: precisely },
    "ValidationException",
    "Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters",
  ],
  [
    "UpdateKinesisStreamingDestination",
    { TableName: T, StreamArn, UpdateKinesisStreamingConfiguration: { ApproximateCreationDateTimePrecision: "DAY" } },
    "ValidationException",
    failed(
      "'DAY'",
      "updateKinesisStreamingConfiguration.approximateCreationDateTimePrecision",
      "Member must satisfy enum value set: [MILLISECOND, MICROSECOND]",
    ),
  ],
  [
    "ExportTableToPointInTime",
    { TableArn: arn("nowhere"), S3Bucket: "-" },
    "ValidationException",
    failed("'-'", "s3Bucket", "Member must satisfy regular expression pattern: ^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$"),
  ],
  [
    "ExportTableToPointInTime",
    { TableArn: arn("nowhere"), S3Bucket: "a-bucket", ExportTime: 1 },
    "TableNotFoundException",
    `Table not found: ${arn("nowhere")}`,
  ],
  [
    "ExportTableToPointInTime",
    { TableArn: arn(T), S3Bucket: "a-bucket", ExportTime: 1 },
    "InvalidExportTimeException",
    "Export Time is invalid",
  ],
  ...(
    [
      [{ S3Prefix: "" }, failed("''", "s3Prefix", "Member must have length greater than or equal to 1")],
      [{ TableArn: "" }, "Invalid TableArn: Invalid Table ARN"],
      [{ TableArn: T }, "One or more parameter values were invalid: tableArn is not a valid ARN"],
      [{ TableArn: `${arn(T)}/index/by-day` }, "Invalid Request: Table ARN is invalid."],
      [
        { S3SseAlgorithm: "AES256", S3SseKmsKeyId: "key" },
        "Invalid Request: KMS Key Id is not supported for this encryption type",
      ],
      [
        { IncrementalExportSpecification: {} },
        "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is provided",
      ],
      [
        { ExportType: "FULL_EXPORT", IncrementalExportSpecification: {} },
        "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided",
      ],
      [
        { ExportType: "INCREMENTAL_EXPORT" },
        "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export",
      ],
      [
        { ExportType: "INCREMENTAL_EXPORT", IncrementalExportSpecification: { ExportToTime: 5 } },
        "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
      ],
    ] as [object, string][]
  ).map(([more, message]): [string, object, string, string] => [
    "ExportTableToPointInTime",
    { TableArn: arn("nowhere"), S3Bucket: "a-bucket", ...more },
    "ValidationException",
    message,
  ]),
  ...(
    [
      [
        { ExportFromTime: CREATED - 1 },
        "Incremental export period from time cannot be less than the table creation time : 2023-11-14T22:13:19Z",
      ],
      [
        { ExportFromTime: 1e300 },
        "Difference between export period from time and export period to time is less than 15 minutes",
      ],
      [
        { ExportFromTime: HOUR_AGO, ExportToTime: 4_102_444_800 },
        "Incremental export period to time cannot be greater than the current time : 2100-01-01T00:00:00Z",
      ],
      [
        { ExportFromTime: HOUR_AGO, ExportToTime: HOUR_AGO + 899 },
        "Difference between export period from time and export period to time is less than 15 minutes",
      ],
    ] as [object, string][]
  ).map(([IncrementalExportSpecification, message]): [string, object, string, string] => [
    "ExportTableToPointInTime",
    { TableArn: arn(T), S3Bucket: "a-bucket", ExportType: "INCREMENTAL_EXPORT", IncrementalExportSpecification },
    "InvalidExportTimeException",
    message,
  ]),
  ["ListExports", { NextToken: "abc" }, "ValidationException", "Invalid Request: Provided nextToken is invalid: abc"],
  ["ListImports", { NextToken: "abc" }, "ValidationException", "Invalid Request: Provided nextToken is invalid: abc"],
  [
    "ListImports",
    { PageSize: 26 },
    "ValidationException",
    failed("'26'", "pageSize", "Member must have value less than or equal to 25"),
  ],
  ["DescribeExport", { ExportArn: arn("any") }, "ValidationException", "Invalid Export ARN"],
  ["DescribeExport", { ExportArn: `${arn("any")}/import/1` }, "ValidationException", "Invalid Export ARN"],
  ["DescribeImport", { ImportArn: `${arn("x")}/import/1` }, "ValidationException", "Invalid Import ARN"],
  ...["nowhere", T].flatMap((name): Row[] => [
    [
      "DescribeGlobalTable",
      { GlobalTableName: name },
      "GlobalTableNotFoundException",
      `Global table not found: Global table with name: '${name}' does not exist.`,
    ],
    [
      "DescribeGlobalTableSettings",
      { GlobalTableName: name },
      "GlobalTableNotFoundException",
      `Global table with name: '${name}' does not exist.`,
    ],
    [
      "UpdateGlobalTable",
      { GlobalTableName: name, ReplicaUpdates: [{ Delete: { RegionName: "local" } }] },
      "GlobalTableNotFoundException",
      `Global table with name: '${name}' does not exist.`,
    ],
    [
      "UpdateGlobalTable",
      { GlobalTableName: name, ReplicaUpdates: [{ Create: { RegionName: "local" } }] },
      "ValidationException",
      "One or more parameter values were invalid: DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version 2019.11.21, instead of version 2017.11.29 (Legacy).",
    ],
    ...[[], [{}]].map(
      (updates): Row => [
        "UpdateGlobalTable",
        { GlobalTableName: name, ReplicaUpdates: updates },
        "ValidationException",
        "One or more parameter values were invalid",
      ],
    ),
  ]),
  [
    "UpdateGlobalTableSettings",
    { GlobalTableName: T, ReplicaSettingsUpdate: [{}] },
    "ValidationException",
    missing("replicaSettingsUpdate.1.member.regionName"),
  ],
  [
    "UpdateTableReplicaAutoScaling",
    { TableName: T },
    "ResourceNotFoundException",
    `Global table with name: '${T}' does not exist.`,
  ],
  [
    "UpdateTable",
    { TableName: T, ReplicaUpdates: [{ Create: { RegionName: "local" } }] },
    "ValidationException",
    "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.",
  ],
  ...(
    [
      { StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" } },
      { DeletionProtectionEnabled: true },
      { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: "none" } }] },
    ] as object[]
  ).map((more): [string, object, string, string] => [
    "UpdateTable",
    { TableName: T, ReplicaUpdates: [{ Create: { RegionName: "local" } }], ...more },
    "ValidationException",
    "One or more parameter values were invalid: Replica modification must be the only operation in the request",
  ]),
  [
    "UpdateTable",
    {
      TableName: T,
      ReplicaUpdates: [{ Create: { RegionName: "eu-west-1" }, Delete: { RegionName: "eu-west-3" } }],
    },
    "ValidationException",
    "Update table operation with more than one type of replica actions not allowed",
  ],
  [
    "UpdateTable",
    { TableName: T, ReplicaUpdates: ["eu-west-1", "eu-west-3"].map((RegionName) => ({ Create: { RegionName } })) },
    "ValidationException",
    "Update table operation with more than one create or delete replica actions not allowed",
  ],
  ...[{}, { Update: { RegionName: "elsewhere" } }].map((update): [string, object, string, string] => [
    "UpdateTable",
    { TableName: T, ReplicaUpdates: [update] },
    "ValidationException",
    "There are no actions specified in the Replica Update Action of the request.",
  ]),
  [
    "UpdateTable",
    { TableName: T, ReplicaUpdates: [{ Create: { RegionName: "elsewhere" } }] },
    "ValidationException",
    "One or more parameter values were invalid: ReplicaUpdates is not supported by this store",
  ],
  [
    "ImportTable",
    { ...source, ClientToken: null, TableCreationParameters: creation },
    "ValidationException",
    missing("clientToken"),
  ],
  [
    "ImportTable",
    { ...source, InputFormatOptions: { Csv: { Delimiter: ";;" } }, TableCreationParameters: creation },
    "ValidationException",
    "2 validation errors detected: Value ';;' at 'inputFormatOptions.csv.delimiter' failed to satisfy constraint: Member must satisfy regular expression pattern: [,;:|\\t ]; Value ';;' at 'inputFormatOptions.csv.delimiter' failed to satisfy constraint: Member must have length less than or equal to 1",
  ],
  [
    "ImportTable",
    { ...source, InputFormat: "ION", InputFormatOptions: { Csv: {} }, TableCreationParameters: creation },
    "ValidationException",
    "Invalid Request: Unsupported InputFormatOptions for the given input format: ION.",
  ],
  [
    "ImportTable",
    { ...source, TableCreationParameters: { ...creation, KeySchema: [] } },
    "ValidationException",
    failed("'[]'", "tableCreationParameters.keySchema", "Member must have length greater than or equal to 1"),
  ],
  [
    "ImportTable",
    { ...source, TableCreationParameters: { ...creation, TableName: T, BillingMode: "PROVISIONED" } },
    "ValidationException",
    "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
  ],
  [
    "ImportTable",
    { ...source, TableCreationParameters: { ...creation, TableName: T } },
    "ResourceInUseException",
    `Table already exists: ${T}`,
  ],
])("%s of %j is told %s", async (operation, body, type, message) => {
  const answer = await call(h.port, operation, body);
  expect(answer.status).toBe(400);
  expect(answer.json()).toMatchObject({ __type: expect.stringMatching(`#${type}$`), message });
});

test("a bucket's name of a megabyte is refused at once", async () => {
  const body = { TableArn: arn(T), S3Bucket: `${"a".repeat(1 << 20)}!` };
  const answer = await call(h.port, "ExportTableToPointInTime", body);
  expect(answer.json().message).toContain("2 validation errors detected");
});

test("a policy is of 20 KB at most", async () => {
  const put = (Policy: string) => call(h.port, "PutResourcePolicy", { ResourceArn: arn(T), Policy });
  expect((await put("é".repeat(10_240))).json().message).toContain("This policy contains invalid Json");
  expect((await put(`${"é".repeat(10_240)}.`)).json().message).toBe(
    "One or more parameter values were invalid: Maximum policy size of 20480 bytes exceeded",
  );
});

test("insights that are off may be turned off", async () => {
  const answer = await call(h.port, "UpdateContributorInsights", {
    TableName: T,
    ContributorInsightsAction: "DISABLE",
  });
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual({ TableName: T, ContributorInsightsStatus: "DISABLED" });
});

test.each<[string, object, string]>([
  ["CreateTable", creation, "VectorIndexes"],
  ["CreateTable", creation, "GlobalTableSourceArn"],
  ["CreateTable", creation, "GlobalTableSettingsReplicationMode"],
  ["UpdateTable", { TableName: T }, "VectorIndexUpdates"],
  ["UpdateTable", { TableName: T }, "GlobalTableSettingsReplicationMode"],
  ["UpdateTable", { TableName: T }, "DisassociationProtectionEnabled"],
  ["RestoreTableToPointInTime", { SourceTableName: T, TargetTableName: "brought" }, "VectorIndexOverride"],
])("%s of %j does not leave %s out in silence", async (operation, body, name) => {
  for (const asked of [[{ IndexName: "near" }], true, "ENABLED"]) {
    const answer = await call(h.port, operation, { ...body, [name]: asked });
    expect(answer.json()).toMatchObject({
      __type: expect.stringMatching("#ValidationException$"),
      message: `One or more parameter values were invalid: ${name} is not supported by this store`,
    });
  }
  const nothing = await call(h.port, operation, { ...body, TableName: "no/name", [name]: [] });
  expect(nothing.json().message).not.toContain("not supported by this store");
});
