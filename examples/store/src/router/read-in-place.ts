import { Socket } from "node:net";

/** Where what arrives is read to: one for all connections, since what was read is taken before anything else is. As much as Node.js takes for a read. */
const room = Buffer.allocUnsafeSlow(64 * 1024);

interface Names {
  readonly buffer: symbol;
  readonly callback: symbol;
}

/** What Node.js keeps `onread` under on a socket; undefined: it no longer does. */
const names = ((): Names | undefined => {
  const socket = new Socket({ onread: { buffer: room, callback: () => true } } as object);
  const [buffer, callback] = ["kBuffer", "kBufferCb"].map((name) =>
    Object.getOwnPropertySymbols(socket).find(({ description }) => description === name),
  );
  socket.destroy();
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
})();

interface Accepted {
  readonly _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
  [name: symbol]: unknown;
}

/**
 * Calls `take` with what arrives on an accepted connection, in place of the event `data`: with a view of memory that the next read is written to, on whatever connection.
 *
 * Node.js takes 64 KiB for each read otherwise, gives back what is left of them, and sends the rest through a stream: together a tenth of all the processor time of a GetItem. Who opens a connection has `onread` for that. On
 * accepted ones Node.js knows the same, but offers it to nobody, so it is set up here as `net.connect` does; where a Node.js does it in some other way, what arrives comes from the event.
 * @returns how to stop: from then on there are events
 */
export function readInPlace(socket: Socket, take: (arrived: Buffer) => void): () => void {
  const accepted = socket as unknown as Accepted;
  if (names === undefined || accepted._handle?.useUserBuffer === undefined) {
    socket.on("data", take);
    return () => socket.off("data", take);
  }
  let taken = true;
  accepted[names.buffer] = room;
  accepted[names.callback] = (length: number): boolean => {
    const arrived = room.subarray(0, length);
    if (!taken) return socket.push(Buffer.from(arrived));
    take(arrived);
    return true;
  };
  accepted._handle.useUserBuffer(room);
  return () => {
    taken = false;
  };
}
