import type { Bench } from "../../../scripts/bench-types.js";
import { type MemoryReplica, memoryReplica, Scrubber } from "../src/index.js";

/** As many as a turn of a second can compare; EVENKEEL_BENCH_ITEMS=1000000 for the full size, which needs 4 GB of memory. */
const items = Number(process.env.EVENKEEL_BENCH_ITEMS ?? 20_000);
const valueBytes = 900;
const turnMs = 700;

/** Copies of their own for each replica, so that nobody compares a buffer with itself. */
function filled(name: string): MemoryReplica {
  const replica = memoryReplica(name, { position: 1 });
  for (let i = 0; i < items; i++) {
    replica.store.put(keyOf(i), Buffer.alloc(valueBytes, i & 255));
  }
  return replica;
}

function keyOf(i: number): Buffer {
  return Buffer.from(`item/${String(i).padStart(10, "0")}`);
}

const replicas = ["a", "b", "c"].map(filled);
const totalBytes = replicas.reduce((sum, replica) => sum + replica.store.bytes, 0);

/** Processor time, of all threads: what a machine that does other things besides says of one core. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

async function turn(pass: () => Promise<number> | number): Promise<{ MBps: number; exchangedBytes: number }> {
  const start = cpuMs();
  let rounds = 0;
  let exchangedBytes = 0;
  do {
    exchangedBytes = await pass();
    rounds++;
  } while (cpuMs() - start < turnMs);
  return { MBps: (rounds * totalBytes) / 1e3 / (cpuMs() - start), exchangedBytes };
}

/** A walk over the three in step, every key and value compared with those of the first. */
function scanAndCompare(): number {
  const [a, b, c] = replicas.map((replica) => replica.store.sorted()) as [Sorted, Sorted, Sorted];
  for (const [index, entry] of a.entries()) {
    for (const other of [b[index], c[index]]) {
      if (other === undefined || !same(entry.key, other.key) || !same(entry.value, other.value)) {
        throw new Error(`replicas differ at ${index}`);
      }
    }
  }
  return (2 * totalBytes) / 3;
}

type Sorted = ReturnType<MemoryReplica["store"]["sorted"]>;

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const DIGEST_BYTES = 48;

/** Changes every thousandth key on all three, each time another one, as a group's writes would. */
let generation = 0;
function change(): void {
  generation++;
  for (const replica of replicas) {
    for (let i = generation % 1000; i < items; i += 1000)
      replica.store.put(keyOf(i), Buffer.alloc(valueBytes, generation & 255));
    replica.position++;
  }
}

/** Milliseconds (processor time) of the work alone, without what it took to change things; medians of as many rounds as a turn has. */
async function timed(prepare: () => Promise<void> | void, work: () => Promise<void> | void): Promise<{ ms: number }> {
  const times: number[] = [];
  const start = performance.now();
  do {
    await prepare();
    const before = cpuMs();
    await work();
    times.push(cpuMs() - before);
  } while (performance.now() - start < turnMs);
  return { ms: times.sort((x, y) => x - y)[times.length >> 1] as number };
}

const EVERYTHING = { from: new Uint8Array(0), to: undefined };
const position = (): number => replicas[0]?.position ?? 0;

async function keptPass(of: readonly MemoryReplica[]): Promise<void> {
  const report = await new Scrubber({ replicas: of, position }).pass({ kept: true });
  if (!report.complete || report.divergences.length > 0 || report.keys !== items)
    throw new Error("the replicas should agree");
}

/** The same contents, of which nothing has been looked at yet. */
function unseen(): MemoryReplica[] {
  return replicas.map((replica) => {
    const fresh = memoryReplica(replica.name, { position: position() });
    for (const { key, value } of replica.store.sorted()) fresh.store.put(key, value);
    return fresh;
  });
}

const secondPass = {
  name: `a pass over digests that are kept, 0.1 % of ${items / 1000} k items of ${valueBytes} B changed since the one before, by processor time`,
  metrics: { ms: { unit: "ms", better: "lower" } },
  subjects: {
    "evenkeel, settled": {
      note: "three replicas that bring their digests up to date after they were written to (MerkleIndex.settle); a digest from each",
      open: () => keptPass(replicas),
      run: () =>
        timed(
          async () => {
            change();
            for (const replica of replicas) {
              const snapshot = await replica.snapshot(position());
              await snapshot.kept?.digests([EVERYTHING]);
              await snapshot.close();
            }
          },
          () => keptPass(replicas),
        ),
    },
    evenkeel: {
      note: "the runs that were written to are hashed in the pass",
      open: () => keptPass(replicas),
      run: () => timed(change, () => keptPass(replicas)),
    },
    "first pass": {
      note: "a kept pass when nothing is kept yet: everything is read, and hashed by runs",
      run: async () => {
        let of: MemoryReplica[] = [];
        return timed(
          () => {
            of = unseen();
          },
          () => keptPass(of),
        );
      },
    },
    "scan-and-compare": {
      note: "everything again: it remembers nothing",
      run: () => timed(change, () => void scanAndCompare()),
    },
  },
  goals: [{ metric: "ms", against: "first pass", atMost: 0.02 }],
} satisfies Bench;

const fullComparison = {
  name: `full comparison of three replicas that agree, ${items / 1000} k items of ${valueBytes} B, by processor time`,
  metrics: {
    MBps: { unit: "MB/s", better: "higher" },
    exchangedBytes: { unit: "B", better: "lower" },
  },
  subjects: {
    evenkeel: {
      note: "digests compared, in steps of 1 MiB; exchanged: 48 B for each digest",
      run: () =>
        turn(async () => {
          const report = await new Scrubber({ replicas, position }).pass();
          if (!report.complete || report.divergences.length > 0) throw new Error("the replicas should agree");
          return report.exchanges * DIGEST_BYTES;
        }),
    },
    "scan-and-compare": {
      note: "all three in one process, where two of them would have to travel to: exchanged counts that",
      run: () => turn(scanAndCompare),
    },
  },
} satisfies Bench;

export default [fullComparison, secondPass];
