import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import type { Hash } from "./core/node.js";
import type { Checksum } from "./core/wire.js";

/** SHA-256: nobody can make two different trees that hash alike. The digest that a fleet's members use. */
export const sha256: Hash = (bytes) => createHash("sha256").update(bytes).digest();

export const crc32: Checksum = (bytes) => zlibCrc32(bytes);
