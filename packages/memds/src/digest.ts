import { hash, randomInt } from "node:crypto";
import { deflateRawSync, inflateRawSync, crc32 as zlibCrc32 } from "node:zlib";
import type { Hash } from "./core/node.js";
import type { AskingEdge } from "./core/sync-initiator.js";
import type { Checksum } from "./core/wire.js";

/** SHA-256: nobody can make two different trees that hash alike. The digest that a fleet's members use. */
export const sha256: Hash = (bytes) => hash("sha256", bytes, "binary");

export const crc32: Checksum = (bytes) => zlibCrc32(bytes);

/** The platform as anti-entropy needs it. */
export const syncEdge: AskingEdge = {
  hash: sha256,
  checksum: crc32,
  random: () => randomInt(2 ** 32),
  deflate: (bytes) => deflateRawSync(bytes),
  inflate: (bytes, bytesMax) => inflateRawSync(bytes, { maxOutputLength: bytesMax }),
};
