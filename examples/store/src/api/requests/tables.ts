/** What the operations on tables take. */
import type { EncryptionRequest } from "../control/encryption.js";
import type { TableClass, Tag } from "../control/settings.js";
import type { ThroughputRequests } from "../control/throughput.js";
import { type RestoreOverrides, restoreOverrides } from "../restores.js";
import { type StreamSpecification, streamSpecification } from "../streams/specification.js";
import { tableClass, tags } from "./control.js";
import { type GlobalIndexRequest, globalIndexes, type LocalIndexRequest, localIndexes } from "./indexes.js";
import { NAME, type StructureShape, structure } from "./shapes.js";
import {
  absent,
  attributeDefinitions,
  billingMode,
  encryption,
  type KeySchemaElement,
  keySchema,
  onDemandThroughput,
  optionalTableName,
  type ThroughputRequest,
  tableName,
  throughput,
  warmThroughput,
} from "./table-parts.js";

export interface CreateTableRequest extends ThroughputRequests {
  TableName: string;
  AttributeDefinitions: { AttributeName: string; AttributeType: "S" | "N" | "B" }[];
  KeySchema: KeySchemaElement[];
  BillingMode?: "PROVISIONED" | "PAY_PER_REQUEST";
  ProvisionedThroughput?: ThroughputRequest;
  DeletionProtectionEnabled?: boolean;
  TableClass?: TableClass;
  Tags?: Tag[];
  StreamSpecification?: StreamSpecification;
  SSESpecification?: EncryptionRequest;
  LocalSecondaryIndexes?: LocalIndexRequest[];
  GlobalSecondaryIndexes?: GlobalIndexRequest[];
}

export const createTable: StructureShape = structure("CreateTableInput", {
  TableName: tableName,
  AttributeDefinitions: { ...attributeDefinitions, required: true },
  KeySchema: keySchema(2),
  BillingMode: billingMode,
  ProvisionedThroughput: throughput,
  DeletionProtectionEnabled: { type: "boolean" },
  GlobalSecondaryIndexes: globalIndexes,
  LocalSecondaryIndexes: localIndexes,
  OnDemandThroughput: onDemandThroughput,
  GlobalTableSettingsReplicationMode: absent,
  GlobalTableSourceArn: absent,
  ResourcePolicy: absent,
  SSESpecification: encryption,
  StreamSpecification: streamSpecification,
  TableClass: tableClass,
  Tags: tags,
  VectorIndexes: absent,
  WarmThroughput: warmThroughput,
});

export interface TableNameRequest {
  TableName: string;
}

export const describeTable: StructureShape = structure("DescribeTableInput", { TableName: tableName });

export const deleteTable: StructureShape = structure("DeleteTableInput", { TableName: tableName });

export const LIST_TABLES_MAX = 100;

export interface ListTablesRequest {
  ExclusiveStartTableName?: string;
  Limit?: number;
}

export const listTables: StructureShape = structure("ListTablesInput", {
  ExclusiveStartTableName: { type: "string", pattern: NAME, patternFirst: true, lengthMin: 3, lengthMax: 255 },
  Limit: { type: "integer", wire: "Integer", min: 1, max: LIST_TABLES_MAX },
});

export interface RestoreTableRequest extends RestoreOverrides {
  /** One of the two. */
  SourceTableName?: string;
  SourceTableArn?: string;
  TargetTableName: string;
  /** Unix time in seconds, with fractions. */
  RestoreDateTime?: number;
  UseLatestRestorableTime?: boolean;
}

export const restoreTableToPointInTime: StructureShape = structure("RestoreTableToPointInTimeInput", {
  SourceTableName: optionalTableName,
  TargetTableName: tableName,
  RestoreDateTime: { type: "timestamp" },
  UseLatestRestorableTime: { type: "boolean" },
  ...restoreOverrides,
  SourceTableArn: { type: "string", lengthMin: 1, lengthMax: 1024 },
});
