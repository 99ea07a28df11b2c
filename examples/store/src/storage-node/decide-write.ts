import type { Item } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { assertCondition, evaluateWrite } from "../api/write.js";
import type { Write } from "./command.js";
import type { NodeWriteOp } from "./node-write-op.js";

/** What a write comes to. */
export interface Decided {
  readonly write: Write;
  readonly attributes?: Item;
  /** Absent: there is none; not said of a put. */
  readonly after?: Item;
}

/** @throws as `evaluateWrite` */
export function decided(key: Uint8Array, op: NodeWriteOp, before: Item | undefined): Decided {
  if (op.kind === "put") {
    assertCondition(op, before);
    const write = { op: "put", key, bytes: op.json, itemSizeBytes: op.itemSizeBytes } as const;
    return op.returnValues === "ALL_OLD" && before !== undefined ? { write, attributes: before } : { write };
  }
  const { after, attributes } = evaluateWrite(op, before);
  const write: Write =
    after === undefined
      ? { op: "delete", key }
      : { op: "put", key, bytes: Buffer.from(JSON.stringify(after)), itemSizeBytes: itemBytes(after) };
  return { write, ...(attributes && { attributes }), ...(after && { after }) };
}
