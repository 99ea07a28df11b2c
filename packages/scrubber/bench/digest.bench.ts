import { createHash } from "node:crypto";
import type { Bench } from "../../../scripts/bench-types.js";
import { type KeyRange, memoryReplica, sortedReplica } from "../src/index.js";

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

/** Processor time, of all threads: what a machine that does other things besides says of one core. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

/** Repeats for a turn; megabytes a second of processor time. */
async function throughput(work: () => Promise<void> | void, bytes = totalBytes): Promise<{ MBps: number }> {
  const start = cpuMs();
  let rounds = 0;
  do {
    await work();
    rounds++;
  } while (cpuMs() - start < turnMs);
  return { MBps: (rounds * bytes) / 1e3 / (cpuMs() - start) };
}

/** As much memory as the replica's, in one piece: the limit reads its bytes from where we read ours, not from a cache. */
const flat = Buffer.concat(replica.store.sorted().map((entry) => entry.value));
const BLOCK_BYTES = 64 * 1024;

/** The same entries in pages of about 64 KiB, as files and caches have them. */
const pages: Buffer[] = [];
const sorted = replica.store.sorted();
for (let page: Buffer[] = [], bytes = 0, at = 0; ; at++) {
  const entry = sorted[at];
  if (bytes >= BLOCK_BYTES || entry === undefined) {
    pages.push(Buffer.concat(page));
    if (entry === undefined) break;
    page = [];
    bytes = 0;
  }
  const header = Buffer.alloc(8);
  header.writeUInt32LE(entry.key.length, 0);
  header.writeUInt32LE(entry.value.length, 4);
  page.push(header, Buffer.from(entry.key), Buffer.from(entry.value));
  bytes += 8 + entry.key.length + entry.value.length;
}
const inPages = sortedReplica({
  name: "pages",
  open: async () => {
    const view = await replica.snapshot(1);
    // A source of its own cuts its first and last page; here all of them are asked for.
    return { entries: (range: KeyRange) => view.entries(range), packed: () => pages };
  },
});
const everything = [{ from: new Uint8Array(0), to: undefined }];

export default {
  name: `digest of a replica in memory, ${items / 1000} k items of ${valueBytes} B, by processor time`,
  metrics: { MBps: { unit: "MB/s", better: "higher" } },
  subjects: {
    evenkeel: {
      note: "one range over everything, SHA-256; the entries in pages of 64 KiB (`packed`)",
      run: async () => {
        const snapshot = await inPages.snapshot(1);
        return throughput(async () => void (await snapshot.digests(everything)));
      },
    },
    "evenkeel, each value by itself": {
      note: "the same, of keys and values that lie anywhere (`memoryReplica`)",
      run: async () => {
        const snapshot = await replica.snapshot(1);
        return throughput(async () => void (await snapshot.digests(everything)));
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
