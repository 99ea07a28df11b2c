/** What several operations on tables take. */
import { NAME, type Shape, structure } from "./shapes.js";

export interface KeySchemaElement {
  AttributeName: string;
  KeyType: "HASH" | "RANGE";
}

export interface ThroughputRequest {
  ReadCapacityUnits: number;
  WriteCapacityUnits: number;
}

const name = { type: "string", table: true, lengthMax: 255, pattern: NAME } as const;

/** Where one is made, or asked about. */
export const optionalTableName: Shape = { ...name, lengthMin: 3 };
export const tableName: Shape = { ...optionalTableName, required: true };
/** Where items are read and written: one that is too short is one that is not there. */
export const tableOfItems = { ...name, lengthMin: 1, required: true } as const satisfies Shape;

/** What the service has and this store has not: refused by name, unless it asks for nothing. */
export const absent: Shape = {
  type: "unsupported",
  unless: (value) => value === false || (Array.isArray(value) && value.length === 0),
};

const attributeName: Shape = { type: "string", required: true, lengthMin: 1, lengthMax: 255 };
const units: Shape = { type: "integer", wire: "Long", required: true, min: 1 };

export const billingMode: Shape = { type: "string", oneOf: ["PROVISIONED", "PAY_PER_REQUEST"] };

export const throughput: Shape = structure("ProvisionedThroughput", {
  WriteCapacityUnits: units,
  ReadCapacityUnits: units,
});

export const attributeDefinitions: Shape = {
  type: "list",
  of: structure("AttributeDefinition", {
    AttributeType: { type: "string", required: true, oneOf: ["B", "N", "S"] },
    AttributeName: attributeName,
  }),
};

/** @param lengthMax of a table two; an index may have more */
export const keySchema = (lengthMax: number): Shape => ({
  type: "list",
  required: true,
  lengthMin: 1,
  lengthMax,
  of: structure("KeySchemaElement", {
    AttributeName: attributeName,
    KeyType: { type: "string", required: true, oneOf: ["HASH", "RANGE"] },
  }),
});

const anyUnits: Shape = { type: "integer", wire: "Long" };

export const onDemandThroughput: Shape = structure("OnDemandThroughput", {
  MaxReadRequestUnits: anyUnits,
  MaxWriteRequestUnits: anyUnits,
});

export const warmThroughput: Shape = structure("WarmThroughput", {
  ReadUnitsPerSecond: anyUnits,
  WriteUnitsPerSecond: anyUnits,
});

export const encryption: Shape = structure("SSESpecification", {
  Enabled: { type: "boolean" },
  SSEType: { type: "string", oneOf: ["AES256", "KMS"] },
  KMSMasterKeyId: { type: "string", lengthMin: 1 },
});
