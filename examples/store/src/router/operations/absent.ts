/**
 * What there is none of here: global tables, exports, imports, resource policies, contributor insights, Kinesis destinations, bulk operations. Programs ask about
 * them all the same, as Terraform does of every table, and are told what the service tells those who use none. What would begin any of them is not offered.
 */

import { isBeingPlaced, restored } from "../../api/control/admission.js";
import { streamOfArn, tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { assertNameLength } from "../../api/control/names.js";
import { ApiError, validationError } from "../../api/errors.js";
import type { GlobalIndex, TableRecord } from "../../api/model.js";
import {
  deleteResourcePolicy as deletePolicyShape,
  describeExport as describeExportShape,
  describeImport as describeImportShape,
  describeContributorInsights as describeInsightsShape,
  getResourcePolicy as getPolicyShape,
  globalTable,
  listBulkOperations as listBulkShape,
  listExports as listExportsShape,
  listGlobalTables as listGlobalShape,
  listImports as listImportsShape,
  listContributorInsights as listInsightsShape,
  replicaSettings,
  replicationGroup,
  tableOnly,
  updateGlobalTable as updateReplicas,
} from "../../api/requests/absent.js";
import { updateTableReplicaAutoScaling as scalingShape } from "../../api/requests/never-begun.js";
import type { StructureShape } from "../../api/requests/shapes.js";
import type { TableNameRequest } from "../../api/requests/tables.js";
import type { Backend } from "../backend.js";
import type { AnyOperation, Operation } from "./operation.js";

/** Lists nothing, and so goes on nowhere. */
const noPages = (shape: StructureShape, list: string): Operation<{ NextToken?: string }> => ({
  shape,
  async run({ NextToken: token }) {
    if (token !== undefined) throw validationError(controlMessages.nextTokenInvalid(token));
    return { [list]: [] };
  },
});

/** Lists nothing. */
const none = (shape: StructureShape, list: string): Operation<unknown> => ({
  shape,
  async run() {
    return { [list]: [] };
  },
});

const failing = <Request>(shape: StructureShape, error: (request: Request) => ApiError): Operation<Request> => ({
  shape,
  async run(request) {
    throw error(request);
  },
});

interface TableOrIndex extends TableNameRequest {
  IndexName?: string;
}

interface StatusOf {
  readonly status: TableRecord["status"];
  readonly index: GlobalIndex | undefined;
}

/** @throws ApiError where there is no such table, or no such global index of it */
export async function withIndex({ TableName, IndexName }: TableOrIndex, backend: Backend): Promise<StatusOf> {
  if (IndexName !== undefined) assertNameLength("IndexName", IndexName);
  const { status, globalIndexes = [] } = restored(await backend.describeTable(TableName));
  const index = globalIndexes.find(({ name }) => name === IndexName);
  if (IndexName !== undefined && (index === undefined || isBeingPlaced(index)))
    throw new ApiError("ResourceNotFoundException", controlMessages.indexOfTableNotFound(IndexName, TableName));
  return { status, index };
}

const describeContributorInsights: Operation<TableOrIndex> = {
  shape: describeInsightsShape,
  async run(request, { backend }) {
    const { TableName, IndexName } = request;
    await withIndex(request, backend);
    return { TableName, ...(IndexName && { IndexName }), ContributorInsightsStatus: "DISABLED" };
  },
};

const listContributorInsights: Operation<Partial<TableNameRequest>> = {
  shape: listInsightsShape,
  async run({ TableName: name }, { backend }) {
    if (name !== undefined) await backend.describeTable(name);
    return { ContributorInsightsSummaries: [] };
  },
};

const describeKinesisStreamingDestination: Operation<TableNameRequest> = {
  shape: tableOnly("DescribeKinesisStreamingDestinationInput"),
  async run({ TableName }, { backend }) {
    await backend.describeTable(TableName);
    return { TableName, KinesisDataStreamDestinations: [] };
  },
};

/** No table is a global one, whether there is one of this name or not. */
const noReplicas = ({ TableName: name }: TableNameRequest) =>
  new ApiError("ResourceNotFoundException", controlMessages.globalTableMissing(name));

interface PolicyRequest {
  ResourceArn: string;
  ExpectedRevisionId?: string;
}

/** @returns what the service calls it: a table, or the stream that it has. @throws ApiError */
export async function ownerOfPolicies(arn: string, backend: Backend): Promise<string> {
  const stream = streamOfArn(arn);
  const table = stream?.table ?? tableOfArn(arn, controlMessages.policyArnInvalid);
  const { latestStream } = restored(await backend.describeTable(table));
  if (stream === undefined) return `table ${table}`;
  if (latestStream?.label !== stream.label)
    throw new ApiError("ResourceNotFoundException", controlMessages.streamOfTableNotFound(stream.label, stream.table));
  return `stream ${stream.label}`;
}

const noPolicy = (message: string) => new ApiError("PolicyNotFoundException", message);

/** Of none there is any revision. */
export const noRevision = (revision: string, owner: string) =>
  noPolicy(controlMessages.policyRevisionUnknown(revision, owner));

const getResourcePolicy: Operation<PolicyRequest> = {
  shape: getPolicyShape,
  async run({ ResourceArn: arn }, { backend }) {
    await ownerOfPolicies(arn, backend);
    throw noPolicy(controlMessages.policyNotFound(arn));
  },
};

/** There is nothing to do, as the service has it, unless a revision is to be the one that goes. */
const deleteResourcePolicy: Operation<PolicyRequest> = {
  shape: deletePolicyShape,
  async run({ ResourceArn: arn, ExpectedRevisionId: revision }, { backend }) {
    const owner = await ownerOfPolicies(arn, backend);
    if (revision !== undefined) throw noRevision(revision, owner);
    return {};
  },
};

function noGlobalTable({ GlobalTableName: name }: { GlobalTableName: string }): ApiError {
  assertNameLength("TableName", name);
  return new ApiError("GlobalTableNotFoundException", controlMessages.globalTableMissing(name));
}

const tooOld = () => validationError(controlMessages.globalTablesOfOld);

/** The operation that describes one says it twice. */
function noGlobalTableToDescribe(request: { GlobalTableName: string }): ApiError {
  const { type, message } = noGlobalTable(request);
  return new ApiError(type, controlMessages.globalTableNotFound(message));
}

interface ReplicasRequest {
  GlobalTableName: string;
  ReplicaUpdates: readonly { Create?: object; Delete?: object }[];
}

/** What would add a replica is refused before it is asked whether there is a table; no table is of the old kind. */
function noReplicaUpdate(request: ReplicasRequest): ApiError {
  const missing = noGlobalTable(request);
  const { ReplicaUpdates: updates } = request;
  const isEmpty =
    updates.length === 0 || updates.some((update) => update.Create === undefined && update.Delete === undefined);
  if (isEmpty) return validationError(controlMessages.globalTableActionEmpty);
  return updates.some((update) => update.Create !== undefined) ? tooOld() : missing;
}

export const absentOperations: readonly (readonly [string, AnyOperation])[] = [
  ["DescribeContributorInsights", describeContributorInsights],
  ["ListContributorInsights", listContributorInsights],
  ["DescribeKinesisStreamingDestination", describeKinesisStreamingDestination],
  ["DescribeTableReplicaAutoScaling", failing(tableOnly("DescribeTableReplicaAutoScalingInput"), noReplicas)],
  ["UpdateTableReplicaAutoScaling", failing(scalingShape, noReplicas)],
  ["GetResourcePolicy", getResourcePolicy],
  ["DeleteResourcePolicy", deleteResourcePolicy],
  ["ListExports", noPages(listExportsShape, "ExportSummaries")],
  [
    "DescribeExport",
    failing<{ ExportArn: string }>(describeExportShape, ({ ExportArn: arn }) =>
      /^arn:aws:dynamodb:[^:]+:\d+:table\/[\w.-]{3,255}\/export\/.+$/.test(arn)
        ? new ApiError("ExportNotFoundException", controlMessages.exportNotFound(arn))
        : validationError(controlMessages.exportArn),
    ),
  ],
  ["ListImports", noPages(listImportsShape, "ImportSummaryList")],
  [
    "DescribeImport",
    failing<{ ImportArn: string }>(describeImportShape, ({ ImportArn: arn }) =>
      /^arn:aws:dynamodb:[^:]+:\d+:table\/[\w.-]{3,255}\/import\/.+$/.test(arn)
        ? new ApiError("ImportNotFoundException", controlMessages.importNotFound(arn))
        : validationError(controlMessages.importArn),
    ),
  ],
  ["ListBulkOperations", none(listBulkShape, "BulkOperationsSummaryList")],
  ["ListGlobalTables", none(listGlobalShape, "GlobalTables")],
  ["DescribeGlobalTable", failing(globalTable("DescribeGlobalTableInput"), noGlobalTableToDescribe)],
  ["DescribeGlobalTableSettings", failing(globalTable("DescribeGlobalTableSettingsInput"), noGlobalTable)],
  ["UpdateGlobalTableSettings", failing(globalTable("UpdateGlobalTableSettingsInput", replicaSettings), noGlobalTable)],
  // The service refuses to make any of this kind.
  ["CreateGlobalTable", failing(globalTable("CreateGlobalTableInput", replicationGroup), tooOld)],
  ["UpdateGlobalTable", failing(updateReplicas, noReplicaUpdate)],
];
