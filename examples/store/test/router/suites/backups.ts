import {
  CreateBackupCommand,
  DeleteBackupCommand,
  DeleteTableCommand,
  DescribeBackupCommand,
  DescribeTableCommand,
  ListBackupsCommand,
  PutItemCommand,
  RestoreTableFromBackupCommand,
  ScanCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { soon } from "../../support/store.js";
import { call, createTable, type Subject } from "../harness.js";

/** Backups, whatever stands behind the router. */
export function backupsSuite(h: Subject, TableName: string): void {
  const put = (id: string, v: string) =>
    h.client.send(new PutItemCommand({ TableName, Item: { id: { S: id }, v: { S: v } } }));
  const contents = async (name: string) => {
    const { Items = [] } = await h.client.send(new ScanCommand({ TableName: name, ConsistentRead: true }));
    return new Map(Items.map((item) => [item.id?.S, item.v?.S]));
  };
  const backUp = async (BackupName: string) => {
    const { BackupDetails } = await h.client.send(new CreateBackupCommand({ TableName, BackupName }));
    // It has begun, as the service answers, and is there when it is asked for.
    expect(BackupDetails?.BackupStatus).toBe("CREATING");
    return BackupDetails?.BackupArn as string;
  };

  describe("a backup", () => {
    it("keeps a table as it was, also when the table is gone", async () => {
      await createTable(h, {
        TableName,
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        ProvisionedThroughput: { ReadCapacityUnits: 100, WriteCapacityUnits: 90 },
        SSESpecification: { Enabled: true },
      });
      for (let i = 0; i < 10; i++) await put(`i${i}`, "first");
      const wanted = await contents(TableName);
      const arn = await backUp("before");
      // A moment is a millisecond: what is written within the same one may be part of it.
      const now = Date.now();
      while (Date.now() <= now) await new Promise((resolve) => setTimeout(resolve, 1));
      await put("i3", "a mistake");
      const later = await backUp("after");

      const described = await h.client.send(new DescribeBackupCommand({ BackupArn: arn }));
      expect(described.BackupDescription).toMatchObject({
        BackupDetails: { BackupArn: arn, BackupName: "before", BackupStatus: "AVAILABLE", BackupType: "USER" },
        SourceTableDetails: {
          TableName,
          KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
          ProvisionedThroughput: { ReadCapacityUnits: 100, WriteCapacityUnits: 90 },
          BillingMode: "PROVISIONED",
        },
      });
      expect(described.BackupDescription?.SourceTableFeatureDetails).toEqual({
        SSEDescription: { Status: "ENABLED", SSEType: "KMS", KMSMasterKeyArn: expect.any(String) },
      });
      const first = await h.client.send(new ListBackupsCommand({ TableName, Limit: 1 }));
      expect(first).toMatchObject({ BackupSummaries: [{ BackupArn: arn, TableName }], LastEvaluatedBackupArn: arn });
      const second = await h.client.send(new ListBackupsCommand({ TableName, ExclusiveStartBackupArn: arn }));
      expect(second.BackupSummaries?.map(({ BackupName }) => BackupName)).toEqual(["after"]);
      expect(second.LastEvaluatedBackupArn).toBeUndefined();

      await h.client.send(new DeleteTableCommand({ TableName }));
      await waitUntilTableNotExists({ client: h.client, ...soon }, { TableName });
      const target = `${TableName}-again`;
      const restored = await h.client.send(
        new RestoreTableFromBackupCommand({ BackupArn: arn, TargetTableName: target }),
      );
      expect(restored.TableDescription).toMatchObject({
        TableName: target,
        RestoreSummary: { SourceBackupArn: arn },
        ProvisionedThroughput: { WriteCapacityUnits: 90 },
      });
      await waitUntilTableExists({ client: h.client, ...soon }, { TableName: target });
      expect(await contents(target)).toEqual(wanted);
      const { Table } = await h.client.send(new DescribeTableCommand({ TableName: target }));
      expect(Table?.RestoreSummary).toEqual({
        ...restored.TableDescription?.RestoreSummary,
        RestoreInProgress: false,
      });

      const { BackupDescription } = await h.client.send(new DeleteBackupCommand({ BackupArn: later }));
      expect(BackupDescription?.BackupDetails?.BackupStatus).toBe("DELETED");
      await expect(h.client.send(new DescribeBackupCommand({ BackupArn: later }))).rejects.toMatchObject({
        name: "BackupNotFoundException",
        message: `Backup not found: ${later}`,
      });
      await expect(
        h.client.send(new RestoreTableFromBackupCommand({ BackupArn: arn, TargetTableName: target })),
      ).rejects.toMatchObject({ name: "TableAlreadyExistsException" });
      await expect(backUp("never")).rejects.toMatchObject({
        name: "TableNotFoundException",
        message: `Table not found: ${TableName}`,
      });
    });

    it("is named as it was, or not found", async () => {
      const BackupArn = "arn:aws:dynamodb:local:000000000000:table/x/backup/y";
      expect((await call(h.port, "DescribeBackup", { BackupArn })).json()).toEqual({
        __type: "com.amazon.coral.validate#ValidationException",
        message: "Invalid Backup ARN",
      });
      const elsewhere = "arn:aws-cn:dynamodb:local:000000000000:table/source/backup/01791504762511-2779fadd";
      expect((await call(h.port, "DeleteBackup", { BackupArn: elsewhere })).json().message).toBe(
        "Invalid Request: BackupArn is not valid",
      );
      const range = { TimeRangeLowerBound: 0, TimeRangeUpperBound: 1 };
      expect((await call(h.port, "ListBackups", range)).json()).toEqual({ BackupSummaries: [] });
      const backwards = { TimeRangeLowerBound: 2, TimeRangeUpperBound: 1 };
      expect((await call(h.port, "ListBackups", backwards)).json()).toMatchObject({
        message:
          "One or more parameter values were invalid: Time range lower bound must be less than or equal to upper bound",
      });
      expect((await call(h.port, "ListBackups", { BackupType: "SYSTEM" })).json()).toEqual({ BackupSummaries: [] });
    });
  });
}
