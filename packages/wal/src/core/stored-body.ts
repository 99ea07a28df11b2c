import { getHex, putHex, UnsupportedArchive } from "./archive-object.js";
import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48 } from "./bytes.js";

/**
 * What stands before content that is stored under a codec. Codecs' output differs between versions of their libraries, so the identity of what is
 * stored is that of the content: its SHA-256 stands here, beside the content's length, which bounds what a reader unpacks.
 */
export const storedBodyVersion = 1;
export const storedBodyHeaderBytes = 60;
const magic = 0x5a_4b_56_45; // "EVKZ"

/** Numbers on disk; never used for anything else again. */
export const codecs = ["none", "deflate", "brotli", "zstd"] as const;
export type Compression = (typeof codecs)[number];

export interface StoredBody {
  readonly compression: Compression;
  readonly contentBytes: number;
  readonly contentSha256: string;
  /** Bytes behind the header. */
  readonly bodyBytes: number;
}

export function putStoredBodyHeader(target: Uint8Array, body: StoredBody, crc: Crc): void {
  putU32(target, 0, magic);
  putU16(target, 4, storedBodyVersion);
  target[6] = codecs.indexOf(body.compression);
  target[7] = 0;
  putU48(target, 8, body.contentBytes);
  putU48(target, 14, body.bodyBytes);
  putU32(target, 20, 0);
  putHex(target, 24, body.contentSha256);
  putU32(target, 56, crc(target.subarray(0, 56)));
}

export function isStoredBody(bytes: Uint8Array): boolean {
  return bytes.length >= storedBodyHeaderBytes && getU32(bytes, 0) === magic;
}

/** Throws a plain Error that says what is wrong. */
export function readStoredBodyHeader(bytes: Uint8Array, crc: Crc): StoredBody {
  if (!isStoredBody(bytes)) throw new Error("not an archived body");
  if (crc(bytes.subarray(0, 56)) !== getU32(bytes, 56)) throw new Error("the body's header is damaged");
  const version = getU16(bytes, 4);
  const compression = codecs[bytes[6] as number];
  if (version !== storedBodyVersion) throw new UnsupportedArchive(`format version ${version} of the body`);
  if (compression === undefined) throw new UnsupportedArchive(`codec ${bytes[6]}`);
  const bodyBytes = getU48(bytes, 14);
  if (bytes.length !== storedBodyHeaderBytes + bodyBytes) throw new Error("its length contradicts its header");
  return { compression, contentBytes: getU48(bytes, 8), contentSha256: getHex(bytes, 24, 32), bodyBytes };
}
