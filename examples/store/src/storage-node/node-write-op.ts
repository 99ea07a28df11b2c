import type { WriteOp } from "../api/model.js";

type Put = Extract<WriteOp, { kind: "put" }>;
type Delete = Extract<WriteOp, { kind: "delete" }>;

/**
 * A write as the leader gets it: the item to put is checked, measured and in the form in which it is stored, so that nobody on its way takes it
 * apart again. `json` is the protocol's JSON in UTF-8, numbers normalized.
 */
export type NodeWriteOp =
  | Exclude<WriteOp, Put | Delete>
  /** `expired`: nobody asked for it, the item's time is up. */
  | (Delete & { readonly expired?: true })
  | (Omit<Put, "item"> & { readonly json: Uint8Array; readonly itemSizeBytes: number });
