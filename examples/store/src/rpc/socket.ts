import type { Socket } from "node:net";

/** Largest request or answer between router and node: a page of 1 MB and an item of 400 KB with room to spare. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** A `send` that puts all frames of one turn of the event loop into one write. */
export function writeCoalesced(socket: Socket): (frame: Uint8Array) => void {
  let frames: Uint8Array[] = [];
  const flush = () => {
    const waiting = frames;
    frames = [];
    if (!socket.destroyed) socket.write(waiting.length === 1 ? (waiting[0] as Uint8Array) : Buffer.concat(waiting));
  };
  return (frame) => {
    if (frames.push(frame) === 1) setImmediate(flush);
  };
}
