/** What operations take that ask about what there is none of here. */
import { type Shape, type StructureShape, structure } from "./shapes.js";
import { optionalTableName, tableName } from "./table-parts.js";

const arn: Shape = { type: "string", required: true, lengthMin: 1, lengthMax: 1024 };
const token: Shape = { type: "string" };
const pageSize = (max: number): Shape => ({ type: "integer", wire: "Integer", min: 1, max });

export const tableOnly = (name: string): StructureShape => structure(name, { TableName: tableName });
export const describeContributorInsights = structure("DescribeContributorInsightsInput", {
  TableName: tableName,
  IndexName: { type: "string" },
});
export const listContributorInsights = structure("ListContributorInsightsInput", {
  TableName: optionalTableName,
  NextToken: token,
  MaxResults: { type: "integer", wire: "Integer", max: 100 },
});
export const listGlobalTables = structure("ListGlobalTablesInput", {
  ExclusiveStartGlobalTableName: optionalTableName,
  Limit: { type: "integer", wire: "Integer", min: 1 },
  RegionName: { type: "string" },
});
export const globalTable = (name: string, more: Readonly<Record<string, Shape>> = {}): StructureShape =>
  structure(name, { GlobalTableName: { type: "string", required: true }, ...more });
export const replicationGroup = {
  ReplicationGroup: {
    type: "list",
    required: true,
    of: structure("Replica", { RegionName: { type: "string" } }),
  },
} as const satisfies Record<string, Shape>;
const inRegion = (name: string): Shape => ({
  type: "structure",
  name,
  members: { RegionName: { type: "string", required: true } },
});
export const updateGlobalTable = globalTable("UpdateGlobalTableInput", {
  ReplicaUpdates: {
    type: "list",
    required: true,
    of: structure("ReplicaUpdate", {
      Create: inRegion("CreateReplicaAction"),
      Delete: inRegion("DeleteReplicaAction"),
    }),
  },
});
export const replicaSettings = {
  ReplicaSettingsUpdate: { type: "list", lengthMin: 1, lengthMax: 50, of: inRegion("ReplicaSettingsUpdate") },
} as const satisfies Record<string, Shape>;
export const listExports = structure("ListExportsInput", {
  TableArn: { type: "string" },
  NextToken: token,
  MaxResults: pageSize(25),
});
export const listImports = structure("ListImportsInput", {
  TableArn: { type: "string" },
  NextToken: token,
  PageSize: pageSize(25),
});
export const describeExport = structure("DescribeExportInput", { ExportArn: { ...arn, lengthMin: 37 } });
export const describeImport = structure("DescribeImportInput", { ImportArn: { ...arn, lengthMin: 37 } });
export const listBulkOperations = structure("ListBulkOperationsInput", {
  MaxResults: { type: "integer", wire: "Integer" },
  NextToken: token,
});
export const getResourcePolicy = structure("GetResourcePolicyInput", { ResourceArn: { ...arn, lengthMax: 1283 } });
export const deleteResourcePolicy = structure("DeleteResourcePolicyInput", {
  ResourceArn: { ...arn, lengthMax: 1283 },
  ExpectedRevisionId: { type: "string", lengthMin: 1, lengthMax: 255 },
});
