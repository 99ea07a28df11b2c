/** What several operations on items take. */
import type { Shape } from "./shapes.js";

export type CapacityDetail = "INDEXES" | "TOTAL" | "NONE";

export const key: Shape = { type: "item", required: true };
export const expression: Shape = { type: "string" };
export const names: Shape = { type: "map", of: { type: "string" } };
export const values: Shape = { type: "item" };
export const capacityDetail: Shape = { type: "string", oneOf: ["INDEXES", "TOTAL", "NONE"] };
export const returnedOnFailure: Shape = { type: "string", oneOf: ["ALL_OLD", "NONE"] };
export const collectionMetrics = { type: "string", oneOf: ["SIZE", "NONE"] } as const satisfies Shape;
