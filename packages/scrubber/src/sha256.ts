import { createHash, hash } from "node:crypto";
import type { CreateHash } from "./core/digest.js";

/** SHA-256 by Node's own OpenSSL. Every source of a comparison must use the same hash. */
export const sha256: CreateHash = Object.assign(() => createHash("sha256"), {
  once: (bytes: Uint8Array) => hash("sha256", bytes, "binary"),
});
