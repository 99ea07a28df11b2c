import { restored } from "../../api/control/admission.js";
import { controlMessages } from "../../api/control/messages.js";
import { validationError } from "../../api/errors.js";
import type { TableRecord } from "../../api/model.js";
import {
  DAY_MS,
  describeContinuousBackups as describeShape,
  RECOVERY_DAYS_MAX,
  type UpdateContinuousBackupsRequest,
  updateContinuousBackups as updateShape,
} from "../../api/requests/control.js";
import type { TableNameRequest } from "../../api/requests/tables.js";
import { tableNamed } from "../table-named.js";
import type { Operation } from "./operation.js";

export const describeContinuousBackups: Operation<TableNameRequest> = {
  shape: describeShape,
  async run({ TableName }, { backend, nowMs }) {
    return described(await tableNamed(TableName, backend.describeTable(TableName).then(restored)), nowMs());
  },
};

export const updateContinuousBackups: Operation<UpdateContinuousBackupsRequest> = {
  shape: updateShape,
  async run({ TableName, PointInTimeRecoverySpecification: asked }, { backend, nowMs }) {
    const { PointInTimeRecoveryEnabled: pointInTimeRecovery, RecoveryPeriodInDays } = asked;
    if (!pointInTimeRecovery && RecoveryPeriodInDays !== undefined)
      throw validationError(controlMessages.periodWhileDisabled);
    // Who says nothing of it has all there is.
    const change = pointInTimeRecovery
      ? { pointInTimeRecovery, recoveryDays: RecoveryPeriodInDays ?? RECOVERY_DAYS_MAX }
      : { pointInTimeRecovery };
    return described(await tableNamed(TableName, backend.updateTable(TableName, change)), nowMs());
  },
};

/** How far back, in Unix milliseconds, a table's recovery is said to reach. */
export function earliestRestorableMs({ settings, createdAtMs }: TableRecord, nowMs: number): number {
  return Math.max(createdAtMs, nowMs - (settings?.recoveryDays ?? RECOVERY_DAYS_MAX) * DAY_MS);
}

const DATE_MS_MAX = 8.64e15;
/** A moment in Unix milliseconds, to the second. */
export const shown = (ms: number): string =>
  `${new Date(Math.min(Math.max(ms, -DATE_MS_MAX), DATE_MS_MAX)).toISOString().slice(0, -5)}Z`;

/** Every table is archived from its first write on, so recovery is on unless it was turned off. */
function described(table: TableRecord, nowMs: number): Record<string, unknown> {
  const { settings } = table;
  const enabled = settings?.pointInTimeRecovery ?? true;
  return {
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: "ENABLED",
      PointInTimeRecoveryDescription: {
        PointInTimeRecoveryStatus: enabled ? "ENABLED" : "DISABLED",
        ...(enabled && {
          RecoveryPeriodInDays: settings?.recoveryDays ?? RECOVERY_DAYS_MAX,
          EarliestRestorableDateTime: earliestRestorableMs(table, nowMs) / 1000,
          LatestRestorableDateTime: nowMs / 1000,
        }),
      },
    },
  };
}
