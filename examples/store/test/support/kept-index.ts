import type { KeySchema } from "../../src/api/model.js";
import type { IndexToKeep } from "../../src/storage-node/maintained-index.js";

/** Of a table whose items have an `id`. */
export const tableKey: KeySchema = { partition: { name: "id", type: "S" } };

/** A global index of that table, by one attribute, as a partition keeps it. */
export const indexBy = (attribute: string, projection: "ALL" | "KEYS_ONLY"): IndexToKeep => ({
  number: 1,
  name: `by-${attribute}`,
  indexId: "i",
  keySchema: { partition: [{ name: attribute, type: "S" }], sort: [] },
  projection: { type: projection },
  tableKey,
});
