import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { ClassicLevel } from "classic-level";
import { open } from "lmdb";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { appendLoad } from "./appenders.js";
import { GroupCommitLoop } from "./group-commit-loop.js";

const truncateEvery = 4096;
const keptRecords = 20_000;

/** A subject that appends under a directory of its own, removed afterwards. */
function appending(
  note: string,
  start: (dir: string) => Promise<{ append(data: Buffer): Promise<unknown>; close(): unknown }>,
  load: { appenders: number; bytes: number },
): Subject {
  let dir: string;
  let subject: Awaited<ReturnType<typeof start>>;
  return {
    note,
    async open() {
      dir = mkdtempSync(join(tmpdir(), "evenkeel-bench-wal-"));
      subject = await start(dir);
    },
    run: () => appendLoad((data) => subject.append(data), { ...load, durationMs: 1000 }),
    async close() {
      await subject.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function appends(appenders: number, bytes: number): Bench {
  const load = { appenders, bytes };
  return {
    name: `durable appends, ${bytes} B, ${appenders} appender${appenders === 1 ? "" : "s"}`,
    metrics: {
      "appends/s": { unit: "ops/s", better: "higher" },
      "p50 ms": { unit: "ms", better: "lower" },
      "p99 ms": { unit: "ms", better: "lower" },
    },
    subjects: {
      evenkeel: appending(
        "fdatasync before each answer; in its steady state: old records truncated as a log's user does, segments recycled",
        async (dir) => {
          const wal = await Wal.open({ dir });
          const stream = wal.stream("bench");
          let calls = 0;
          const append = (data: Buffer) => {
            const appended = stream.append(data);
            if (++calls % truncateEvery === 0 && stream.lastSequence > keptRecords) {
              void stream.truncateBefore(stream.lastSequence - keptRecords);
            }
            return appended;
          };
          // The limit starts with a file that was written before; so does this, once its first segments have been through their first life.
          const data = Buffer.alloc(bytes);
          while (wal.stats().segmentsRecycled < 2) await Promise.all(Array.from({ length: 1000 }, () => append(data)));
          return { append, close: () => wal.close() };
        },
        load,
      ),
      limit: appending(
        "bare group-commit loop over a zero-filled file: no checksums, no framing, no recovery",
        async (dir) => {
          const loop = new GroupCommitLoop(join(dir, "loop"));
          return { append: (data) => loop.append(data), close: () => loop.close() };
        },
        load,
      ),
      lmdb: appending(
        "batched transactions, awaited until flushed",
        async (dir) => {
          const db = open<Buffer, number>({ path: dir, encoding: "binary", keyEncoding: "uint32", noMemInit: true });
          let key = 0;
          return {
            append: async (data) => {
              await db.put(key++ % 1_000_000, data);
              await db.flushed;
            },
            close: () => db.close(),
          };
        },
        load,
      ),
      "classic-level": appending(
        "put with sync: true",
        async (dir) => {
          const db = new ClassicLevel<number, Buffer>(dir, { keyEncoding: "json", valueEncoding: "buffer" });
          await db.open();
          let key = 0;
          return { append: (data) => db.put(key++ % 1_000_000, data, { sync: true }), close: () => db.close() };
        },
        load,
      ),
    },
    goals: [{ metric: "appends/s", against: "limit", atLeast: 0.85 }],
  };
}

export default [appends(1, 256), appends(64, 256), appends(1024, 256), appends(64, 1024)];
