/** What UpdateTable takes. */
import { type StreamSpecification, streamSpecification } from "../streams/specification.js";
import type { StructureShape } from "./shapes.js";

export interface UpdateTableRequest {
  TableName: string;
  StreamSpecification?: StreamSpecification;
}

export const updateTable: StructureShape = {
  type: "structure",
  name: "UpdateTableInput",
  members: {
    TableName: { type: "table-name", required: true },
    StreamSpecification: streamSpecification,
    AttributeDefinitions: { type: "unsupported", unless: (value) => Array.isArray(value) && value.length === 0 },
    BillingMode: { type: "unsupported" },
    ProvisionedThroughput: { type: "unsupported" },
    GlobalSecondaryIndexUpdates: { type: "unsupported", unless: (value) => Array.isArray(value) && value.length === 0 },
    DeletionProtectionEnabled: { type: "unsupported" },
    OnDemandThroughput: { type: "unsupported" },
    ReplicaUpdates: { type: "unsupported", unless: (value) => Array.isArray(value) && value.length === 0 },
    SSESpecification: { type: "unsupported" },
    TableClass: { type: "unsupported" },
    WarmThroughput: { type: "unsupported" },
  },
};
