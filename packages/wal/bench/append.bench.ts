import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import type { Bench, Goal, Subject } from "../../../scripts/bench-types.js";
import { appendLoad } from "./appenders.js";
import { type Peer, peers } from "./peers.js";

const truncateEvery = 4096;
const keptRecords = 20_000;
const turnMs = 400;

interface Load {
  readonly appenders: number;
  readonly bytes: number;
}

const evenkeel = ({ bytes }: Load): Peer => ({
  note: "fdatasync before each answer; in its steady state: old records truncated as a log's user does, segments recycled",
  async start(dir) {
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
});

/** A subject that appends under a directory of its own, removed afterwards. */
function subject({ note, skip, start }: Peer, load: Load): Subject {
  let dir: string;
  let started: Awaited<ReturnType<typeof start>>;
  return {
    note,
    ...(skip === undefined ? {} : { skip }),
    async open() {
      dir = mkdtempSync(join(tmpdir(), "evenkeel-bench-wal-"));
      started = await start(dir);
    },
    run: () => appendLoad((data) => started.append(data), { ...load, durationMs: turnMs }),
    async close() {
      await started?.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** What the best peer is to be beaten by, at so many appenders. Alone on the disk nobody can be faster than its sync. */
const lead = new Map([
  [64, 1.3],
  [1024, 1.5],
]);

function goals({ appenders }: Load): Goal[] {
  const atLeast = lead.get(appenders);
  const ahead = Object.keys(peers).filter((name) => name !== "limit" && atLeast !== undefined);
  return [
    { metric: "appends/s", against: "limit", atLeast: 0.85 },
    ...ahead.map((against) => ({ metric: "appends/s", against, ...(atLeast === undefined ? {} : { atLeast }) })),
    { metric: "p99 / p50", atMost: 4 },
  ];
}

function appends(load: Load): Bench {
  const { appenders, bytes } = load;
  return {
    name: `durable appends, ${bytes} B, ${appenders} appender${appenders === 1 ? "" : "s"}`,
    metrics: {
      "appends/s": { unit: "ops/s", better: "higher" },
      "p50 ms": { unit: "ms", better: "lower" },
      "p99 ms": { unit: "ms", better: "lower" },
      "p99 / p50": { unit: "x", better: "lower" },
      "processor us/append": { unit: "us", better: "lower" },
    },
    subjects: {
      evenkeel: subject(evenkeel(load), load),
      ...Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, subject(peer, load)])),
    },
    goals: goals(load),
    runs: 9,
  };
}

export default [256, 1024].flatMap((bytes) => [1, 64, 1024].map((appenders) => appends({ appenders, bytes })));
