/** What operations on a table's settings take. */
import type { BillingMode, TableClass, Tag } from "../control/settings.js";
import type { IndexUpdateRequest } from "../index-updates.js";
import { type StreamSpecification, streamSpecification } from "../streams/specification.js";
import { globalIndexUpdates } from "./indexes.js";
import type { Shape, StructureShape } from "./shapes.js";
import {
  attributeDefinitions,
  billingMode,
  encryption,
  type ThroughputRequest,
  tableName,
  throughput,
} from "./table-parts.js";

export const tableClass: Shape = { type: "string", oneOf: ["STANDARD", "STANDARD_INFREQUENT_ACCESS"] };

export const tags: Shape = {
  type: "list",
  of: {
    type: "structure",
    name: "Tag",
    members: {
      Value: { type: "string", required: true, lengthMin: 0, lengthMax: 256 },
      Key: { type: "string", required: true, lengthMin: 1, lengthMax: 128 },
    },
  },
};

export interface UpdateTableRequest extends IndexUpdateRequest {
  TableName: string;
  BillingMode?: BillingMode;
  ProvisionedThroughput?: ThroughputRequest;
  DeletionProtectionEnabled?: boolean;
  StreamSpecification?: StreamSpecification;
  TableClass?: TableClass;
}

export const updateTable: StructureShape = {
  type: "structure",
  name: "UpdateTableInput",
  members: {
    TableName: tableName,
    BillingMode: billingMode,
    ProvisionedThroughput: throughput,
    DeletionProtectionEnabled: { type: "boolean" },
    TableClass: tableClass,
    AttributeDefinitions: attributeDefinitions,
    GlobalSecondaryIndexUpdates: globalIndexUpdates,
    GlobalTableWitnessUpdates: { type: "unsupported" },
    MultiRegionConsistency: { type: "unsupported" },
    OnDemandThroughput: { type: "unsupported" },
    ReplicaUpdates: { type: "unsupported" },
    SSESpecification: encryption,
    StreamSpecification: streamSpecification,
    WarmThroughput: { type: "unsupported" },
  },
};

export interface TagResourceRequest {
  ResourceArn?: string;
  Tags: Tag[];
}

const resourceArn: Shape = { type: "string", lengthMin: 1, lengthMax: 1283 };

export const tagResource: StructureShape = {
  type: "structure",
  name: "TagResourceInput",
  members: { ResourceArn: resourceArn, Tags: { ...tags, required: true } },
};

export interface UntagResourceRequest {
  ResourceArn?: string;
  TagKeys: string[];
}

export const untagResource: StructureShape = {
  type: "structure",
  name: "UntagResourceInput",
  members: {
    ResourceArn: resourceArn,
    TagKeys: { type: "list", required: true, of: { type: "string", lengthMin: 1, lengthMax: 128 } },
  },
};

export interface ListTagsRequest {
  ResourceArn?: string;
  NextToken?: string;
}

export const listTagsOfResource: StructureShape = {
  type: "structure",
  name: "ListTagsOfResourceInput",
  members: { ResourceArn: resourceArn, NextToken: { type: "string" } },
};

export const RECOVERY_DAYS = 35;

export interface UpdateContinuousBackupsRequest {
  TableName: string;
  PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: boolean };
}

export const updateContinuousBackups: StructureShape = {
  type: "structure",
  name: "UpdateContinuousBackupsInput",
  members: {
    TableName: tableName,
    PointInTimeRecoverySpecification: {
      type: "structure",
      name: "PointInTimeRecoverySpecification",
      required: true,
      members: {
        PointInTimeRecoveryEnabled: { type: "boolean", required: true },
        RecoveryPeriodInDays: { type: "unsupported", unless: (value) => value === RECOVERY_DAYS },
      },
    },
  },
};

export const describeContinuousBackups: StructureShape = {
  type: "structure",
  name: "DescribeContinuousBackupsInput",
  members: { TableName: tableName },
};

/** Of operations that take nothing. */
export const nothing = (name: string): StructureShape => ({ type: "structure", name, members: {} });
