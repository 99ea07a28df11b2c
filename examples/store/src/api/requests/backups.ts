/** What the operations on backups take. */
import { type RestoreOverrides, restoreOverrides } from "../restores.js";
import { NAME, type Shape, type StructureShape, structure } from "./shapes.js";
import { optionalTableName, tableName } from "./table-parts.js";

/** Whether it is one is looked at later. */
const backupArn: Shape = { type: "string", required: true };

export interface CreateBackupRequest {
  TableName: string;
  BackupName: string;
}

export const createBackup: StructureShape = structure("CreateBackupInput", {
  TableName: tableName,
  BackupName: { type: "string", required: true, lengthMin: 3, lengthMax: 255, pattern: NAME, patternFirst: true },
});

export interface BackupArnRequest {
  BackupArn: string;
}

export const describeBackup: StructureShape = structure("DescribeBackupInput", { BackupArn: backupArn });

export const deleteBackup: StructureShape = structure("DeleteBackupInput", { BackupArn: backupArn });

export interface ListBackupsRequest {
  TableName?: string;
  Limit?: number;
  ExclusiveStartBackupArn?: string;
  /** Unix time in seconds, with fractions. */
  TimeRangeLowerBound?: number;
  TimeRangeUpperBound?: number;
  BackupType?: "USER" | "SYSTEM" | "AWS_BACKUP" | "ALL";
}

export const LIST_BACKUPS_MAX = 100;

export const listBackups: StructureShape = structure("ListBackupsInput", {
  TableName: optionalTableName,
  Limit: { type: "integer", wire: "Integer", min: 1, max: LIST_BACKUPS_MAX },
  ExclusiveStartBackupArn: { type: "string", lengthMin: 37, lengthMax: 1024 },
  TimeRangeLowerBound: { type: "timestamp" },
  TimeRangeUpperBound: { type: "timestamp" },
  BackupType: { type: "string", oneOf: ["USER", "SYSTEM", "AWS_BACKUP", "ALL"] },
});

export interface RestoreFromBackupRequest extends RestoreOverrides {
  TargetTableName: string;
  BackupArn: string;
}

export const restoreTableFromBackup: StructureShape = structure("RestoreTableFromBackupInput", {
  /** Its length is told in words of its own, later. */
  TargetTableName: { type: "string", required: true, pattern: /^[a-zA-Z0-9_.-]*$/ },
  BackupArn: backupArn,
  ...restoreOverrides,
});
