import { crc32 } from "node:zlib";
import { checkInteger, PaxosError } from "../core/errors.js";

/*
 * A frame on a connection (numbers little-endian):
 *
 *    0        2         3      4             8          12
 *   +--------+---------+------+-------------+----------+---------------- - - -+
 *   | "Ek"   | version | kind | length      | crc32    | payload (length bytes)|
 *   +--------+---------+------+-------------+----------+---------------- - - -+
 *
 * The checksum covers bytes 0..7 and the payload: a flipped bit in `length` cannot make the reader take the next frame for a part of this one
 * and still believe it. What `kind` means is the connection's own business.
 */
export const frameVersion = 1;
export const frameHeaderBytes = 12;
const magic = 0x6b45;

export interface Frame {
  readonly kind: number;
  /** A view on the bytes as they were received, the taker's own; keeping a small one may keep up to 64 KiB around it alive. */
  readonly payload: Uint8Array;
}

/**
 * CRC-32 of the eight bytes at `at`. Here and not in zlib: for so few bytes the call, and the view that it wants, cost many times as much as the sum.
 */
function crcOfHead(bytes: Uint8Array, at: number): number {
  let crc = -1;
  for (let i = at; i < at + 8; i++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/** zlib takes nothing at no address for the beginning of a sum, and there an empty array is whose buffer anybody has asked for. */
function crcOf(payload: Uint8Array, head: number): number {
  return payload.length === 0 ? head : crc32(payload, head);
}

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});

/** One frame in a buffer of its own. `kind` from 0 to 255. */
export function encodeFrame(payload: Uint8Array, kind = 0): Buffer {
  const out = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  writeFrame(out, 0, payload, kind);
  return out;
}

/** Writes one frame at `offset` and returns the offset behind it; the caller made room for `frameHeaderBytes + payload.length`. */
export function writeFrame(out: Buffer, offset: number, payload: Uint8Array, kind: number): number {
  writeHeader(out, offset, payload, kind);
  out.set(payload, offset + frameHeaderBytes);
  return offset + frameHeaderBytes + payload.length;
}

let lastPayload: Uint8Array | undefined;
let lastFrame: Buffer = Buffer.alloc(0);

/** A frame with this payload, which is not changed any more: the very same bytes again when it was asked for last, for another peer, in this turn. */
export function sharedFrame(payload: Uint8Array, kind: number): Buffer {
  if (payload === lastPayload && lastFrame[3] === kind) return lastFrame;
  lastPayload = payload;
  lastFrame = encodeFrame(payload, kind);
  return lastFrame;
}

/** The header alone, for a payload that is written behind it as it is, and is not changed any more: to another peer, perhaps, as well. */
export function frameHeader(payload: Uint8Array, kind: number): Buffer {
  const known = headers.get(payload);
  if (known !== undefined && known[3] === kind) return known;
  const out = Buffer.allocUnsafeSlow(frameHeaderBytes);
  writeHeader(out, 0, payload, kind);
  headers.set(payload, out);
  return out;
}

/** As long as the payload is still to be sent to somebody. */
const headers = new WeakMap<Uint8Array, Buffer>();

function writeHeader(out: Buffer, offset: number, payload: Uint8Array, kind: number): void {
  out.writeUInt16LE(magic, offset);
  out[offset + 2] = frameVersion;
  out[offset + 3] = kind;
  out.writeUInt32LE(payload.length, offset + 4);
  const crc = crcOf(payload, crcOfHead(out, offset));
  out.writeUInt32LE(crc, offset + 8);
}

/**
 * Cuts a byte stream into frames. `push` what arrives, then take frames with `next` until it returns undefined. Memory is bounded by what was
 * pushed and not yet taken: an announced length is believed only up to `frameBytesMax`, and nothing is reserved for it in advance.
 * After an error (`ERR_PAXOS_FRAME`) the stream cannot be trusted any more; drop the connection.
 */
export class FrameReader {
  /** Largest payload accepted, in bytes. May be raised in the middle of a stream, once the other side has proved who it is. */
  frameBytesMax: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #offset = 0;

  constructor({ frameBytesMax }: { frameBytesMax: number } = {} as never) {
    this.frameBytesMax = checkInteger("frameBytesMax", frameBytesMax, 1, 0xffff_ffff);
  }

  get bytesBuffered(): number {
    return this.#length;
  }

  /** Takes what arrived. The bytes are kept as they are, not copied, until they have been read: they must not change. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#length += chunk.length;
  }

  /** The next whole frame, undefined where more has to come. @throws PaxosError ERR_PAXOS_FRAME, after which nothing more can be read. */
  next(): Frame | undefined {
    if (this.#length < frameHeaderBytes) return undefined;
    const head = this.#front(frameHeaderBytes);
    const at = this.#offset;
    if (head.readUInt16LE(at) !== magic) throw new PaxosError("ERR_PAXOS_FRAME", "these bytes are not a frame of ours");
    if (head[at + 2] !== frameVersion) {
      throw new PaxosError(
        "ERR_PAXOS_FRAME",
        `frame version ${head[at + 2]} is unknown, this side speaks ${frameVersion}`,
      );
    }
    const length = head.readUInt32LE(at + 4);
    if (length > this.frameBytesMax) {
      throw new PaxosError(
        "ERR_PAXOS_FRAME",
        `a frame of ${length} bytes is announced, at most ${this.frameBytesMax} are taken`,
      );
    }
    if (this.#length < frameHeaderBytes + length) return undefined;
    const whole = this.#front(frameHeaderBytes + length);
    const start = this.#offset;
    const payload = whole.subarray(start + frameHeaderBytes, start + frameHeaderBytes + length);
    if (crcOf(payload, crcOfHead(whole, start)) !== whole.readUInt32LE(start + 8)) {
      throw new PaxosError("ERR_PAXOS_FRAME", `a frame of ${length} bytes does not match its checksum`);
    }
    this.#drop(frameHeaderBytes + length);
    return { kind: whole[start + 3] as number, payload };
  }

  /**
   * A buffer that holds the next `bytes` in one piece from `#offset` on; joins chunks only when a frame straddles them. What was taken already is left behind: else each large frame would be
   * copied, and kept in memory, together with the one before it.
   */
  #front(bytes: number): Buffer {
    const first = this.#chunks[0] as Buffer;
    if (first.length - this.#offset >= bytes) return first;
    const pieces = [first.subarray(this.#offset)];
    let joined = first.length - this.#offset;
    while (joined < bytes) {
      const next = this.#chunks[pieces.length] as Buffer;
      pieces.push(next);
      joined += next.length;
    }
    const whole = Buffer.concat(pieces, joined);
    this.#chunks.splice(0, pieces.length, whole);
    this.#offset = 0;
    return whole;
  }

  #drop(bytes: number): void {
    this.#length -= bytes;
    this.#offset += bytes;
    if (this.#offset === (this.#chunks[0] as Buffer).length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
  }
}
