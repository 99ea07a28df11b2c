/** What requests say of secondary indexes. */
import type { ThroughputRequests } from "../control/throughput.js";
import { NAME, type Shape, structure } from "./shapes.js";
import {
  type KeySchemaElement,
  keySchema,
  onDemandThroughput,
  type ThroughputRequest,
  throughput,
  warmThroughput,
} from "./table-parts.js";

export interface ProjectionRequest {
  ProjectionType?: "ALL" | "INCLUDE" | "KEYS_ONLY";
  NonKeyAttributes?: string[];
}

export interface LocalIndexRequest {
  IndexName: string;
  KeySchema: KeySchemaElement[];
  Projection: ProjectionRequest;
}

export interface GlobalIndexRequest extends LocalIndexRequest, ThroughputRequests {
  ProvisionedThroughput?: ThroughputRequest;
}

/** Up to four hash and four range keys: more than two only for a global index, which is checked later. */
const KEY_ELEMENTS_MAX = 8;
/** Of one index. */
const NON_KEY_ATTRIBUTES_MAX = 20;

export const indexName: Shape = {
  type: "string",
  required: true,
  pattern: NAME,
  lengthMin: 3,
  lengthMax: 255,
};

const projection: Shape = {
  ...structure("Projection", {
    ProjectionType: { type: "string", oneOf: ["ALL", "INCLUDE", "KEYS_ONLY"] },
    NonKeyAttributes: {
      type: "list",
      lengthMin: 1,
      lengthMax: NON_KEY_ATTRIBUTES_MAX,
      of: { type: "string", lengthMin: 1, lengthMax: 255 },
    },
  }),
  required: true,
};

export const localIndexes: Shape = {
  type: "list",
  of: structure("LocalSecondaryIndex", { IndexName: indexName, KeySchema: keySchema(2), Projection: projection }),
};

/** Members of a global index that is to be made. */
const globalIndexMembers: Readonly<Record<string, Shape>> = {
  IndexName: indexName,
  KeySchema: keySchema(KEY_ELEMENTS_MAX),
  Projection: projection,
  ProvisionedThroughput: throughput,
  OnDemandThroughput: onDemandThroughput,
  WarmThroughput: warmThroughput,
};

export const globalIndexes: Shape = {
  type: "list",
  of: structure("GlobalSecondaryIndex", globalIndexMembers),
};

export const globalIndexUpdates: Shape = {
  type: "list",
  of: structure("GlobalSecondaryIndexUpdate", {
    Create: structure("CreateGlobalSecondaryIndexAction", globalIndexMembers),
    Update: structure("UpdateGlobalSecondaryIndexAction", {
      IndexName: indexName,
      ProvisionedThroughput: throughput,
      OnDemandThroughput: onDemandThroughput,
      WarmThroughput: warmThroughput,
    }),
    Delete: structure("DeleteGlobalSecondaryIndexAction", { IndexName: indexName }),
  }),
};
