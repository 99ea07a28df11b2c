/**
 * What would begin what there is none of here: policies, insights, replicas, Kinesis destinations, exports, imports. A request is looked at as far as the service looks at it
 * before it begins (limits, the table, its state), so that what is wrong with it is told first; one that is right is told what this store does not have.
 */
import { tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { ApiError, validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import {
  type DestinationRequest,
  type ExportRequest,
  exportTableToPointInTime as exportShape,
  type ImportRequest,
  importTable as importShape,
  updateContributorInsights as insightsShape,
  type PutPolicyRequest,
  putResourcePolicy as policyShape,
  updateTableReplicaAutoScaling as scalingShape,
  streamingDestination,
  type UpdateInsightsRequest,
} from "../../api/requests/never-begun.js";
import type { TableNameRequest } from "../../api/requests/tables.js";
import { tableDefinition } from "../../api/tables.js";
import type { Backend } from "../backend.js";
import { noPolicy, withIndex } from "./absent.js";
import { earliestRestorableMs } from "./continuous-backups.js";
import type { AnyOperation, Operation } from "./operation.js";
import { tableNamed } from "./table-named.js";

/** What a revision is called of a policy that is not there yet. */
const NO_POLICY = "NO_POLICY";

const putResourcePolicy: Operation<PutPolicyRequest> = {
  shape: policyShape,
  async run({ ResourceArn: arn, Policy: policy, ExpectedRevisionId: revision = NO_POLICY }, { backend }) {
    await backend.describeTable(tableOfArn(arn));
    if (revision !== NO_POLICY) throw noPolicy(arn);
    try {
      JSON.parse(policy);
    } catch {
      throw validationError(controlMessages.policyInvalid);
    }
    throw validationError(controlMessages.noPolicies);
  },
};

/** They are off: to have them turned off is to have them as they are. */
const updateContributorInsights: Operation<UpdateInsightsRequest> = {
  shape: insightsShape,
  async run({ ContributorInsightsAction: action, ...of }, { backend }) {
    await withIndex(of, backend);
    if (action === "ENABLE") throw validationError(controlMessages.noInsights);
    const { TableName, IndexName } = of;
    return { TableName, ...(IndexName && { IndexName }), ContributorInsightsStatus: "DISABLED" };
  },
};

const updateTableReplicaAutoScaling: Operation<TableNameRequest> = {
  shape: scalingShape,
  async run({ TableName }, { backend }) {
    await usable(TableName, backend);
    throw validationError(controlMessages.noReplicas);
  },
};

async function usable(name: string, backend: Backend): Promise<void> {
  const { status } = await backend.describeTable(name);
  if (status === "CREATING" || status === "DELETING")
    throw new ApiError(
      "ResourceInUseException",
      controlMessages.tableBeing(status === "CREATING" ? "created" : "deleted", name),
    );
}

const destination = (name: string, configuration: string, message: string): Operation<DestinationRequest> => ({
  shape: streamingDestination(name, configuration),
  async run({ TableName }, { backend }) {
    await usable(TableName, backend);
    throw validationError(message);
  },
});

const exportTableToPointInTime: Operation<ExportRequest> = {
  shape: exportShape,
  async run({ TableArn: arn, ExportTime: time }, { backend, nowMs }) {
    const name = tableOfArn(arn);
    const table = await tableNamed(name, backend.describeTable(name));
    if (table.settings?.pointInTimeRecovery === false) throw new ApiError("PointInTimeRecoveryUnavailableException");
    if (time !== undefined) {
      const latestMs = nowMs();
      if (time * 1000 < earliestRestorableMs(table, latestMs) || time * 1000 > latestMs)
        throw new ApiError("InvalidExportTimeException");
    }
    throw validationError(controlMessages.noExports);
  },
};

const importTable: Operation<ImportRequest> = {
  shape: importShape,
  async run({ TableCreationParameters: asked }, { backend }) {
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

const { noKinesis, destinationNotActive } = controlMessages;

export const neverBegunOperations: readonly (readonly [string, AnyOperation])[] = [
  ["PutResourcePolicy", putResourcePolicy],
  ["UpdateContributorInsights", updateContributorInsights],
  ["UpdateTableReplicaAutoScaling", updateTableReplicaAutoScaling],
  [
    "EnableKinesisStreamingDestination",
    destination("KinesisStreamingDestinationInput", "EnableKinesisStreamingConfiguration", noKinesis),
  ],
  [
    "DisableKinesisStreamingDestination",
    destination(
      "KinesisStreamingDestinationInput",
      "EnableKinesisStreamingConfiguration",
      destinationNotActive("disable"),
    ),
  ],
  [
    "UpdateKinesisStreamingDestination",
    destination(
      "UpdateKinesisStreamingDestinationInput",
      "UpdateKinesisStreamingConfiguration",
      destinationNotActive("update"),
    ),
  ],
  ["ExportTableToPointInTime", exportTableToPointInTime],
  ["ImportTable", importTable],
];
