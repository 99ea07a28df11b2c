/**
 * What there is none of here: global tables, exports, imports, resource policies, contributor insights, Kinesis destinations, bulk operations. Programs ask about
 * them all the same, as Terraform does of every table, and are told what the service tells those who use none. What would begin any of them is not offered.
 */
import { tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { assertNameLength } from "../../api/control/names.js";
import { ApiError, validationError } from "../../api/errors.js";
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
  replicationGroup,
  tableOnly,
} from "../../api/requests/absent.js";
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

/** @throws ApiError where there is no such table, or no such global index of it */
export async function withIndex({ TableName, IndexName }: TableOrIndex, backend: Backend): Promise<void> {
  const { globalIndexes = [] } = await backend.describeTable(TableName);
  if (IndexName !== undefined && !globalIndexes.some(({ name }) => name === IndexName))
    throw new ApiError("ResourceNotFoundException", controlMessages.indexOfTableNotFound(IndexName, TableName));
}

const describeContributorInsights: Operation<TableOrIndex> = {
  shape: describeInsightsShape,
  async run(request, { backend }) {
    const { TableName, IndexName } = request;
    if (IndexName !== undefined) assertNameLength("IndexName", IndexName);
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

const describeTableReplicaAutoScaling: Operation<TableNameRequest> = {
  shape: tableOnly("DescribeTableReplicaAutoScalingInput"),
  async run({ TableName }) {
    // No table is a global one, whether there is one of this name or not.
    throw new ApiError("ResourceNotFoundException", controlMessages.globalTableMissing(TableName));
  },
};

interface PolicyRequest {
  ResourceArn: string;
  ExpectedRevisionId?: string;
}

export const noPolicy = (arn: string) => new ApiError("PolicyNotFoundException", controlMessages.policyNotFound(arn));

const getResourcePolicy: Operation<PolicyRequest> = {
  shape: getPolicyShape,
  async run({ ResourceArn: arn }, { backend }) {
    await backend.describeTable(tableOfArn(arn));
    throw noPolicy(arn);
  },
};

/** There is nothing to do, as the service has it, unless a revision is to be the one that goes. */
const deleteResourcePolicy: Operation<PolicyRequest> = {
  shape: deletePolicyShape,
  async run({ ResourceArn: arn, ExpectedRevisionId }, { backend }) {
    await backend.describeTable(tableOfArn(arn));
    if (ExpectedRevisionId !== undefined) throw noPolicy(arn);
    return {};
  },
};

function noGlobalTable({ GlobalTableName: name }: { GlobalTableName: string }): ApiError {
  assertNameLength("TableName", name);
  return new ApiError("GlobalTableNotFoundException", controlMessages.globalTableNotFound(name));
}

const tooOld = () => validationError(controlMessages.globalTablesOfOld);

/** A table that is there is none of the old kind. */
const updateGlobalTable: Operation<{ GlobalTableName: string }> = {
  shape: globalTable("UpdateGlobalTableInput", {
    ReplicaUpdates: { type: "list", required: true, of: { type: "structure", name: "ReplicaUpdate", members: {} } },
  }),
  async run(request, { backend }) {
    const { GlobalTableName: name } = request;
    assertNameLength("TableName", name);
    await backend.describeTable(name).catch((error: unknown) => {
      if (error instanceof ApiError && error.type === "ResourceNotFoundException") throw noGlobalTable(request);
      throw error;
    });
    throw tooOld();
  },
};

export const absentOperations: readonly (readonly [string, AnyOperation])[] = [
  ["DescribeContributorInsights", describeContributorInsights],
  ["ListContributorInsights", listContributorInsights],
  ["DescribeKinesisStreamingDestination", describeKinesisStreamingDestination],
  ["DescribeTableReplicaAutoScaling", describeTableReplicaAutoScaling],
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
  ["DescribeGlobalTable", failing(globalTable("DescribeGlobalTableInput"), noGlobalTable)],
  ["DescribeGlobalTableSettings", failing(globalTable("DescribeGlobalTableSettingsInput"), noGlobalTable)],
  ["UpdateGlobalTableSettings", failing(globalTable("UpdateGlobalTableSettingsInput"), noGlobalTable)],
  // The service refuses to make any of this kind.
  ["CreateGlobalTable", failing(globalTable("CreateGlobalTableInput", replicationGroup), tooOld)],
  ["UpdateGlobalTable", updateGlobalTable],
];
