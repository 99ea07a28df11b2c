import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { badArgument } from "./core/errors.js";
import type { Audit, AuditRecord } from "./core/repair.js";
import { syncDirectory } from "./sync-directory.js";

const base64 = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/**
 * Repairs as lines of JSON at the end of a file, each durable before it counts: time, phase, replica, key and values in base64 (null: nothing),
 * who agreed, at which position, and what came of it. `before` and `value` are enough to undo a repair.
 */
export function jsonLinesAudit(path: string, now: () => Date = () => new Date()): Audit {
  if (typeof path !== "string" || path === "") throw badArgument("path", "the path of a file", path);
  let isNamed = false;
  return async ({ key, value, before, cause, ...record }: AuditRecord) => {
    const line = {
      time: now().toISOString(),
      ...record,
      key: base64(key),
      value: base64(value),
      before: base64(before),
      ...(cause === undefined ? {} : { cause: String(cause) }),
    };
    const file = await open(path, "a+");
    try {
      const { size } = await file.stat();
      const last = Buffer.from("\n");
      if (size > 0) await file.read(last, 0, 1, size - 1);
      // A crash, or a full disk, may have cut off the line before: it is not to take this one along.
      await file.writeFile(`${last[0] === 0x0a ? "" : "\n"}${JSON.stringify(line)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (!isNamed) await syncDirectory(dirname(path));
    isNamed = true;
  };
}
