import { open } from "node:fs/promises";
import { badArgument } from "./core/errors.js";
import type { Audit, AuditRecord } from "./core/repair.js";

const base64 = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/**
 * Repairs as lines of JSON at the end of a file, each durable before it counts: time, phase, replica, key and values in base64 (null: nothing),
 * who agreed, at which position, and what came of it. `before` and `value` are enough to undo a repair.
 */
export function jsonLinesAudit(path: string, now: () => Date = () => new Date()): Audit {
  if (typeof path !== "string" || path === "") throw badArgument("path", "the path of a file", path);
  return async ({ key, value, before, cause, ...record }: AuditRecord) => {
    const line = {
      time: now().toISOString(),
      ...record,
      key: base64(key),
      value: base64(value),
      before: base64(before),
      ...(cause === undefined ? {} : { cause: String(cause) }),
    };
    const file = await open(path, "a");
    try {
      await file.writeFile(`${JSON.stringify(line)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
  };
}
