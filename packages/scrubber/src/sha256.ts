import { createHash } from "node:crypto";
import type { IncrementalHash } from "./core/digest.js";

/** SHA-256 by Node's own OpenSSL. Every source of a comparison must use the same hash. */
export function sha256(): IncrementalHash {
  return createHash("sha256");
}
