import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { UnsupportedArchive } from "../core/archive-object.js";
import {
  type Compression,
  codecs,
  isStoredBody,
  putStoredBodyHeader,
  readStoredBodyHeader,
  storedBodyHeaderBytes,
} from "../core/stored-body.js";
import { crc } from "../fs/checksum.js";
import { badArchiveArgument } from "./errors.js";
import { sha256InTurns } from "./hashing.js";

/** Compressing pays only where it leaves at most this share of the bytes. */
const worthwhileShare = 0.9;
/** Larger content is first judged by pieces of it: random records would cost a nanosecond a byte for nothing. */
const judgedWholeBytes = 256 * 1024;
const samplePieces = 16;
const samplePieceBytes = 4096;

type Zip = (bytes: Uint8Array) => Promise<Uint8Array>;
type Unzip = (bytes: Uint8Array, maxOutputLength: number) => Promise<Uint8Array>;

/** Zstandard came with Node 22.15 and its types later. */
interface ZstdApi {
  zstdCompress?(bytes: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void): void;
  zstdDecompress?(bytes: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void): void;
}
const { zstdCompress, zstdDecompress } = zlib as ZstdApi;

const brotliCompress = promisify<Uint8Array, zlib.BrotliOptions, Uint8Array>(zlib.brotliCompress);
const brotliDecompress = promisify<Uint8Array, zlib.BrotliOptions, Uint8Array>(zlib.brotliDecompress);
const deflate = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.deflateRaw);
const inflate = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.inflateRaw);

/** One trip to the thread pool instead of one for each 16 KiB: most content shrinks to less than half. */
const zipChunk = (bytes: Uint8Array) => ({ chunkSize: Math.max(1024, bytes.length >>> 1) });
/** One more byte, so that what is longer than announced is noticed in the same trip. */
const unzipChunk = (bytesMax: number) => ({
  chunkSize: Math.max(1024, Math.min(bytesMax + 1, unzipChunkMax)),
  maxOutputLength: bytesMax,
});
/** What a header announces is not allocated before there is something to put into it. */
const unzipChunkMax = 32 * 1024 * 1024;

/** The fast end of each: what they are measured at in the README. They run off the event loop. */
const zips: Readonly<Record<Compression, Zip>> = {
  none: (bytes) => Promise.resolve(bytes),
  deflate: (bytes) => deflate(bytes, { level: 1, ...zipChunk(bytes) }),
  brotli: (bytes) => {
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
    const params = { [BROTLI_PARAM_QUALITY]: 1, [BROTLI_PARAM_SIZE_HINT]: bytes.length };
    return brotliCompress(bytes, { params, ...zipChunk(bytes) });
  },
  zstd: (bytes) => promisify(zstdCompress ?? missing)(bytes, zipChunk(bytes)),
};

const unzips: Readonly<Record<Compression, Unzip>> = {
  none: (bytes) => Promise.resolve(bytes),
  deflate: (bytes, maxOutputLength) => inflate(bytes, unzipChunk(maxOutputLength)),
  brotli: (bytes, maxOutputLength) => brotliDecompress(bytes, unzipChunk(maxOutputLength)),
  zstd: (bytes, maxOutputLength) => promisify(zstdDecompress ?? missing)(bytes, unzipChunk(maxOutputLength)),
};

function missing(_bytes: Uint8Array, _options: object, done: (error: Error | null, result: Uint8Array) => void): void {
  done(new UnsupportedArchive("zstd needs Node 22.15 or newer"), new Uint8Array(0));
}

/** The codec wanted, or an error at once where this Node does not have it. */
export function checkedCompression(wanted: Compression): Compression {
  if (!codecs.includes(wanted)) throw badArchiveArgument("compression", `one of ${codecs.join(", ")}`, wanted);
  if (wanted === "zstd" && zstdCompress === undefined) {
    throw badArchiveArgument("compression", "a codec of this Node (zstd came with 22.15)", wanted);
  }
  return wanted;
}

export interface Packed {
  readonly compression: Compression;
  readonly stored: Uint8Array;
}

/**
 * What to store for `content`. Where compressing does not pay the compression is "none" and what is stored is the content itself, or, where
 * `alwaysFramed`, header and content.
 */
export async function pack(
  content: Uint8Array,
  contentSha256: string,
  wanted: Compression,
  alwaysFramed: boolean,
): Promise<Packed> {
  const zipped = wanted === "none" ? undefined : await zipWorthwhile(content, zips[wanted]);
  if (zipped === undefined && !alwaysFramed) return { compression: "none", stored: content };
  const body = zipped ?? content;
  const compression = zipped === undefined ? "none" : wanted;
  const stored = new Uint8Array(storedBodyHeaderBytes + body.length);
  const header = { compression, contentBytes: content.length, contentSha256, bodyBytes: body.length };
  putStoredBodyHeader(stored, header, crc);
  stored.set(body, storedBodyHeaderBytes);
  return { compression, stored };
}

/**
 * The content of what is stored and its SHA-256, which is verified where there is a header that names it. Throws a plain Error. Unpacks no
 * more than `contentBytesMax`, whatever a header says.
 */
export async function unpack(
  stored: Uint8Array,
  contentBytesMax: number,
): Promise<{ readonly compression: Compression; readonly content: Uint8Array; readonly sha256: string }> {
  if (!isStoredBody(stored)) return { compression: "none", content: stored, sha256: await sha256InTurns(stored) };
  const { compression, contentBytes, contentSha256 } = readStoredBodyHeader(stored, crc);
  if (contentBytes > contentBytesMax) throw new Error(`its header announces ${contentBytes} bytes of content`);
  const body = stored.subarray(storedBodyHeaderBytes);
  const content = await unzips[compression](body, Math.max(1, contentBytes));
  if (content.length !== contentBytes || (await sha256InTurns(content)) !== contentSha256) {
    throw new Error("its content is not what its header vouches for");
  }
  return { compression, content, sha256: contentSha256 };
}

/** Whether what is stored unpacks to `content`, byte for byte. */
export async function unpacksTo(stored: Uint8Array, content: Uint8Array): Promise<boolean> {
  const { compression, contentBytes } = readStoredBodyHeader(stored, crc);
  if (contentBytes !== content.length) return false;
  const unpacked = await unzips[compression](stored.subarray(storedBodyHeaderBytes), contentBytes);
  return Buffer.compare(unpacked, content) === 0;
}

async function zipWorthwhile(content: Uint8Array, zip: Zip): Promise<Uint8Array | undefined> {
  if (content.length > judgedWholeBytes) {
    const sample = sampleOf(content);
    if ((await zip(sample)).length > sample.length * worthwhileShare) return undefined;
  }
  const zipped = await zip(content);
  return zipped.length + storedBodyHeaderBytes > content.length * worthwhileShare ? undefined : zipped;
}

/** Pieces of the whole length. What repeats only at a distance is not seen in them. */
function sampleOf(content: Uint8Array): Uint8Array {
  const sample = new Uint8Array(samplePieces * samplePieceBytes);
  const step = Math.floor((content.length - samplePieceBytes) / (samplePieces - 1));
  for (let n = 0; n < samplePieces; n++) {
    sample.set(content.subarray(n * step, n * step + samplePieceBytes), n * samplePieceBytes);
  }
  return sample;
}
