/** Backups: moments of tables that are kept, also when the table is gone. */

import { ApiError, validationError } from "../errors.js";
import { asIndexKey, describedKey } from "../key-schema.js";
import { messages } from "../messages.js";
import type { RestoreOrigin, Sizes, TableRecord } from "../model.js";
import { tableArn, tableDescription } from "../tables.js";
import { controlMessages } from "./messages.js";

export interface Backup {
  /** Part of its ARN: the moment, and something that is nobody else's. */
  readonly id: string;
  readonly name: string;
  /** The table as it was. */
  readonly table: TableRecord;
  /** The moment (Unix time): everything that was acknowledged before is in it. */
  readonly untilMs: number;
  /** What the table held about then; absent in backups of programs that did not count. */
  readonly sizes?: Sizes;
}

export interface BackupListRequest {
  readonly tableName?: string | undefined;
  /** Behind this one, by id. */
  readonly after?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly limitMax: number;
}

export const BACKUPS_MAX = 1_000;

const BACKUP_ARN = /^arn:aws:dynamodb:[^:]+:\d+:table\/[a-zA-Z0-9_.-]{3,255}\/backup\/(\d{14}-[0-9a-f]{8})$/;

const OTHER_BACKUP_ARN = /^arn:[^:]*:[^:]*:[^:]+:\d+:table\/[a-zA-Z0-9_.-]{3,255}\/backup\/\d{14}-[0-9a-f]{8}$/;

export function backupId(untilMs: number, distinction: string): string {
  return `${String(untilMs).padStart(14, "0")}-${distinction}`;
}

export function backupArn({ id, table }: Backup): string {
  return arnOfBackup(table.name, id);
}

const arnOfBackup = (table: string, id: string): string => `${tableArn(table)}/backup/${id}`;

/** What a table is restored from, as its owner is told. */
export function restoreSummary({ source, backup, untilMs }: RestoreOrigin, inProgress: boolean): object {
  return {
    ...(source !== undefined && { SourceTableArn: tableArn(source) }),
    ...(source !== undefined && backup !== undefined && { SourceBackupArn: arnOfBackup(source, backup) }),
    RestoreDateTime: untilMs / 1000,
    RestoreInProgress: inProgress,
  };
}

/** @throws ValidationException */
export function backupOfArn(arn: string): string {
  const id = BACKUP_ARN.exec(arn)?.[1];
  if (id !== undefined) return id;
  throw validationError(
    OTHER_BACKUP_ARN.test(arn) ? controlMessages.backupArnOfOthers : controlMessages.backupArnInvalid,
  );
}

/** @throws ApiError where there can be none of the table, not yet or not any more */
export function assertKept({ name, status, restore }: Pick<TableRecord, "name" | "status" | "restore">): void {
  if (status === "DELETING" || restore !== undefined)
    throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(name));
  if (status === "CREATING")
    throw new ApiError("ContinuousBackupsUnavailableException", controlMessages.backupsOnTheirWay(name));
  if (status === "ARCHIVED") throw new ApiError("TableInUseException");
}

/** In the order of their moments. */
export function listedBackups<B extends Backup>(
  all: Iterable<B>,
  { tableName, after, fromMs = 0, toMs = Number.POSITIVE_INFINITY, limitMax }: BackupListRequest,
): { backups: B[]; more: boolean } {
  const found = [...all]
    .filter(({ id, table, untilMs }) => {
      if (tableName !== undefined && table.name !== tableName) return false;
      return (after === undefined || id > after) && untilMs >= fromMs && untilMs < toMs;
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return { backups: found.slice(0, limitMax), more: found.length > limitMax };
}

/** Its size is what the table held: a backup is a moment of the archive, and not a copy. */
export function backupDetails(backup: Backup): Record<string, unknown> {
  return {
    BackupArn: backupArn(backup),
    BackupName: backup.name,
    BackupSizeBytes: backup.sizes?.bytes ?? 0,
    BackupStatus: "AVAILABLE",
    BackupType: "USER",
    BackupCreationDateTime: backup.untilMs / 1000,
  };
}

export function backupSummary(backup: Backup): Record<string, unknown> {
  const { name, tableId } = backup.table;
  return { TableName: name, TableId: tableId, TableArn: tableArn(name), ...backupDetails(backup) };
}

export function backupDescription(backup: Backup): Record<string, unknown> {
  const { table } = backup;
  const { OnDemandThroughput: onDemand } = tableDescription(table);
  return {
    BackupDetails: backupDetails(backup),
    SourceTableDetails: {
      TableName: table.name,
      TableId: table.tableId,
      TableArn: tableArn(table.name),
      TableSizeBytes: backup.sizes?.bytes ?? 0,
      ItemCount: backup.sizes?.items ?? 0,
      KeySchema: describedKey(asIndexKey(table.keySchema)),
      TableCreationDateTime: table.createdAtMs / 1000,
      ProvisionedThroughput: {
        ReadCapacityUnits: table.readUnitsPerSecond,
        WriteCapacityUnits: table.writeUnitsPerSecond,
      },
      ...(onDemand !== undefined && { OnDemandThroughput: onDemand }),
      BillingMode: table.billingMode,
    },
    SourceTableFeatureDetails: features(table),
  };
}

/** What a backup tells of a table beside its keys and figures: only what there was. Of indexes, what they are, and not how they are. */
function features(table: TableRecord): Record<string, unknown> {
  const { SSEDescription, StreamSpecification, ...told } = tableDescription(table);
  const { LocalSecondaryIndexes: locals, GlobalSecondaryIndexes: globals } = told as {
    LocalSecondaryIndexes?: readonly DescribedIndex[];
    GlobalSecondaryIndexes?: readonly DescribedIndex[];
  };
  const { timeToLive } = table;
  return {
    ...(locals && { LocalSecondaryIndexes: locals.map(indexInfo) }),
    ...(globals && {
      GlobalSecondaryIndexes: globals.map((index) => ({
        ...indexInfo(index),
        ProvisionedThroughput: unitsOf(index.ProvisionedThroughput),
      })),
    }),
    ...(StreamSpecification !== undefined && { StreamDescription: StreamSpecification }),
    ...(timeToLive?.enabled && {
      TimeToLiveDescription: { TimeToLiveStatus: "ENABLED", AttributeName: timeToLive.attribute },
    }),
    ...(SSEDescription !== undefined && { SSEDescription }),
  };
}

interface DescribedIndex {
  readonly IndexName: string;
  readonly KeySchema: object;
  readonly Projection: object;
  readonly ProvisionedThroughput: { readonly ReadCapacityUnits: number; readonly WriteCapacityUnits: number };
}

const indexInfo = ({ IndexName, KeySchema, Projection }: DescribedIndex) => ({ IndexName, KeySchema, Projection });
const unitsOf = ({ ReadCapacityUnits, WriteCapacityUnits }: DescribedIndex["ProvisionedThroughput"]) => ({
  ReadCapacityUnits,
  WriteCapacityUnits,
});
