import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConstantWorkCache } from "@evenkeel/constant-work-cache";
import {
  type Answer,
  crc32,
  encodeSnapshot,
  type Found,
  type FoundPlace,
  MemdsClient,
  RangeTree,
  sha256,
} from "@evenkeel/memds";
import type { Bench, Subject } from "../../../scripts/bench-types.js";

const KEYS = 100_000;
const TABLES = 1_000;
const GETS_PER_TURN = 2_048;
const FRAMES_UNDER_WAY = 4;
const TURN_MS = 1_200;

/** `t00042/8f3a`: a table, and where on the ring of hashes. The partition of a key is the floor of it. */
const keys = Array.from({ length: KEYS }, (_, i) => {
  const hash = Math.floor(((i % (KEYS / TABLES)) / (KEYS / TABLES)) * 0x1_0000);
  return `t${String(Math.floor(i / (KEYS / TABLES))).padStart(5, "0")}/${hash.toString(16).padStart(4, "0")}`;
});

interface Route {
  readonly version: number;
  readonly partition: number;
  readonly leader: number;
  readonly followers: number;
}

/** The partition's number in three bytes, then the nodes of its three replicas. */
function routeOf({ version, bytes, valueStart }: FoundPlace): Route {
  const at = (i: number) => bytes[valueStart + i] as number;
  return {
    version,
    partition: at(0) | (at(1) << 8) | (at(2) << 16),
    leader: at(3),
    followers: at(4) | (at(5) << 8),
  };
}

/** Zipf-like: a few keys take most of the traffic. */
const traffic = (() => {
  let seed = 42;
  const next = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  return Array.from({ length: 1 << 17 }, () => keys[(Math.floor(KEYS ** next()) * 7919) % KEYS] as string);
})();

/** A member of the fleet in a process of its own, as one runs it: what is measured here is the client's work alone. */
const member = { users: 0, dir: "", process: undefined as ChildProcess | undefined, port: 0 };

async function open(): Promise<void> {
  if (member.users++ > 0) return;
  member.dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
  const encoder = new TextEncoder();
  const partitions = keys.map((key, i) => ({
    key: encoder.encode(key),
    value: Uint8Array.of(i, i >> 8, i >> 16, i % 30, (i + 11) % 30, (i + 7) % 30),
  }));
  const snapshot = join(member.dir, "partitions");
  await writeFile(snapshot, encodeSnapshot({ version: 1, tree: RangeTree.from(partitions, sha256) }, crc32));
  const program = join(dirname(fileURLToPath(import.meta.resolve("@evenkeel/memds"))), "evenkeel-memds.js");
  const child = spawn(process.execPath, [program, "--snapshot", snapshot], { stdio: ["ignore", "pipe", "inherit"] });
  member.process = child;
  let said = "";
  for await (const text of child.stdout) {
    said += String(text);
    const port = /:(\d+)\n[\s\S]*ready/.exec(said)?.[1];
    if (port === undefined) continue;
    member.port = Number(port);
    break;
  }
  if (member.port === 0) throw new Error(`the member ended: ${said}`);
}

async function close(): Promise<void> {
  if (--member.users > 0) return;
  member.process?.kill();
  await rm(member.dir, { recursive: true, force: true });
}

/** Lets so many calls run, and waits without working while they do. */
class Pace {
  #running = 0;
  #wake: () => void = () => {};

  async room(): Promise<void> {
    while (this.#running >= FRAMES_UNDER_WAY) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async through<T>(call: Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await call;
    } finally {
      this.#running--;
      this.#wake();
    }
  }
}

type Routes = Pick<ConstantWorkCache<string, unknown>, "get" | "peek" | "stats" | "close">;

function refreshing(note: string, cacheOver: (client: MemdsClient, pace: Pace) => Routes): Subject {
  return {
    note,
    open,
    close,
    async run() {
      const client = new MemdsClient({ servers: [{ host: "127.0.0.1", port: member.port }], timeoutMs: 60_000 });
      const pace = new Pace();
      const cache = cacheOver(client, pace);
      let at = 0;
      const turn = async (get: (key: string) => unknown, from: readonly string[]) => {
        for (let i = 0; i < GETS_PER_TURN; i++) get(from[at++ % from.length] as string);
        await new Promise((resolve) => setImmediate(resolve));
        await pace.room();
      };
      while (cache.stats().lookups < KEYS) await turn((key) => cache.peek(key), keys);
      const idle = async () => {
        while (cache.stats().inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      };
      await idle();
      const before = cache.stats();
      const startMs = performance.now();
      const cpu = process.cpuUsage();
      while (performance.now() - startMs < TURN_MS) await turn((key) => cache.get(key), traffic);
      await idle();
      const { user, system } = process.cpuUsage(cpu);
      const after = cache.stats();
      cache.close();
      await client.close();
      const gets = after.gets - before.gets;
      const refreshed = after.lookups - before.lookups;
      const { refreshesDropped, framesFailed, unanswered } = after;
      const missed = after.misses - before.misses;
      if (refreshed !== gets || refreshesDropped + framesFailed + unanswered + missed > 0) {
        throw new Error(`not all hits were refreshed: ${JSON.stringify({ refreshed, missed, ...after, gets })}`);
      }
      return {
        refreshes: refreshed / (user + system),
        "frames a get": (after.frames - before.frames) / gets,
      };
    },
  };
}

/** All that one core of a router pays for routes that are always fresh: gets, batches, the wire, answers, the table. */
const routing: Bench = {
  name: `refreshes of hits through the memds client, TCP, ${KEYS} keys, Zipf`,
  metrics: {
    refreshes: { unit: "M/client CPU-s", better: "higher" },
    "frames a get": { unit: "", better: "lower" },
  },
  subjects: {
    evenkeel: refreshing("client.sourceOf: a route is made of each answer's bytes", (client, pace) => {
      const source = client.sourceOf(routeOf);
      return new ConstantWorkCache<string, Route>({
        source: { fetchMany: (asked, context) => pace.through(source.fetchMany(asked, context)) },
        versionOf: (route) => route.version,
        batchMax: GETS_PER_TURN,
        timeoutMs: 60_000,
      });
    }),
    "client as it is": refreshing(
      "the client itself is the cache's source: keys and values are kept as bytes",
      (client, pace) =>
        new ConstantWorkCache<string, Found>({
          source: { fetchMany: (asked, context) => pace.through(client.fetchMany(asked, context)) },
          versionOf: (found) => found.version,
          batchMax: GETS_PER_TURN,
          timeoutMs: 60_000,
        }),
    ),
    "general look-ups": refreshing(
      "client.lookup, answers put into a Map",
      (client, pace) =>
        new ConstantWorkCache<string, Answer>({
          source: {
            fetchMany: async (asked, { signal }) => {
              const answers = await pace.through(
                client.lookup(
                  asked.map((key) => ({ kind: "floor", key: Buffer.from(key) })),
                  { signal },
                ),
              );
              return new Map(asked.map((key, i) => [key, answers[i]]));
            },
          },
          versionOf: (answer) => answer.version,
          batchMax: GETS_PER_TURN,
          timeoutMs: 60_000,
        }),
    ),
  },
  runs: 5,
  goals: [
    { metric: "refreshes", atLeast: 1.5 },
    { metric: "frames a get", atMost: 0.01 },
  ],
};

export default routing;
