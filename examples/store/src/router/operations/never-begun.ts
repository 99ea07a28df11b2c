/**
 * What would begin what there is none of here: policies, insights, replicas, Kinesis destinations, exports, imports. A request is looked at as far as the service looks at it
 * before it begins (limits, the table, its state), so that what is wrong with it is told first; one that is right is told what this store does not have.
 */
import { being } from "../../api/control/admission.js";
import { tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { ApiError, validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import {
  type DestinationRequest,
  type ExportPeriod,
  type ExportRequest,
  exportTableToPointInTime as exportShape,
  type ImportRequest,
  importTable as importShape,
  updateContributorInsights as insightsShape,
  type PutPolicyRequest,
  putResourcePolicy as policyShape,
  streamingDestination,
  type UpdateInsightsRequest,
} from "../../api/requests/never-begun.js";
import { tableDefinition } from "../../api/tables.js";
import { utf8Bytes } from "../../api/text.js";
import type { Backend } from "../backend.js";
import { tableNamed } from "../table-named.js";
import { noRevision, ownerOfPolicies, withIndex } from "./absent.js";
import { earliestRestorableMs, shown } from "./continuous-backups.js";
import type { AnyOperation, Operation } from "./operation.js";

/** What a revision is called of a policy that is not there yet. */
const NO_POLICY = "NO_POLICY";
const POLICY_BYTES_MAX = 20_480;

const putResourcePolicy: Operation<PutPolicyRequest> = {
  shape: policyShape,
  async run({ ResourceArn: arn, Policy: policy, ExpectedRevisionId: revision = NO_POLICY }, { backend }) {
    const owner = await ownerOfPolicies(arn, backend);
    if (revision !== NO_POLICY) throw noRevision(revision, owner);
    if (utf8Bytes(policy) > POLICY_BYTES_MAX) throw validationError(controlMessages.policyTooLarge(POLICY_BYTES_MAX));
    const problem = policyProblem(policy);
    if (problem !== undefined) throw validationError(controlMessages.policyInvalid(problem));
    throw validationError(controlMessages.noPolicies);
  },
};

/** As far as the service's words for it are known. */
function policyProblem(policy: string): string | undefined {
  let read: unknown;
  try {
    read = JSON.parse(policy);
  } catch {
    return controlMessages.policyNoJson;
  }
  if (read === null) return controlMessages.policyNone;
  if (typeof read !== "object" || Array.isArray(read)) return controlMessages.policyNoJson;
  const { Statement: statements } = read as { Statement?: unknown };
  if (Object.keys(read).length === 0) return controlMessages.policyEmpty;
  if (!Array.isArray(statements)) return undefined;
  if (statements.length === 0) return controlMessages.policyWithoutStatements;
  return statements.some((one) => one?.Effect === undefined) ? controlMessages.policyWithoutEffect : undefined;
}

/** They are off: to have them turned off is to have them as they are. */
const updateContributorInsights: Operation<UpdateInsightsRequest> = {
  shape: insightsShape,
  async run({ ContributorInsightsAction: action, ...of }, { backend }) {
    const { status, index } = await withIndex(of, backend);
    if (action === "ENABLE") {
      if (status === "CREATING" || status === "DELETING")
        throw validationError(controlMessages.insightsNotNow("Table"));
      if (index !== undefined && index.status !== "ACTIVE")
        throw validationError(controlMessages.insightsNotNow("Index"));
      throw validationError(controlMessages.noInsights);
    }
    const { TableName, IndexName } = of;
    return { TableName, ...(IndexName && { IndexName }), ContributorInsightsStatus: "DISABLED" };
  },
};

async function usable(name: string, backend: Backend): Promise<void> {
  const { status } = await backend.describeTable(name);
  if (status === "CREATING" || status === "DELETING")
    throw new ApiError("ResourceInUseException", controlMessages.tableBeing(being(status), name));
}

const destination = (
  name: string,
  configuration: string,
  message: (request: DestinationRequest) => string,
): Operation<DestinationRequest> => ({
  shape: streamingDestination(name, configuration),
  async run(request, { backend }) {
    await usable(request.TableName, backend);
    throw validationError(message(request));
  },
});

const exportTableToPointInTime: Operation<ExportRequest> = {
  shape: exportShape,
  async run(request, { backend, nowMs }) {
    const { TableArn: arn, ExportTime: time } = request;
    const period = periodOf(request);
    const name = exportedTable(arn);
    const table = await tableNamed(arn, backend.describeTable(name));
    const isRecoverable = table.settings?.pointInTimeRecovery !== false;
    const now = nowMs();
    const earliestMs = isRecoverable ? earliestRestorableMs(table, now) : Number.POSITIVE_INFINITY;
    if (period !== undefined) assertExportable(period, earliestMs, now);
    if (!isRecoverable)
      throw new ApiError("PointInTimeRecoveryUnavailableException", controlMessages.withoutRecovery(name));
    if (time !== undefined && (time * 1000 < earliestMs || time * 1000 > now))
      throw exportTimeInvalid(controlMessages.exportTime);
    throw validationError(controlMessages.noExports);
  },
};

type Period = ExportPeriod & { readonly ExportFromTime: number };

/** Of changes to be exported; absent: all there is, as of one moment. @throws ValidationException for what does not go together */
function periodOf(request: ExportRequest): Period | undefined {
  const { ExportType: type, IncrementalExportSpecification: period, S3SseAlgorithm, S3SseKmsKeyId } = request;
  if (S3SseKmsKeyId !== undefined && S3SseAlgorithm !== "KMS") throw validationError(controlMessages.exportKey);
  if (type !== "INCREMENTAL_EXPORT") {
    if (period === undefined) return undefined;
    throw validationError(
      type === undefined ? controlMessages.exportPeriodUntyped : controlMessages.exportPeriodOfFull,
    );
  }
  if (period === undefined) throw validationError(controlMessages.exportPeriodMissing);
  if (period.ExportFromTime === undefined) throw validationError(controlMessages.exportPeriodWithoutFrom);
  return period as Period;
}

/** @throws ValidationException: a table's ARN is nothing else here */
function exportedTable(arn: string): string {
  if (arn === "") throw validationError(controlMessages.exportNoTable);
  if (!arn.startsWith("arn:")) throw validationError(controlMessages.exportTableArn);
  try {
    return tableOfArn(arn);
  } catch {
    throw validationError(controlMessages.exportOfPart);
  }
}

const exportTimeInvalid = (message: string) => new ApiError("InvalidExportTimeException", message);
const MINUTE_MS = 60_000;

/** @throws ApiError InvalidExportTimeException */
function assertExportable({ ExportFromTime: from, ExportToTime: to }: Period, earliestMs: number, nowMs: number): void {
  const fromMs = from * 1000;
  const toMs = to === undefined ? nowMs : to * 1000;
  if (fromMs < earliestMs) throw exportTimeInvalid(controlMessages.exportFromTooEarly(shown(fromMs)));
  if (toMs > nowMs) throw exportTimeInvalid(controlMessages.exportToTooLate(shown(toMs)));
  if (toMs - fromMs < 15 * MINUTE_MS) throw exportTimeInvalid(controlMessages.exportPeriodShort);
  if (toMs - fromMs > 24 * 60 * MINUTE_MS) throw exportTimeInvalid(controlMessages.exportPeriodLong);
}

const importTable: Operation<ImportRequest> = {
  shape: importShape,
  async run({ TableCreationParameters: asked, InputFormat: format, InputFormatOptions: options }, { backend }) {
    if (options !== undefined && format !== "CSV") throw validationError(controlMessages.importOptions(format));
    const { name } = tableDefinition(asked);
    const there = await backend.describeTable(name).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ApiError && error.type === "ResourceNotFoundException") return false;
        throw error;
      },
    );
    if (there) throw new ApiError("ResourceInUseException", messages.tableExistsNamed(name));
    throw validationError(controlMessages.noImports);
  },
};

const ENABLED_AS = ["KinesisStreamingDestinationInput", "EnableKinesisStreamingConfiguration"] as const;
const isEmpty = (configuration: object = {}) => Object.keys(configuration).length === 0;

export const neverBegunOperations: readonly (readonly [string, AnyOperation])[] = [
  ["PutResourcePolicy", putResourcePolicy],
  ["UpdateContributorInsights", updateContributorInsights],
  ["EnableKinesisStreamingDestination", destination(...ENABLED_AS, () => controlMessages.noKinesis)],
  [
    "DisableKinesisStreamingDestination",
    destination(...ENABLED_AS, ({ EnableKinesisStreamingConfiguration: configuration }) =>
      isEmpty(configuration) ? controlMessages.destinationNotDisabled : controlMessages.destinationDisabledWith,
    ),
  ],
  [
    "UpdateKinesisStreamingDestination",
    destination(
      "UpdateKinesisStreamingDestinationInput",
      "UpdateKinesisStreamingConfiguration",
      ({ TableName, StreamArn, UpdateKinesisStreamingConfiguration: configuration }) =>
        isEmpty(configuration)
          ? controlMessages.destinationUpdateEmpty
          : controlMessages.destinationUnknown(TableName, StreamArn),
    ),
  ],
  ["ExportTableToPointInTime", exportTableToPointInTime],
  ["ImportTable", importTable],
];
