import { tableOfArn } from "../../api/control/arns.js";
import { restoreSummary } from "../../api/control/backups.js";
import { controlMessages } from "../../api/control/messages.js";
import { ApiError, validationError } from "../../api/errors.js";
import type { TableRecord } from "../../api/model.js";
import { type RestoreTableRequest, restoreTableToPointInTime as shape } from "../../api/requests/tables.js";
import { tableDescription } from "../../api/tables.js";
import { tableNamed } from "../table-named.js";
import { earliestRestorableMs, shown } from "./continuous-backups.js";
import type { Operation } from "./operation.js";

export const restoreTableToPointInTime: Operation<RestoreTableRequest> = {
  shape,
  async run(request, { backend, nowMs }) {
    const { TargetTableName: target, RestoreDateTime: at, UseLatestRestorableTime: latest = false } = request;
    const source = sourceOf(request);
    if (latest && at !== undefined) throw validationError(controlMessages.restoreTimeTwice);
    if (!latest && at === undefined) throw validationError(controlMessages.restoreTimeChoice);
    const from = await tableNamed(request.SourceTableName, backend.describeTable(source));
    if (from.settings?.pointInTimeRecovery === false)
      throw new ApiError("PointInTimeRecoveryUnavailableException", controlMessages.withoutRecovery(source));
    const latestMs = nowMs();
    const untilMs = at === undefined ? latestMs : Math.round(at * 1000);
    // What is yet to come cannot be restored: a table built now would lack the writes of the time until then.
    if (!Number.isSafeInteger(untilMs) || untilMs > latestMs || untilMs < earliestOf(from, latestMs))
      throw new ApiError(
        "InvalidRestoreTimeException",
        controlMessages.restoreTimeOutside(
          shown(untilMs),
          shown(earliestRestorableMs(from, latestMs)),
          shown(latestMs),
        ),
      );
    const table = await backend.restoreTable({ source, target, untilMs, latest, overrides: request });
    return {
      TableDescription: {
        ...tableDescription(table),
        RestoreSummary: restoreSummary(table.restore ?? { source, untilMs }, table.status === "CREATING"),
      },
    };
  },
};

/** Where nothing was said of it, as far back as the archive reaches, which is known where it is read. */
const earliestOf = (table: TableRecord, nowMs: number): number =>
  table.settings?.recoveryDays === undefined ? table.createdAtMs : earliestRestorableMs(table, nowMs);

/** By its name or by its ARN. @throws ValidationException */
function sourceOf({ SourceTableName: name, SourceTableArn: arn }: RestoreTableRequest): string {
  if (arn === undefined) {
    if (name === undefined) throw validationError(controlMessages.restoreSourceMissing);
    return name;
  }
  if (name !== undefined) throw validationError(controlMessages.restoreSourceChoice);
  return tableOfArn(arn);
}
