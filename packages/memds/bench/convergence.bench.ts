import { connect, createServer, type Server } from "node:net";
import type { Bench } from "../../../scripts/bench-types.js";
import { type Change, MemdsServer } from "../src/index.js";
import { cpuMs, entries, keyOf, partitions, seeded, tables } from "./partitions.js";

const hashBytes = 4;
/** 1 % of the partitions: half of them with another value, half new, as splits all over the tables make them. */
const splits = partitions / 200;

/** Passes everything on, and counts it. */
async function counting(target: MemdsServer): Promise<{ server: Server; port: number; bytes(): number }> {
  let bytes = 0;
  const server = createServer((socket) => {
    const through = connect(target.port, target.host);
    for (const [from, to] of [
      [socket, through],
      [through, socket],
    ] as const) {
      from.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as { port: number }).port, bytes: () => bytes };
}

let ahead: MemdsServer;
let former: Uint8Array = new Uint8Array(0);
let differingBytes = 0;

function changes(): Change[] {
  const random = seeded(5);
  const below = (limit: number) => Math.floor(random() * limit);
  const chosen = new Map<number, Change[]>();
  const hash = new Uint8Array(hashBytes);
  while (chosen.size < splits) {
    const i = below(partitions);
    const inTable = i % (partitions / tables);
    const from = Math.floor((inTable / (partitions / tables)) * 2 ** 32);
    const at = (offset: number) => {
      new DataView(hash.buffer).setUint32(0, from + offset);
      return keyOf(Math.floor(i / (partitions / tables)), hash);
    };
    const value = () => Uint8Array.of(below(256), below(256), below(256), 200 + below(50), below(30), below(30));
    chosen.set(i, [
      { key: at(0), value: value() },
      { key: at(1 + below(4_000_000)), value: value() },
    ]);
  }
  return [...chosen.values()].flat();
}

/** 1.2 times the keys and values that differ, and 64 KB. */
const goalKb = (1.2 * splits * 2 * (7 + hashBytes + 6) + 65_536) / 1000;

export default {
  name: "two members of 1,000,000 partitions that differ in 1 % of them become equal",
  metrics: { shipped: { unit: "KB", better: "lower" }, cpu: { unit: "CPU-s, both", better: "lower" } },
  subjects: {
    evenkeel: {
      note: "over TCP, every byte of both directions counted",
      open: async () => {
        ahead = await MemdsServer.listen();
        ahead.load({ version: 1, entries: entries(hashBytes) });
        former = ahead.snapshot();
        const different = changes();
        differingBytes = different.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
        ahead.apply({ version: 2, changes: different });
        void ahead.rootHash;
      },
      run: async () => {
        const path = await counting(ahead);
        const behind = await MemdsServer.listen({ antiEntropyMs: 1, silenceMs: 60_000 });
        behind.loadSnapshot(former);
        void behind.rootHash;
        const startMs = cpuMs();
        behind.setPeers([{ host: "127.0.0.1", port: path.port }]);
        while (behind.version !== 2) await new Promise((resolve) => setTimeout(resolve, 5));
        const cpu = (cpuMs() - startMs) / 1000;
        const shipped = path.bytes() / 1000;
        if (Buffer.compare(behind.rootHash ?? former, ahead.rootHash ?? former) !== 0) throw new Error("roots differ");
        await behind.close();
        path.server.close();
        return { shipped, cpu };
      },
      close: () => ahead.close(),
    },
    limit: {
      note: "the keys and values that differ, as if somebody knew which",
      run: () => ({ shipped: differingBytes / 1000, cpu: 0 }),
    },
  },
  goals: [{ metric: "shipped", atMost: goalKb }],
} satisfies Bench;
