import { channel } from "node:diagnostics_channel";
import { createServer, type Server, type Socket } from "node:net";
import { FrameReader } from "@evenkeel/paxos/transport";
import { StoreError } from "../storage-node/errors.js";
import { eachMessage, type Message, readRequest, writeError, writeResult } from "./messages.js";
import type { Handlers, Method } from "./protocol.js";
import { FRAME_BYTES_MAX, MessageSocket } from "./socket.js";

/** Requests under way on one connection, past which its socket is not read. */
const IN_FLIGHT_MAX = 4_096;

/** By name. To ask an object of so many properties for one of them costs several times as much. */
type Methods = ReadonlyMap<string, Handlers[Method]>;

/** Published with `{ error }` when no connection could be taken, such as for want of file descriptors; those that there are go on. */
const serverErrors = channel("evenkeel:store:server-error");

/** Answers a node's methods over TCP: length-prefixed, versioned, checksummed frames, any number in flight. */
export class RpcServer {
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly port: number;

  private constructor(server: Server, sockets: Set<Socket>, port: number) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = port;
  }

  static async listen(handlers: Handlers, { host = "127.0.0.1", port = 0 } = {}): Promise<RpcServer> {
    const sockets = new Set<Socket>();
    const methods: Methods = new Map(Object.entries(handlers));
    const server = createServer({ noDelay: true }, (socket) => serve(socket, sockets, methods));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        server.on("error", (error) => serverErrors.publish({ error }));
        resolve();
      });
    });
    const address = server.address();
    return new RpcServer(server, sockets, typeof address === "object" && address !== null ? address.port : port);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** One connection: frames in, answers out in the order in which they are ready. */
function serve(socket: Socket, sockets: Set<Socket>, methods: Methods): void {
  sockets.add(socket);
  const reader = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX });
  const out = new MessageSocket(socket);
  let inFlight = 0;
  const answerLater = async (id: number, method: string, promised: Promise<unknown>): Promise<void> => {
    inFlight++;
    if (inFlight >= IN_FLIGHT_MAX) socket.pause();
    try {
      writeResult(out, id, method, await promised);
    } catch (error) {
      writeError(out, id, error);
    } finally {
      inFlight--;
      if (inFlight < IN_FLIGHT_MAX && socket.isPaused()) socket.resume();
    }
  };
  const take = (...message: Message): void => {
    const { id, method, params } = readRequest(...message);
    try {
      const handler = methods.get(method);
      if (handler === undefined) throw new StoreError("ERR_STORE_FORMAT", `unknown method ${method}`);
      const result: unknown = handler(params as never);
      if (result instanceof Promise) void answerLater(id, method, result);
      else writeResult(out, id, method, result);
    } catch (error) {
      writeError(out, id, error);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      reader.push(chunk);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) eachMessage(frame.payload, take);
    } catch {
      // Garbage, a foreign protocol, or a frame over the bound: nothing on this connection can be trusted any more.
      socket.destroy();
    }
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => sockets.delete(socket));
}
