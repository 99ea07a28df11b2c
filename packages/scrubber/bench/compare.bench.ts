import type { Bench } from "../../../scripts/bench-types.js";
import { type MemoryReplica, memoryReplica, Scrubber } from "../src/index.js";

const items = 20_000;
const valueBytes = 900;
const turnMs = 700;

/** Copies of their own for each replica, so that nobody compares a buffer with itself. */
function filled(name: string): MemoryReplica {
  const replica = memoryReplica(name, { position: 1 });
  for (let i = 0; i < items; i++) {
    replica.store.put(Buffer.from(`item/${String(i).padStart(10, "0")}`), Buffer.alloc(valueBytes, i & 255));
  }
  return replica;
}

const replicas = ["a", "b", "c"].map(filled);
const totalBytes = replicas.reduce((sum, replica) => sum + replica.store.bytes, 0);

async function turn(pass: () => Promise<number> | number): Promise<{ MBps: number; exchangedBytes: number }> {
  const start = performance.now();
  let rounds = 0;
  let exchangedBytes = 0;
  do {
    exchangedBytes = await pass();
    rounds++;
  } while (performance.now() - start < turnMs);
  return { MBps: (rounds * totalBytes) / 1e3 / (performance.now() - start), exchangedBytes };
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

export default {
  name: `full comparison of three replicas that agree, ${items / 1000} k items of ${valueBytes} B`,
  metrics: {
    MBps: { unit: "MB/s", better: "higher" },
    exchangedBytes: { unit: "B", better: "lower" },
  },
  subjects: {
    evenkeel: {
      note: "digests compared, in steps of 1 MiB; exchanged: 48 B for each digest",
      run: () =>
        turn(async () => {
          const report = await new Scrubber({ replicas, position: () => 1 }).pass();
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
