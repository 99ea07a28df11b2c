import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { tcpTransport } from "../src/transport/index.js";
import { Outgoing } from "../src/transport/outgoing.js";
import { bytes } from "./support/cluster.js";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  vi.useRealTimers();
});

/** Sockets go on, timers stand still. */
async function soon(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** How long the one timer still had to run. */
function passed(): number {
  expect(vi.getTimerCount()).toBe(1);
  for (let ms = 1; ; ms++) {
    vi.advanceTimersByTime(1);
    if (vi.getTimerCount() === 0) return ms;
  }
}

async function listening(server: Server, port = 0): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Connections that end at once, and how many there were. */
async function hopeless() {
  const ends = { accepted: 0, port: 0, close: async () => {} };
  const server = createServer((socket) => {
    ends.accepted++;
    socket.on("error", () => {}).destroy();
  });
  ends.port = await listening(server);
  ends.close = async () => {
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  open.push(ends.close);
  return ends;
}

function dialling(port: number) {
  const problems: Error[] = [];
  const outgoing = new Outgoing(
    "b",
    { host: "127.0.0.1", port },
    {
      ...{ nodeId: "a", secret: undefined, tls: undefined, queueBytesMax: 1024 },
      ...{ handshakeTimeoutMs: 1000, stallTimeoutMs: 1000, backoffMinMs: 20, backoffMaxMs: 100 },
      ...{ random: () => 0.5, now: () => 0 },
      onProblem: (_, problem) => problems.push(problem),
    },
  );
  open.push(() => outgoing.close());
  return { outgoing, problems };
}

it("is tried after longer and longer pauses, each once whatever is sent meanwhile, and after short ones again when it has worked", async () => {
  const server = await hopeless();
  const { port } = server;
  const { outgoing, problems } = dialling(port);
  const pauses: number[] = [];
  for (let failed = 1; failed <= 5; failed++) {
    outgoing.send(bytes("x"));
    await soon(() => problems.length === failed);
    expect(server.accepted).toBe(failed);
    if (failed === 5) break;
    outgoing.send(bytes("y"));
    await Promise.resolve();
    pauses.push(passed());
  }
  expect(pauses).toEqual([15, 30, 60, 75]);
  await server.close();
  const b = await tcpTransport({ nodeId: "b", port });
  open.push(() => b.close());
  b.setPeer("a", { host: "127.0.0.1", port: 1 });
  expect(passed()).toBe(75);
  await soon(() => outgoing.connected);
  await b.close();
  await soon(() => problems.length === 6);
  expect(passed()).toBe(15);
});

it("is tried at once where it has moved to, and no more where it was", async () => {
  const [before, after] = [await hopeless(), await hopeless()];
  const { outgoing, problems } = dialling(before.port);
  outgoing.send(bytes("x"));
  for (let failed = 1; failed <= 3; failed++) {
    await soon(() => problems.length === failed);
    if (failed < 3) passed();
  }
  outgoing.moveTo({ host: "127.0.0.1", port: after.port });
  expect(vi.getTimerCount()).toBe(0);
  await soon(() => problems.length === 4);
  expect([before.accepted, after.accepted]).toEqual([3, 1]);
  expect(passed()).toBe(15);
});
