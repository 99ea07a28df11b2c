import { ApiError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import type { TableRecord } from "../../api/model.js";
import {
  describeContinuousBackups as describeShape,
  RECOVERY_DAYS,
  type UpdateContinuousBackupsRequest,
  updateContinuousBackups as updateShape,
} from "../../api/requests/control.js";
import type { TableNameRequest } from "../../api/requests/tables.js";
import type { Operation } from "./operation.js";

const DAY_MS = 86_400_000;

export const describeContinuousBackups: Operation<TableNameRequest> = {
  shape: describeShape,
  async run({ TableName }, { backend, nowMs }) {
    return described(await tableNamed(TableName, backend.describeTable(TableName)), nowMs());
  },
};

export const updateContinuousBackups: Operation<UpdateContinuousBackupsRequest> = {
  shape: updateShape,
  async run({ TableName, PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled } }, { backend, nowMs }) {
    const change = { pointInTimeRecovery: PointInTimeRecoveryEnabled };
    return described(await tableNamed(TableName, backend.updateTable(TableName, change)), nowMs());
  },
};

/** Every table is archived from its first write on, so recovery is on unless it was turned off. */
function described({ settings, createdAtMs }: TableRecord, nowMs: number): Record<string, unknown> {
  const enabled = settings?.pointInTimeRecovery ?? true;
  return {
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: "ENABLED",
      PointInTimeRecoveryDescription: {
        PointInTimeRecoveryStatus: enabled ? "ENABLED" : "DISABLED",
        ...(enabled && {
          RecoveryPeriodInDays: RECOVERY_DAYS,
          EarliestRestorableDateTime: Math.max(createdAtMs, nowMs - RECOVERY_DAYS * DAY_MS) / 1000,
          LatestRestorableDateTime: nowMs / 1000,
        }),
      },
    },
  };
}

/** These operations have a name of their own for a table that is not there. */
async function tableNamed<T>(name: string, answer: Promise<T>): Promise<T> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ApiError && error.type === "ResourceNotFoundException") {
      throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(name));
    }
    throw error;
  });
}
