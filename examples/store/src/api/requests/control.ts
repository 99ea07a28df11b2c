/** What operations on a table's settings take. */

import type { EncryptionRequest } from "../control/encryption.js";
import { controlMessages } from "../control/messages.js";
import type { BillingMode, TableClass, Tag } from "../control/settings.js";
import type { ThroughputRequests } from "../control/throughput.js";
import type { IndexUpdateRequest } from "../index-updates.js";
import { REGION } from "../region.js";
import { type StreamSpecification, streamSpecification } from "../streams/specification.js";
import { globalIndexUpdates } from "./indexes.js";
import { type Shape, type StructureShape, structure } from "./shapes.js";
import {
  absent,
  attributeDefinitions,
  billingMode,
  encryption,
  onDemandThroughput,
  type ThroughputRequest,
  tableName,
  throughput,
  warmThroughput,
} from "./table-parts.js";

/** Checked later, in words of its own. */
export const tableClass: Shape = { type: "string" };

export const tags: Shape = {
  type: "list",
  of: structure("Tag", {
    Key: { type: "string" },
    Value: { type: "string" },
  }),
};

/** Of replicas: whether the one region that there is is to be had once more, or to be gone. */
const isOfHere = (updates: unknown): boolean =>
  Array.isArray(updates) &&
  updates.some((update: Record<string, { RegionName?: unknown } | undefined> | null) =>
    [update?.Create, update?.Delete].some((one) => one?.RegionName === REGION),
  );

/** Whether what is asked of replicas is nothing at all. */
const isOfNothing = (updates: unknown): boolean =>
  Array.isArray(updates) &&
  updates.every(
    (update: Record<string, object> | null) =>
      Object.keys({ ...update, ...update?.Update }).filter((name) => name !== "Update" && name !== "RegionName")
        .length === 0,
  );

/** What asks for the same twice asks for it once. */
function replicaActions(updates: unknown): string | undefined {
  if (!Array.isArray(updates)) return undefined;
  if (updates.some((update) => Object.keys(update ?? {}).length > 1)) return controlMessages.replicaActionsOfTwoKinds;
  const placing = updates.filter((update) => update?.Create !== undefined || update?.Delete !== undefined);
  return new Set(placing.map((update) => JSON.stringify(update))).size > 1
    ? controlMessages.replicaActionsTooMany
    : undefined;
}

/** Those that the service was seen to refuse. */
const NOT_BESIDE_REPLICAS = [
  "BillingMode",
  "DeletionProtectionEnabled",
  "GlobalSecondaryIndexUpdates",
  "ProvisionedThroughput",
  "SSESpecification",
  "StreamSpecification",
  "TableClass",
];

/** What the service says of what is asked of replicas, before there are any. */
function replicasRefused(updates: unknown, request: object): string | undefined {
  if (NOT_BESIDE_REPLICAS.some((name) => name in request)) return controlMessages.onlyOperation("Replica");
  const tooMuch = replicaActions(updates);
  if (tooMuch !== undefined) return tooMuch;
  if (isOfHere(updates)) return controlMessages.localReplica;
  return isOfNothing(updates) ? controlMessages.replicaActions : undefined;
}

export interface UpdateTableRequest extends IndexUpdateRequest, ThroughputRequests {
  TableName: string;
  BillingMode?: BillingMode;
  ProvisionedThroughput?: ThroughputRequest;
  DeletionProtectionEnabled?: boolean;
  SSESpecification?: EncryptionRequest;
  StreamSpecification?: StreamSpecification;
  TableClass?: TableClass;
}

export const updateTable: StructureShape = structure("UpdateTableInput", {
  TableName: tableName,
  BillingMode: billingMode,
  ProvisionedThroughput: throughput,
  DeletionProtectionEnabled: { type: "boolean" },
  TableClass: tableClass,
  AttributeDefinitions: attributeDefinitions,
  GlobalSecondaryIndexUpdates: globalIndexUpdates,
  DisassociationProtectionEnabled: absent,
  GlobalTableSettingsReplicationMode: absent,
  GlobalTableWitnessUpdates: absent,
  MultiRegionConsistency: absent,
  OnDemandThroughput: onDemandThroughput,
  ReplicaUpdates: { ...absent, instead: replicasRefused } as Shape,
  SSESpecification: encryption,
  StreamSpecification: streamSpecification,
  VectorIndexUpdates: absent,
  WarmThroughput: warmThroughput,
});

export interface TagResourceRequest {
  ResourceArn?: string;
  Tags?: Tag[];
}

/** Missed before anything else of the request is. */
const resourceArn: Shape = { type: "string" };

export const tagResource: StructureShape = structure("TagResourceInput", { ResourceArn: resourceArn, Tags: tags });

export interface UntagResourceRequest {
  ResourceArn?: string;
  TagKeys?: string[];
}

export const untagResource: StructureShape = structure("UntagResourceInput", {
  ResourceArn: resourceArn,
  TagKeys: { type: "list", of: { type: "string" } },
});

export interface ListTagsRequest {
  ResourceArn?: string;
  NextToken?: string;
}

export const listTagsOfResource: StructureShape = structure("ListTagsOfResourceInput", {
  ResourceArn: resourceArn,
  NextToken: { type: "string" },
});

export const RECOVERY_DAYS_MAX = 35;
export const DAY_MS = 86_400_000;

export interface UpdateContinuousBackupsRequest {
  TableName: string;
  PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: boolean; RecoveryPeriodInDays?: number };
}

export const updateContinuousBackups: StructureShape = structure("UpdateContinuousBackupsInput", {
  TableName: tableName,
  PointInTimeRecoverySpecification: {
    ...structure("PointInTimeRecoverySpecification", {
      PointInTimeRecoveryEnabled: { type: "boolean", required: true },
      RecoveryPeriodInDays: { type: "integer", wire: "Integer", min: 1, max: RECOVERY_DAYS_MAX },
    }),
    required: true,
  },
});

export const describeContinuousBackups: StructureShape = structure("DescribeContinuousBackupsInput", {
  TableName: tableName,
});

export interface UpdateTimeToLiveRequest {
  TableName: string;
  TimeToLiveSpecification: { Enabled: boolean; AttributeName: string };
}

export const updateTimeToLive: StructureShape = structure("UpdateTimeToLiveInput", {
  TableName: tableName,
  TimeToLiveSpecification: {
    ...structure("TimeToLiveSpecification", {
      AttributeName: { type: "string", required: true, lengthMin: 1, lengthMax: 255 },
      Enabled: { type: "boolean", required: true },
    }),
    required: true,
  },
});

export const describeTimeToLive: StructureShape = structure("DescribeTimeToLiveInput", { TableName: tableName });

/** Of operations that take nothing. */
export const nothing = (name: string): StructureShape => ({ type: "structure", name, members: {} });
