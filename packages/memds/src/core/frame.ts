import { MemdsError, shown } from "./errors.js";
import { type Checksum, Reader, Writer } from "./wire.js";

const magic = 0x4d45; // "EM"
export const frameFormat = 1;
/** Everything but the payload: length, magic, format, type, request number, checksum. */
export const frameOverheadBytes = 16;

/** Numbers on the wire; never reused for another meaning. */
export const frameType = {
  lookup: 1,
  answer: 2,
  error: 3,
  hello: 4,
  challenge: 5,
  proof: 6,
  subscribe: 10,
  update: 11,
  head: 12,
  root: 20,
  split: 21,
  buckets: 22,
  descend: 23,
  fetch: 24,
  whole: 25,
  syncAnswer: 26,
} as const;

export interface Frame {
  readonly type: number;
  /** Chosen by the client; the answer carries it back, so requests may be pipelined. */
  readonly request: number;
  readonly payload: Uint8Array;
}

/** Drawn in ARCHITECTURE.md. */
export function encodeFrame({ type, request, payload }: Frame, checksum: Checksum): Uint8Array {
  const writer = new Writer(frameOverheadBytes + payload.length);
  writer.u32(frameOverheadBytes - 4 + payload.length);
  writer.u16(magic);
  writer.u8(frameFormat);
  writer.u8(type);
  writer.u32(request);
  writer.raw(payload);
  writer.u32(checksum(writer.bytes().subarray(4)));
  return writer.bytes();
}

/** One frame, whole and alone, as it comes where something else keeps frames apart. @throws MemdsError as `FrameReader.push` */
export function decodeFrame(bytes: Uint8Array, options: ConstructorParameters<typeof FrameReader>[0]): Frame {
  if (!(bytes instanceof Uint8Array))
    throw new MemdsError("ERR_MEMDS_PROTOCOL", `a frame is a Uint8Array, not ${shown(bytes)}`);
  const [frame, another] = new FrameReader(options).push(bytes);
  if (frame === undefined || another !== undefined || frame.payload.length + frameOverheadBytes !== bytes.length)
    throw new MemdsError("ERR_MEMDS_PROTOCOL", `${bytes.length} bytes are not one frame`);
  return frame;
}

/**
 * Cuts a stream of bytes into frames. What is announced as longer than the limit is refused before it is gathered, so a peer can make us hold at
 * most one frame of `frameBytesMax`. After an error the stream cannot be trusted any more: close it.
 */
export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #checksum: Checksum;
  #chunks: Uint8Array[] = [];
  #gathered = 0;
  #wanted = 4;

  constructor({ frameBytesMax, checksum }: { frameBytesMax: number; checksum: Checksum }) {
    this.#frameBytesMax = frameBytesMax;
    this.#checksum = checksum;
  }

  /** Whether a frame has begun and not ended. */
  get isInside(): boolean {
    return this.#gathered > 0;
  }

  /**
   * The frames that a chunk completes. Payloads are views into what was pushed: use them before the buffer is used again.
   * @throws MemdsError `ERR_MEMDS_PROTOCOL`, `ERR_MEMDS_CORRUPT` (checksum), `ERR_MEMDS_UNSUPPORTED` (a later format)
   */
  *push(chunk: Uint8Array): Generator<Frame, void, undefined> {
    this.#chunks.push(chunk);
    this.#gathered += chunk.length;
    while (this.#gathered >= this.#wanted) {
      const bytes = this.#joined();
      const length = new Reader(bytes, "ERR_MEMDS_PROTOCOL").u32();
      if (length < frameOverheadBytes - 4 || length + 4 > this.#frameBytesMax) {
        throw new MemdsError(
          "ERR_MEMDS_PROTOCOL",
          `a frame of ${length} bytes was announced; the limit is ${this.#frameBytesMax}`,
        );
      }
      this.#wanted = length + 4;
      if (bytes.length < this.#wanted) return;
      const frame = this.#decode(bytes.subarray(4, this.#wanted));
      this.#chunks = bytes.length === this.#wanted ? [] : [bytes.subarray(this.#wanted)];
      this.#gathered = bytes.length - this.#wanted;
      this.#wanted = 4;
      yield frame;
    }
  }

  #joined(): Uint8Array {
    if (this.#chunks.length === 1) return this.#chunks[0]!;
    const bytes = new Uint8Array(this.#gathered);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [bytes];
    return bytes;
  }

  #decode(bytes: Uint8Array): Frame {
    const reader = new Reader(bytes, "ERR_MEMDS_PROTOCOL");
    if (reader.u16() !== magic) throw reader.fault("this does not speak the memds protocol");
    const format = reader.u8();
    // The checksum stands at the end in every format, so that damage is never taken for a later format.
    const trailer = new Reader(bytes.subarray(bytes.length - 4), "ERR_MEMDS_PROTOCOL").u32();
    if (this.#checksum(bytes.subarray(0, bytes.length - 4)) !== trailer) {
      throw new MemdsError("ERR_MEMDS_CORRUPT", "a frame's checksum does not match");
    }
    if (format !== frameFormat) {
      throw new MemdsError(
        "ERR_MEMDS_UNSUPPORTED",
        `frame format ${format} is not known; this version speaks ${frameFormat}`,
      );
    }
    const type = reader.u8();
    const request = reader.u32();
    return { type, request, payload: bytes.subarray(8, bytes.length - 4) };
  }
}
