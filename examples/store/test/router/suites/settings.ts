import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeContinuousBackupsCommand,
  DescribeEndpointsCommand,
  DescribeLimitsCommand,
  DescribeTableCommand,
  ListTagsOfResourceCommand,
  RestoreTableToPointInTimeCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateContinuousBackupsCommand,
  UpdateTableCommand,
  type UpdateTableCommandInput,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { soon } from "../../support/store.js";
import { call, type Subject } from "../harness.js";

const MISSING = "arn:aws:dynamodb:local:000000000000:table/nowhere";

/** What can be said of a table and changed while it is used, whatever stands behind the router. */
export function settingsSuite(h: Subject, prefix: string): void {
  const create = async (name: string, more: object = {}): Promise<{ TableName: string; arn: string }> => {
    const TableName = `${prefix}-${name}`;
    await h.client.send(
      new CreateTableCommand({
        TableName,
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5 },
        ...more,
      }),
    );
    await waitUntilTableExists({ client: h.client, ...soon }, { TableName });
    const arn = (await h.client.send(new DescribeTableCommand({ TableName }))).Table?.TableArn as string;
    return { TableName, arn };
  };
  const update = async (input: UpdateTableCommandInput) =>
    (await h.client.send(new UpdateTableCommand(input))).TableDescription;

  describe("a table's settings", () => {
    it("are its throughput and how it is billed", async () => {
      const { TableName } = await create("billed");
      const begun = await update({
        TableName,
        ProvisionedThroughput: { ReadCapacityUnits: 20, WriteCapacityUnits: 4 },
      });
      expect(begun).toMatchObject({
        TableStatus: "UPDATING",
        ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5, LastIncreaseDateTime: expect.any(Date) },
        WarmThroughput: { ReadUnitsPerSecond: 10, WriteUnitsPerSecond: 5, Status: "ACTIVE" },
      });
      const raised = (await h.client.send(new DescribeTableCommand({ TableName }))).Table;
      expect(raised?.TableStatus).toBe("ACTIVE");
      expect(raised?.ProvisionedThroughput).toMatchObject({
        ReadCapacityUnits: 20,
        WriteCapacityUnits: 4,
        LastIncreaseDateTime: expect.any(Date),
        LastDecreaseDateTime: expect.any(Date),
      });
      expect(raised?.BillingModeSummary).toBeUndefined();
      const onDemand = await update({ TableName, BillingMode: "PAY_PER_REQUEST" });
      // It is under way: since when it is so is told when it is.
      expect(onDemand).toMatchObject({ TableStatus: "UPDATING" });
      expect(onDemand?.BillingModeSummary).toEqual({ BillingMode: "PAY_PER_REQUEST" });
      expect(onDemand?.WarmThroughput).toMatchObject({ ReadUnitsPerSecond: 20, WriteUnitsPerSecond: 5 });
      const switched = (await h.client.send(new DescribeTableCommand({ TableName }))).Table;
      expect(switched).toMatchObject({ TableStatus: "ACTIVE" });
      expect(onDemand?.ProvisionedThroughput).toMatchObject({
        ReadCapacityUnits: 0,
        WriteCapacityUnits: 0,
        LastDecreaseDateTime: expect.any(Date),
      });
      // That it has no units any more is no decrease of them, nor is it an increase when it has some again.
      const {
        ReadCapacityUnits: _reads,
        WriteCapacityUnits: _writes,
        ...history
      } = raised?.ProvisionedThroughput ?? {};
      expect(switched?.ProvisionedThroughput).toMatchObject(history);
      const again = await update({
        TableName,
        BillingMode: "PROVISIONED",
        ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
      });
      expect(again?.BillingModeSummary).toEqual({
        BillingMode: "PROVISIONED",
        LastUpdateToPayPerRequestDateTime: switched?.BillingModeSummary?.LastUpdateToPayPerRequestDateTime,
      });
      const { Table } = await h.client.send(new DescribeTableCommand({ TableName }));
      expect({ ...Table, TableStatus: "UPDATING" }).toEqual(again);
      expect(Table?.ProvisionedThroughput).toMatchObject(history);
    });

    it("are what it may take on demand, and what it is warm for", async () => {
      const { TableName } = await create("on-demand", {
        ProvisionedThroughput: undefined,
        BillingMode: "PAY_PER_REQUEST",
        OnDemandThroughput: { MaxReadRequestUnits: 1000, MaxWriteRequestUnits: 500 },
      });
      const described = async () => (await h.client.send(new DescribeTableCommand({ TableName }))).Table;
      const initial = { ReadUnitsPerSecond: 12_000, WriteUnitsPerSecond: 4_000, Status: "ACTIVE" };
      expect(await described()).toMatchObject({
        OnDemandThroughput: { MaxReadRequestUnits: 1000, MaxWriteRequestUnits: 500 },
        WarmThroughput: initial,
      });
      const onDemand = async (OnDemandThroughput: UpdateTableCommandInput["OnDemandThroughput"]) =>
        (await update({ TableName, OnDemandThroughput }))?.OnDemandThroughput;
      expect(await onDemand({ MaxReadRequestUnits: -1 })).toEqual({
        MaxReadRequestUnits: -1,
        MaxWriteRequestUnits: 500,
      });
      expect((await described())?.OnDemandThroughput).toEqual({ MaxWriteRequestUnits: 500 });
      expect(await onDemand({ MaxWriteRequestUnits: -1 })).toEqual({ MaxWriteRequestUnits: -1 });
      const neither = { MaxReadRequestUnits: -1, MaxWriteRequestUnits: -1 };
      expect(await onDemand(neither)).toEqual(neither);
      expect((await described())?.OnDemandThroughput).toBeUndefined();
      expect(await onDemand({ MaxReadRequestUnits: 300 })).toEqual({ MaxReadRequestUnits: 300 });
      const WarmThroughput = { ReadUnitsPerSecond: 13_000, WriteUnitsPerSecond: 4_000 };
      expect(await update({ TableName, WarmThroughput })).toMatchObject({
        TableStatus: "ACTIVE",
        WarmThroughput: { ...initial, Status: "UPDATING" },
      });
      expect((await described())?.WarmThroughput).toEqual({ ...WarmThroughput, Status: "ACTIVE" });
      // Under figures there is no maximum, and what was warm stays so.
      await update({
        TableName,
        BillingMode: "PROVISIONED",
        ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
      });
      const provisioned = await described();
      expect(provisioned?.OnDemandThroughput).toBeUndefined();
      expect(provisioned?.WarmThroughput).toMatchObject(WarmThroughput);
    });

    it("are the key that it is encrypted with, as far as is said", async () => {
      const { TableName } = await create("encrypted", { SSESpecification: { Enabled: true } });
      const described = async () =>
        (await h.client.send(new DescribeTableCommand({ TableName }))).Table?.SSEDescription;
      expect(await described()).toEqual({
        Status: "ENABLED",
        SSEType: "KMS",
        KMSMasterKeyArn: "arn:aws:kms:local:000000000000:alias/aws/dynamodb",
      });
      const key = "arn:aws:kms:local:000000000000:alias/aws/dynamodb";
      // Only the key's own ARN is known again.
      for (const said of [{ Enabled: true }, { SSEType: "KMS" as const }, { Enabled: true, SSEType: "KMS" as const }])
        expect((await update({ TableName, SSESpecification: said }))?.SSEDescription?.Status).toBe("UPDATING");
      const other = await update({ TableName, SSESpecification: { SSEType: "KMS", KMSMasterKeyId: "other" } });
      expect(other?.SSEDescription).toEqual({ Status: "UPDATING", SSEType: "KMS", KMSMasterKeyArn: key });
      await update({ TableName, SSESpecification: { Enabled: true } });
      await expect(
        update({ TableName, SSESpecification: { Enabled: true, SSEType: "KMS", KMSMasterKeyId: key } }),
      ).rejects.toMatchObject({
        message:
          "One or more parameter values were invalid: Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key",
      });
      const ending = await update({ TableName, SSESpecification: { Enabled: false } });
      expect(ending?.SSEDescription).toMatchObject({ Status: "UPDATING", SSEType: "KMS" });
      expect(await described()).toBeUndefined();
      // Of a key that it is yet to have nothing is told.
      const beginning = await update({ TableName, SSESpecification: { Enabled: true } });
      expect(beginning?.SSEDescription).toEqual({ Status: "UPDATING" });
    });

    it("are whether it can be deleted, and its class", async () => {
      const { TableName } = await create("kept", {
        DeletionProtectionEnabled: true,
        TableClass: "STANDARD_INFREQUENT_ACCESS",
      });
      const { Table } = await h.client.send(new DescribeTableCommand({ TableName }));
      expect(Table).toMatchObject({
        DeletionProtectionEnabled: true,
        TableClassSummary: { TableClass: "STANDARD_INFREQUENT_ACCESS" },
      });
      await expect(h.client.send(new DeleteTableCommand({ TableName }))).rejects.toMatchObject({
        name: "ValidationException",
        message:
          "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
      });
      const { TableName: standard } = await create("standard", { TableClass: "STANDARD" });
      const { Table: said } = await h.client.send(new DescribeTableCommand({ TableName: standard }));
      expect(said?.TableClassSummary).toEqual({ TableClass: "STANDARD" });
      const back = await update({ TableName, TableClass: "STANDARD" });
      expect(back).toMatchObject({
        TableStatus: "UPDATING",
        TableClassSummary: { TableClass: "STANDARD_INFREQUENT_ACCESS" },
      });
      const { TableName: plain } = await create("of-no-class");
      await update({ TableName: plain, TableClass: "STANDARD" });
      const { Table: unsaid } = await h.client.send(new DescribeTableCommand({ TableName: plain }));
      expect(unsaid?.TableClassSummary).toBeUndefined();
      const free = await update({ TableName, DeletionProtectionEnabled: false });
      expect(free).toMatchObject({ DeletionProtectionEnabled: false, TableClassSummary: { TableClass: "STANDARD" } });
      await h.client.send(new DeleteTableCommand({ TableName }));
    });

    it("are its tags", async () => {
      const { arn } = await create("tagged", { Tags: [{ Key: "team", Value: "blue" }] });
      await h.client.send(
        new TagResourceCommand({
          ResourceArn: arn,
          Tags: [
            { Key: "team", Value: "red" },
            { Key: "cost", Value: "" },
          ],
        }),
      );
      const list = async () => (await h.client.send(new ListTagsOfResourceCommand({ ResourceArn: arn }))).Tags;
      expect(await list()).toEqual([
        { Key: "team", Value: "red" },
        { Key: "cost", Value: "" },
      ]);
      await h.client.send(new UntagResourceCommand({ ResourceArn: arn, TagKeys: ["team", "never"] }));
      expect(await list()).toEqual([{ Key: "cost", Value: "" }]);
      const Tags = Array.from({ length: 50 }, (_, i) => ({ Key: `k${i}`, Value: "v" }));
      await expect(h.client.send(new TagResourceCommand({ ResourceArn: arn, Tags }))).rejects.toMatchObject({
        name: "ValidationException",
        message: "Number of Tags exceed the current limit for the provided ResourceArn",
      });
    });

    it("are whether it can be taken back to a moment", async () => {
      const { TableName } = await create("recovered");
      const described = async () =>
        (await h.client.send(new DescribeContinuousBackupsCommand({ TableName }))).ContinuousBackupsDescription
          ?.PointInTimeRecoveryDescription;
      expect(await described()).toMatchObject({
        PointInTimeRecoveryStatus: "ENABLED",
        EarliestRestorableDateTime: expect.any(Date),
        LatestRestorableDateTime: expect.any(Date),
      });
      const turn = (PointInTimeRecoveryEnabled: boolean) =>
        h.client.send(
          new UpdateContinuousBackupsCommand({
            TableName,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled },
          }),
        );
      await turn(false);
      expect(await described()).toEqual({ PointInTimeRecoveryStatus: "DISABLED" });
      const restore = new RestoreTableToPointInTimeCommand({
        SourceTableName: TableName,
        TargetTableName: `${TableName}-2`,
        UseLatestRestorableTime: true,
      });
      await expect(h.client.send(restore)).rejects.toMatchObject({
        name: "PointInTimeRecoveryUnavailableException",
        message: `Point in time recovery is not enabled for table '${TableName}'`,
      });
      await turn(true);
      expect(await described()).toMatchObject({ PointInTimeRecoveryStatus: "ENABLED", RecoveryPeriodInDays: 35 });
      const PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 7 };
      await h.client.send(new UpdateContinuousBackupsCommand({ TableName, PointInTimeRecoverySpecification }));
      expect(await described()).toMatchObject({ RecoveryPeriodInDays: 7 });
      await expect(h.client.send(new DescribeContinuousBackupsCommand({ TableName: "nowhere" }))).rejects.toMatchObject(
        { name: "TableNotFoundException", message: "Table not found: nowhere" },
      );
    });

    it.each<[string, object, string]>([
      [
        "UpdateTable",
        {},
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
      ],
      [
        "UpdateTable",
        { BillingMode: "PROVISIONED" },
        "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
      ],
      [
        "UpdateTable",
        { BillingMode: "PAY_PER_REQUEST", ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } },
        "One or more parameter values were invalid: ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
      ],
      [
        "UpdateTable",
        { ProvisionedThroughput: { ReadCapacityUnits: 1_000_000_000_001, WriteCapacityUnits: 1 } },
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
      ],
      [
        "UpdateTable",
        { ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 5 } },
        "The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 10. Requested ReadCapacityUnits: 10. Current WriteCapacityUnits provisioned for the table: 5. Requested WriteCapacityUnits: 5. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
      ],
      ...[
        ...(
          [
            [{ DeletionProtectionEnabled: true, BillingMode: "PAY_PER_REQUEST" }, "DeletionProtection"],
            [{ DeletionProtectionEnabled: true, TableClass: "STANDARD" }, "TableClass"],
            [{ DeletionProtectionEnabled: true, SSESpecification: { Enabled: true } }, "Server-Side Encryption"],
            [{ TableClass: "STANDARD", SSESpecification: { Enabled: true } }, "Server-Side Encryption"],
          ] as [object, string][]
        ).map(([body, what]): [object, string] => [
          body,
          `${what} modification must be the only operation in the request`,
        ]),
        [
          { GlobalSecondaryIndexUpdates: [], DeletionProtectionEnabled: true },
          "List of GlobalSecondaryIndexUpdates is empty",
        ],
        [
          { SSESpecification: { Enabled: true }, BillingMode: "PAY_PER_REQUEST" },
          "Server-Side Encryption modification must be the only operation in the request",
        ],
        [
          {
            ProvisionedThroughput: { ReadCapacityUnits: 11, WriteCapacityUnits: 5 },
            StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
          },
          "You cannot modify stream status while updating table IOPS",
        ],
        [
          { WarmThroughput: { ReadUnitsPerSecond: 9, WriteUnitsPerSecond: 5 } },
          "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported",
        ],
        [
          { OnDemandThroughput: { MaxWriteRequestUnits: 0 } },
          "MaxWriteRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED",
        ],
        [
          { BillingMode: "PAY_PER_REQUEST", OnDemandThroughput: { MaxReadRequestUnits: 0 } },
          "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
        ],
        [
          {
            TableClass: "STANDARD",
            GlobalSecondaryIndexUpdates: [{ Update: { IndexName: "ghost", WarmThroughput: {} } }],
          },
          "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: ghost",
        ],
        [{ SSESpecification: { Enabled: false } }, "Table is already encrypted by default"],
        [
          { SSESpecification: { Enabled: false, SSEType: "KMS", KMSMasterKeyId: "k" } },
          "SSEType can not be specified if Enabled is false",
        ],
        [
          { SSESpecification: { Enabled: true, KMSMasterKeyId: "k" } },
          "SSEType KMS is required if KMSMasterKeyId is specified",
        ],
      ].map(
        ([body, message]) =>
          ["UpdateTable", body, `One or more parameter values were invalid: ${message}`] as [string, object, string],
      ),
      ["TagResource", {}, "Invalid TableArn"],
      ["UntagResource", {}, "Invalid TableArn"],
      [
        "TagResource",
        { ResourceArn: MISSING },
        "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null",
      ],
      ...["d%g", "hi!", '"', "", "x".repeat(129)].map((Key): [string, object, string] => [
        "TagResource",
        { ResourceArn: MISSING, Tags: [{ Key, Value: "#" }] },
        `The Tag Key provided is invalid, Key: ${Key}`,
      ]),
      [
        "TagResource",
        { ResourceArn: MISSING, Tags: [{ Key: "אѮ 7_.:/=+-@", Value: "a#" }] },
        "The Tag Value provided is invalid, Value: a#",
      ],
      [
        "TagResource",
        { ResourceArn: "arn:aws:dynamodb:local:000000000000:index/x", Tags: [] },
        "Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:local:000000000000:index/x",
      ],
      ["TagResource", { ResourceArn: MISSING, Tags: [] }, "Atleast one Tag needs to be provided as Input."],
      [
        "TagResource",
        { ResourceArn: `${MISSING}/backup/01791504762511-2779fadd`, Tags: [] },
        `One or more parameter values were invalid: Provided Arn is not a DynamoDB resource arn: ${MISSING}/backup/01791504762511-2779fadd`,
      ],
      [
        "UntagResource",
        { ResourceArn: MISSING, TagKeys: ["aws:of-theirs"] },
        "Tag Key cannot be prefixed with aws:, Key: aws:of-theirs",
      ],
      [
        "UntagResource",
        { ResourceArn: MISSING, TagKeys: Array.from({ length: 51 }, (_, i) => `k${i}`) },
        "Number of Tags exceed the current limit for the provided ResourceArn",
      ],
      ["UntagResource", { ResourceArn: MISSING, TagKeys: [] }, "Atleast one Tag Key needs to be provided as Input."],
      [
        "ListTagsOfResource",
        { ResourceArn: `${MISSING}/stream/2026-01-01T00:00:00.000` },
        `Requested resource not found: ResourceArn: ${MISSING}/stream/2026-01-01T00:00:00.000 not found`,
      ],
      [
        "ListTagsOfResource",
        { ResourceArn: MISSING },
        `Requested resource not found: ResourceArn: ${MISSING} not found`,
      ],
    ])("%s with %j is refused", async (operation, body, message) => {
      const TableName = `${prefix}-still`;
      if (operation === "UpdateTable") await create("still").catch(() => {});
      const answer = await call(h.port, operation, { TableName, ...body });
      expect(answer.json()).toMatchObject({ message });
    });
  });

  it("an account is told its limits and where to ask", async () => {
    expect(await h.client.send(new DescribeLimitsCommand({}))).toMatchObject({
      TableMaxReadCapacityUnits: 40_000,
      AccountMaxWriteCapacityUnits: 80_000,
    });
    const { Endpoints } = await h.client.send(new DescribeEndpointsCommand({}));
    expect(Endpoints).toEqual([{ Address: `127.0.0.1:${h.port}`, CachePeriodInMinutes: 1440 }]);
  });
}
