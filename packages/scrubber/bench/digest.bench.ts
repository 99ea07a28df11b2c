import { createHash } from "node:crypto";
import type { Bench } from "../../../scripts/bench-types.js";
import { memoryReplica } from "../src/index.js";

const items = 20_000;
const valueBytes = 900;
const turnMs = 700;

const replica = memoryReplica("a", { position: 1 });
for (let i = 0; i < items; i++) {
  const value = Buffer.alloc(valueBytes);
  for (let at = 0; at < valueBytes; at += 4) value.writeInt32LE(Math.imul(i * 1000 + at, 0x9e3779b1), at);
  replica.store.put(Buffer.from(`item/${String(i).padStart(10, "0")}`), value);
}
const totalBytes = replica.store.bytes;

/** Repeats for a turn; megabytes a second. */
async function throughput(work: () => Promise<void> | void, bytes = totalBytes): Promise<{ MBps: number }> {
  const start = performance.now();
  let rounds = 0;
  do {
    await work();
    rounds++;
  } while (performance.now() - start < turnMs);
  return { MBps: (rounds * bytes) / 1e3 / (performance.now() - start) };
}

/** As much memory as the replica's, in one piece: the limit reads its bytes from where we read ours, not from a cache. */
const flat = Buffer.concat(replica.store.sorted().map((entry) => entry.value));
const BLOCK_BYTES = 64 * 1024;

export default {
  name: `digest of a replica in memory, ${items / 1000} k items of ${valueBytes} B`,
  metrics: { MBps: { unit: "MB/s", better: "higher" } },
  subjects: {
    evenkeel: {
      note: "one range over everything, SHA-256",
      run: async () => {
        const snapshot = await replica.snapshot(1);
        return throughput(async () => {
          await snapshot.digests([{ from: new Uint8Array(0), to: undefined }]);
        });
      },
    },
    limit: {
      note: "node:crypto SHA-256 over the same values in one piece, in blocks of 64 KiB",
      run: () =>
        throughput(() => {
          const hash = createHash("sha256");
          for (let at = 0; at < flat.length; at += BLOCK_BYTES) hash.update(flat.subarray(at, at + BLOCK_BYTES));
          hash.digest();
        }, flat.length),
    },
  },
  runs: 5,
  goals: [{ metric: "MBps", against: "limit", atLeast: 0.8 }],
} satisfies Bench;
