/** What several operations on tables take. */
import type { Shape } from "./shapes.js";

export interface KeySchemaElement {
  AttributeName: string;
  KeyType: "HASH" | "RANGE";
}

export interface ThroughputRequest {
  ReadCapacityUnits: number;
  WriteCapacityUnits: number;
}

const name = { type: "string", table: true, lengthMax: 255, pattern: /^[a-zA-Z0-9_.-]+$/ } as const;

/** Where one is made, or asked about. */
export const optionalTableName: Shape = { ...name, lengthMin: 3 };
export const tableName: Shape = { ...optionalTableName, required: true };
/** Where items are read and written: one that is too short is one that is not there. */
export const tableOfItems: Shape = { ...name, lengthMin: 1, required: true };

const attributeName: Shape = { type: "string", required: true, lengthMin: 1, lengthMax: 255 };
const units: Shape = { type: "integer", wire: "Long", required: true, min: 1 };

export const billingMode: Shape = { type: "string", oneOf: ["PROVISIONED", "PAY_PER_REQUEST"] };

export const throughput: Shape = {
  type: "structure",
  name: "ProvisionedThroughput",
  members: { WriteCapacityUnits: units, ReadCapacityUnits: units },
};

export const attributeDefinitions: Shape = {
  type: "list",
  of: {
    type: "structure",
    name: "AttributeDefinition",
    members: {
      AttributeName: attributeName,
      AttributeType: { type: "string", required: true, oneOf: ["B", "N", "S"] },
    },
  },
};

/** @param lengthMax of a table two; an index may have more */
export const keySchema = (lengthMax: number): Shape => ({
  type: "list",
  required: true,
  lengthMin: 1,
  lengthMax,
  of: {
    type: "structure",
    name: "KeySchemaElement",
    members: { AttributeName: attributeName, KeyType: { type: "string", required: true, oneOf: ["HASH", "RANGE"] } },
  },
});

/** The service encrypts in ways of its own; who asks for none of them has all there is. */
export const encryption: Shape = {
  type: "unsupported",
  unless: (value) => (value as { Enabled?: unknown }).Enabled === false,
};
