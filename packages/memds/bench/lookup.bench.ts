import type { Bench } from "../../../scripts/bench-types.js";
import { MemdsClient, MemdsServer, type Query } from "../src/index.js";

const partitions = 100_000;
const queriesPerRequest = 256;
const requestsUnderWay = 4;

const key = (n: number) => {
  const bytes = Buffer.from("orders/0000", "latin1");
  bytes.writeUInt32BE(n >>> 0, 7);
  return new Uint8Array(bytes);
};
const spread = (n: number) => Math.imul(n, 2654435761);
const requests: Query[][] = Array.from({ length: 64 }, (_, r) =>
  Array.from({ length: queriesPerRequest }, (_, q) => ({ kind: "floor", key: key(spread(r * 1000 + q)) })),
);

let server: MemdsServer;
let client: MemdsClient;
const open = async () => {
  server ??= await MemdsServer.listen();
  if (server.version !== undefined) return;
  const entries = Array.from({ length: partitions }, (_, i) => ({
    key: key(Math.floor((i / partitions) * 2 ** 32)),
    value: Uint8Array.of(1, 2, 3, 4, 5, 6),
  }));
  server.load({ version: 1, entries });
};

async function rate(): Promise<Record<string, number>> {
  const start = performance.now();
  const cpuBefore = process.cpuUsage();
  let done = 0;
  const worker = async (first: number) => {
    for (let r = first; performance.now() - start < 800; r++) {
      done += (await client.lookup(requests[r % requests.length]!)).length;
    }
  };
  await Promise.all(Array.from({ length: requestsUnderWay }, (_, i) => worker(i * 7)));
  const { user, system } = process.cpuUsage(cpuBefore);
  return { rate: done / (performance.now() - start), perCpuSecond: done / ((user + system) / 1000) };
}

const subject = (connect: () => void) => ({
  open: async () => {
    await open();
  },
  run: async () => {
    connect();
    try {
      return await rate();
    } finally {
      await client.close();
    }
  },
});

export default {
  name: `floor queries, ${queriesPerRequest} in a request, client and server in one thread`,
  metrics: {
    rate: { unit: "K queries/s", better: "higher" },
    perCpuSecond: { unit: "K queries/CPU-s", better: "higher" },
  },
  subjects: {
    evenkeel: {
      note: "TCP over loopback, framed, checksummed",
      ...subject(() => {
        client = new MemdsClient({ servers: [{ host: server.host, port: server.port }], timeoutMs: 10_000 });
      }),
      close: async () => {
        await server.close();
      },
    },
    limit: {
      note: "the same server asked in process, no socket",
      ...subject(() => {
        client = new MemdsClient({ servers: [server], timeoutMs: 10_000 });
      }),
    },
  },
} satisfies Bench;
