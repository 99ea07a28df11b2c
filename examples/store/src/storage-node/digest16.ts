import { createHash } from "node:crypto";
import type { Digest16 } from "../api/index-keys.js";

/** Of SHA-256 the first 16 bytes. */
export const digest16: Digest16 = (bytes) => createHash("sha256").update(bytes).digest().subarray(0, 16);
