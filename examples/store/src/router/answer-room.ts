/** What an answer says: text, bytes, or parts of such bytes, one behind the other. */
export type Body = string | Uint8Array | readonly Uint8Array[];

/** No head of this server's is longer. */
const HEAD_BYTES_MAX = 512;
/** Small, since a client that is slow keeps one; larger answers have memory of their own. */
const ROOM_BYTES = 8 * 1024;
const UTF8_BYTES_MAX = 3;

/** Where an answer is written down: what its head says of the body can be told of the bytes that go out. */
export class AnswerRoom {
  #kept: Buffer = Buffer.allocUnsafeSlow(ROOM_BYTES);
  #buffer: Buffer = this.#kept;
  #end = HEAD_BYTES_MAX;

  /** The body's bytes, until the next one is written. */
  writeBody(body: Body): Buffer {
    const bytesMax = typeof body === "string" ? body.length * UTF8_BYTES_MAX : lengthOf(body);
    this.#buffer =
      HEAD_BYTES_MAX + bytesMax <= ROOM_BYTES ? this.#kept : Buffer.allocUnsafeSlow(HEAD_BYTES_MAX + bytesMax);
    if (typeof body === "string") this.#end = HEAD_BYTES_MAX + this.#buffer.write(body, HEAD_BYTES_MAX);
    else {
      this.#end = HEAD_BYTES_MAX;
      for (const part of body instanceof Uint8Array ? [body] : body) {
        this.#buffer.set(part, this.#end);
        this.#end += part.length;
      }
    }
    return this.#buffer.subarray(HEAD_BYTES_MAX, this.#end);
  }

  /** Head and body. @param head Latin-1 */
  whole(head: string): Buffer {
    const start = HEAD_BYTES_MAX - head.length;
    if (start < 0) throw new RangeError(`a head of ${head.length} bytes`);
    this.#buffer.write(head, start, "latin1");
    return this.#buffer.subarray(start, this.#end);
  }

  /** What was written last is not all sent: it stays where it is, and the next answer goes elsewhere. Nearly always the kernel takes an answer at once, and the next one is written over it. */
  giveAway(): void {
    if (this.#buffer === this.#kept) this.#kept = Buffer.allocUnsafeSlow(ROOM_BYTES);
  }
}

function lengthOf(body: Uint8Array | readonly Uint8Array[]): number {
  if (body instanceof Uint8Array) return body.length;
  let bytes = 0;
  for (const part of body) bytes += part.length;
  return bytes;
}

/** The body in one piece. */
export function bytesOf(body: Body): Uint8Array {
  if (typeof body === "string") return Buffer.from(body, "utf8");
  return body instanceof Uint8Array ? body : Buffer.concat(body);
}
