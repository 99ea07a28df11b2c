import { tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { ApiError, validationError } from "../../api/errors.js";
import { type RestoreTableRequest, restoreTableToPointInTime as shape } from "../../api/requests/tables.js";
import { tableArn, tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const restoreTableToPointInTime: Operation<RestoreTableRequest> = {
  shape,
  async run(request, { backend, nowMs }) {
    const latest = request.UseLatestRestorableTime === true;
    if (latest === (request.RestoreDateTime !== undefined)) throw validationError(controlMessages.restoreTimeChoice);
    const latestMs = nowMs();
    const untilMs = latest ? latestMs : Math.round((request.RestoreDateTime as number) * 1000);
    // What is yet to come cannot be restored: a table built now would lack the writes of the time until then.
    if (!Number.isSafeInteger(untilMs) || untilMs > latestMs) throw new ApiError("InvalidRestoreTimeException");
    const { TargetTableName: target } = request;
    const source = sourceOf(request);
    const table = await backend.restoreTable({ source, target, untilMs, overrides: request });
    return {
      TableDescription: {
        ...tableDescription(table),
        RestoreSummary: {
          SourceTableArn: tableArn(source),
          RestoreDateTime: untilMs / 1000,
          RestoreInProgress: table.status === "CREATING",
        },
      },
    };
  },
};

/** By its name or by its ARN; by both, where they say the same. */
function sourceOf({ SourceTableName: name, SourceTableArn: arn }: RestoreTableRequest): string {
  const named = arn === undefined ? name : tableOfArn(arn);
  if (named === undefined || (name !== undefined && name !== named)) {
    throw validationError(controlMessages.restoreSourceChoice);
  }
  return named;
}
