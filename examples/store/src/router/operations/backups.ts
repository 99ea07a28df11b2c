import {
  backupArn,
  backupDescription,
  backupDetails,
  backupOfArn,
  backupSummary,
  restoreSummary,
} from "../../api/control/backups.js";
import { controlMessages } from "../../api/control/messages.js";
import { assertNameLength } from "../../api/control/names.js";
import { ApiError, validationError } from "../../api/errors.js";
import {
  type BackupArnRequest,
  type CreateBackupRequest,
  createBackup as createShape,
  deleteBackup as deleteShape,
  describeBackup as describeShape,
  LIST_BACKUPS_MAX,
  type ListBackupsRequest,
  listBackups as listShape,
  type RestoreFromBackupRequest,
  restoreTableFromBackup as restoreShape,
} from "../../api/requests/backups.js";
import { tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const createBackup: Operation<CreateBackupRequest> = {
  shape: createShape,
  async run({ TableName: tableName, BackupName: name }, { backend, nowMs }) {
    const backup = await backend.createBackup({ tableName, name, untilMs: nowMs() });
    // The service answers when it has begun, and this store when it is done.
    return { BackupDetails: { ...backupDetails(backup), BackupStatus: "CREATING" } };
  },
};

export const describeBackup: Operation<BackupArnRequest> = {
  shape: describeShape,
  async run({ BackupArn: arn }, { backend }) {
    return { BackupDescription: backupDescription(await found(arn, backend.describeBackup(backupOfArn(arn)))) };
  },
};

export const deleteBackup: Operation<BackupArnRequest> = {
  shape: deleteShape,
  async run({ BackupArn: arn }, { backend }) {
    const description = backupDescription(await found(arn, backend.deleteBackup(backupOfArn(arn))));
    const details = { ...(description.BackupDetails as object), BackupStatus: "DELETED" };
    return { BackupDescription: { ...description, BackupDetails: details } };
  },
};

export const listBackups: Operation<ListBackupsRequest> = {
  shape: listShape,
  async run(request, { backend }) {
    const { TableName: tableName, ExclusiveStartBackupArn: start, BackupType: type = "USER" } = request;
    // Others than users make none here.
    if (type !== "USER" && type !== "ALL") return { BackupSummaries: [] };
    const { TimeRangeLowerBound: from, TimeRangeUpperBound: to } = request;
    if (from !== undefined && to !== undefined && from > to) throw validationError(controlMessages.backupRangeEmpty);
    const inMs = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);
    const { backups, more } = await backend.listBackups({
      tableName,
      after: start === undefined ? undefined : backupOfArn(start),
      fromMs: inMs(from),
      toMs: inMs(to),
      limitMax: request.Limit ?? LIST_BACKUPS_MAX,
    });
    const last = backups.at(-1);
    return {
      BackupSummaries: backups.map(backupSummary),
      ...(more && last && { LastEvaluatedBackupArn: backupArn(last) }),
    };
  },
};

export const restoreTableFromBackup: Operation<RestoreFromBackupRequest> = {
  shape: restoreShape,
  async run(request, { backend }) {
    const { BackupArn: arn, TargetTableName: target } = request;
    assertNameLength("TableName", target);
    const id = backupOfArn(arn);
    const backup = await found(arn, backend.describeBackup(id));
    const table = await found(arn, backend.restoreBackup({ backup, target, overrides: request }), target);
    return {
      TableDescription: {
        ...tableDescription(table),
        RestoreSummary: restoreSummary(
          { source: backup.table.name, backup: id, untilMs: backup.untilMs },
          table.status === "CREATING",
        ),
      },
    };
  },
};

/** What is not there, or is not free, is told by the ARN that was asked for. */
async function found<T>(arn: string, answer: Promise<T>, target = ""): Promise<T> {
  return await answer.catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    if (error.type === "BackupNotFoundException") throw new ApiError(error.type, controlMessages.backupNotFound(arn));
    if (error.type === "BackupInUseException") throw new ApiError(error.type, controlMessages.backupInUse(arn));
    if (error.type === "TableInUseException")
      throw new ApiError(error.type, controlMessages.alreadyRestored(target, arn));
    throw error;
  });
}
