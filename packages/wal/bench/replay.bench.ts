import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import type { Bench } from "../../../scripts/bench-types.js";
import { appendLoad } from "./appenders.js";

const mib = 1024 * 1024;
const framingBytes = 22;
/** By all streams together, before they are truncated: the same for one stream and for ten thousand. */
const keptRecords = 640_000;

/** A log of `logBytes` of records of `bytes` each, in batches of about 64 KiB, closed. */
async function filledLog(dir: string, bytes: number, logBytes: number): Promise<void> {
  const wal = await Wal.open({ dir });
  const stream = wal.stream("bench");
  const records = Array<Uint8Array>(Math.ceil((64 * 1024) / (bytes + framingBytes))).fill(Buffer.alloc(bytes, 7));
  for (let written = 0; written < logBytes; written += records.length * (bytes + framingBytes)) {
    await wal.room();
    await stream.append(records);
  }
  await wal.close();
}

interface Replayed {
  readonly bytes: number;
  readonly logBytes: number;
  readonly goals: Bench["goals"];
}

function replays({ bytes, logBytes, goals }: Replayed): Bench {
  let dir: string;
  return {
    name: `replay of ${logBytes / mib} MiB, records of ${bytes} B`,
    metrics: {
      "open s": { unit: "s", better: "lower" },
      "open GB/s": { unit: "GB/s", better: "higher" },
      "read GB/s": { unit: "GB/s", better: "higher" },
      "read in blocks GB/s": { unit: "GB/s", better: "higher" },
      "read records/s": { unit: "records/s", better: "higher" },
    },
    subjects: {
      evenkeel: {
        note: "from the page cache, every checksum verified: once when the log is opened, and again when its stream is read",
        async open() {
          dir = mkdtempSync(join(tmpdir(), "evenkeel-bench-wal-"));
          await filledLog(dir, bytes, logBytes);
        },
        async run() {
          const started = performance.now();
          const wal = await Wal.open({ dir });
          const opened = performance.now();
          let records = 0;
          for await (const { data } of wal.stream("bench").read()) records += data.length === bytes ? 1 : Number.NaN;
          const read = performance.now();
          let again = 0;
          for await (const block of wal.stream("bench").readBlocks())
            for (const { data } of block) again += data.length === bytes ? 1 : Number.NaN;
          const inBlocks = performance.now();
          await wal.close();
          if (again !== records) throw new Error(`read ${records} records, in blocks ${again}`);
          const [openS, readS] = [(opened - started) / 1000, (read - opened) / 1000];
          const gigabytes = (records * (bytes + framingBytes)) / 1e9;
          return {
            "open s": openS,
            "open GB/s": gigabytes / openS,
            "read GB/s": gigabytes / readS,
            "read in blocks GB/s": (gigabytes / (inBlocks - read)) * 1000,
            "read records/s": records / readS,
          };
        },
        close: () => rmSync(dir, { recursive: true, force: true }),
      },
    },
    runs: 9,
    ...(goals && { goals }),
  };
}

/** As many appenders, on one stream or each append on the next of many. */
function streams(count: number, appenders: number): Bench["subjects"][string] {
  let dir: string;
  let wal: Wal;
  const load = { appenders, bytes: 256, durationMs: 400 };
  return {
    note: `each append goes to the next of ${count} stream${count === 1 ? "" : "s"}, old records are truncated`,
    async open() {
      dir = mkdtempSync(join(tmpdir(), "evenkeel-bench-wal-"));
      wal = await Wal.open({ dir });
      await Promise.all(Array.from({ length: count }, (_, n) => wal.stream(`stream-${n}`).append(Buffer.alloc(256))));
    },
    async run() {
      const all = Array.from({ length: count }, (_, n) => wal.stream(`stream-${n}`));
      let next = 0;
      const append = (data: Buffer) => {
        const stream = all[next++ % count] as (typeof all)[number];
        const appended = stream.append(data);
        if (stream.lastSequence % 64 === 0 && stream.lastSequence - stream.firstSequence + 1 >= keptRecords / count)
          void stream.truncateBefore(stream.lastSequence);
        return appended;
      };
      const { "appends/s": rate, "processor us/append": us } = await appendLoad(append, load);
      return { "appends/s": rate, "processor us/append": us };
    },
    async close() {
      await wal.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const manyStreams = (appenders: number): Bench => ({
  name: `10,000 streams in one log, 256 B, ${appenders} appenders`,
  metrics: {
    "appends/s": { unit: "ops/s", better: "higher" },
    "processor us/append": { unit: "us", better: "lower" },
  },
  subjects: { evenkeel: streams(10_000, appenders), "one stream": streams(1, appenders) },
  goals: [{ metric: "appends/s", against: "one stream", atLeast: 0.8 }],
  runs: 9,
});

export default [
  replays({
    bytes: 1024,
    logBytes: 1024 * mib,
    goals: [
      { metric: "open s", atMost: 2 },
      { metric: "open GB/s", atLeast: 2 },
      { metric: "read GB/s", atLeast: 2 },
      { metric: "read in blocks GB/s", atLeast: 2 },
    ],
  }),
  replays({ bytes: 32, logBytes: 64 * mib, goals: [{ metric: "read records/s", atLeast: 1_000_000 }] }),
  manyStreams(64),
  manyStreams(1024),
];
