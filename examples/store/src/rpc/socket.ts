import type { Socket } from "node:net";
import { frameHeaderBytes, writeFrame } from "@evenkeel/paxos/transport";
import { beginPayload, type MessageSink } from "./messages.js";

/** Largest frame between router and node: a page of 1 MB and an item of 400 KB with room to spare. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** A frame of usual size; a message that does not fit goes into a frame of its own. */
const BUFFER_BYTES = 64 * 1024;
const BUFFERS_KEPT_MAX = 4;

/** Gathers all messages of one turn of the event loop in one frame, with one checksum, and one write. Written in place, into buffers that are used again. */
export class MessageSocket implements MessageSink {
  readonly #socket: Socket;
  readonly #free: Buffer[] = [];
  #end = 0;
  #scheduled = false;
  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    this.#flush();
  };
  buffer: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Something goes out at the end of this turn. */
  get isDue(): boolean {
    return this.#scheduled;
  }

  reserve(bytes: number): number {
    if (this.#end > 0 && this.#end + bytes > this.buffer.length) this.#flush();
    if (this.#end === 0) this.#open(bytes);
    const at = this.#end;
    this.#end += bytes;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onTurnEnd);
    }
    return at;
  }

  #open(bytes: number): void {
    const wanted = frameHeaderBytes + 1 + bytes;
    this.buffer =
      wanted > BUFFER_BYTES
        ? Buffer.allocUnsafeSlow(wanted)
        : (this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES));
    this.#end = frameHeaderBytes + beginPayload(this.buffer, frameHeaderBytes);
  }

  #flush(): void {
    if (this.#end === 0) return;
    const { buffer } = this;
    const end = this.#end;
    this.#end = 0;
    if (this.#socket.destroyed) return;
    // The payload stands where the frame wants it.
    writeFrame(buffer, 0, buffer.subarray(frameHeaderBytes, end), 0);
    const isUsual = buffer.length === BUFFER_BYTES;
    this.#socket.write(buffer.subarray(0, end), () => {
      if (isUsual && this.#free.length < BUFFERS_KEPT_MAX) this.#free.push(buffer);
    });
  }
}
