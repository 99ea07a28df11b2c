import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createRouterServer } from "../src/router/http.js";
import { RpcServer } from "../src/rpc/server.js";
import { MemoryBackend } from "./memory-backend.js";

function listened(name: string, listener: (message: unknown) => void): void {
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
}

/** The server behind a port: whatever takes connections says so on Node's own channel. */
async function serverAt(port: number): Promise<Server> {
  const found = new Promise<Server>((resolve) =>
    listened("net.server.socket", (message) => {
      const { socket } = message as { socket: Socket & { server: Server } };
      if (socket.localPort === port) resolve(socket.server);
    }),
  );
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  onTestFinished(() => void socket.destroy());
  return await found;
}

test.each([
  ["a router", () => createRouterServer(new MemoryBackend())],
  ["a node", () => RpcServer.listen({} as never)],
])("%s goes on when its socket reports an error, and tells of each", async (_, open) => {
  const server = await open();
  onTestFinished(() => server.close());
  const port = "listen" in server ? (await server.listen()).port : server.port;
  const errors: unknown[] = [];
  listened("evenkeel:store:server-error", (message) => errors.push((message as { error: unknown }).error));
  const socket = await serverAt(port);

  // What a server says each time when it cannot take a connection, because the process has no descriptor left for it.
  const staged = [1, 2].map((n) => Object.assign(new Error(`accept EMFILE ${n}`), { code: "EMFILE" }));
  for (const error of staged) socket.emit("error", error);
  expect(errors).toEqual(staged);
  await serverAt(port);
});
