import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileObjectStore } from "@evenkeel/wal/archive";
import type { Bench } from "../../../scripts/bench-types.js";
import { archiveDir } from "../src/control/fleet.js";
import { HASH_END, METADATA_PARTITION, type PartitionRecord } from "../src/metadata/records.js";
import { LeaderCalls } from "../src/router/leader-calls.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { Store } from "../src/store.js";
import { timesOf } from "./support/answers.js";
import { type Answer, Loader, storeRoot, TABLE } from "./support/loader.js";

/** EVENKEEL_BENCH_ITEMS=1000000: partitions of the size at which it counts; then this takes a quarter of an hour. */
const ITEMS = Number(process.env.EVENKEEL_BENCH_ITEMS ?? 20_000);
const LOAD = { readShare: 0.5, clients: 32, seconds: 0.5, rate: 300 };
/** Half a second each. */
const SLICES_BEFORE = 3;
const SLICES_SCRUBBED = 6;
/** What a store of a million items does in its hour, whatever the number here. */
const SCRUB_PERIOD_MS = Math.min(3_600_000, 3.6 * ITEMS);
const NEVER_MS = 2 ** 31 - 1;
const PAUSE_MS = 20;

const shared = { users: 0, dir: "", store: undefined as Store | undefined, loader: undefined as Loader | undefined };
const theStore = () => shared.store as Store;
const theLoader = () => shared.loader as Loader;

async function open(): Promise<void> {
  if (shared.users++ > 0) return;
  shared.dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
  const nodeProgram = join(storeRoot, "dist/node-process.js");
  shared.store = await Store.open({ dir: shared.dir, port: 0, nodeProgram, nodeExecArgv: [], scrubEveryMs: NEVER_MS });
  shared.loader = new Loader(shared.store.router.port, ITEMS);
  await shared.loader.fill();
}

async function close(): Promise<void> {
  if (--shared.users > 0) return;
  shared.loader?.stop();
  await shared.store?.close();
  await rm(shared.dir, { recursive: true, force: true });
}

const calls = () => {
  const { fleet } = theStore();
  return new LeaderCalls({ callerTo: (node) => fleet.callerTo(node), deadlineMs: 60_000 });
};

async function partitions(): Promise<PartitionRecord[]> {
  const { routes } = theStore().router;
  const { tableId } = await routes.table(TABLE);
  const found: PartitionRecord[] = [];
  for (let hash = 0; hash < HASH_END; ) {
    const record = await routes.partition(tableId, hash);
    if (record === undefined) throw new Error(`no partition of ${TABLE} has the hash ${hash}`);
    found.push(record);
    hash = record.hashTo;
  }
  return found;
}

/** The one with most hashes: hashes are even, so it has most items. */
async function largest(): Promise<PartitionRecord> {
  const width = ({ hashFrom, hashTo }: PartitionRecord) => hashTo - hashFrom;
  return (await partitions()).reduce((one, other) => (width(other) > width(one) ? other : one));
}

async function split(): Promise<void> {
  const { partition, hashFrom, hashTo } = await largest();
  const at = Math.floor((hashFrom + hashTo) / 2);
  await calls().call(METADATA_PARTITION, theStore().fleet.nodeIds(), "splitPartition", { partition, at });
  while ((await partitions()).some((record) => record.partition === partition))
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/** What the logs have, and beside it the whole state of every partition. */
async function archive(): Promise<void> {
  for (const { partition, members } of await partitions())
    await calls().call(partition, members, "snapshot", { partition });
}

function scrubbing(): Scrubbing {
  const { fleet, dir } = theStore();
  return new Scrubbing({
    fleet,
    archive: new FileObjectStore({ dir: archiveDir(dir) }),
    dir: join(dir, "scrub"),
    fullPassEveryMs: SCRUB_PERIOD_MS,
    onFinding: (line) => {
      throw new Error(`a false alarm: ${line}`);
    },
  });
}

async function scrub(): Promise<void> {
  const pass = scrubbing();
  await new Promise((resolve) => setTimeout(resolve, SLICES_SCRUBBED * LOAD.seconds * 1000));
  await pass.close();
}

async function slices(count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let slice = 0; slice < count; slice++) answers.push(...(await theLoader().answers(LOAD)));
  return answers;
}

/** Answers of all slices that begin while it is under way. */
async function slicesDuring(event: () => Promise<void>): Promise<Answer[]> {
  let isOver = false;
  const happening = event().finally(() => {
    isOver = true;
  });
  happening.catch(() => undefined);
  const answers: Answer[] = [];
  while (!isOver) answers.push(...(await slices(1)));
  await happening;
  return answers;
}

interface Event {
  readonly name: string;
  readonly note: string;
  happen(): Promise<void>;
  prepare?(): Promise<void>;
}

const events: readonly Event[] = [
  { name: "a split", note: "of the largest partition, from its beginning until routers find the parts", happen: split },
  {
    name: "an archive upload and snapshot",
    note: "all items were written once more before: their log, then the whole state",
    prepare: () => theLoader().writeAll(),
    happen: archive,
  },
  {
    name: "a scrub",
    note: `everything once in ${SCRUB_PERIOD_MS / 1000} s: the pace of a million items an hour`,
    happen: scrub,
  },
];

const RATIO = "p99 / without";
const WRITES = "p99 of writes / without";
const times = { unit: "ms", better: "lower" } as const;

/** What those who call notice of what a store does beside: the moments just before it and just after it are what it is compared with. */
const benches: Bench[] = events.map(({ name, note, happen, prepare }) => ({
  name: `open loop, ${LOAD.rate} a second, half GetItem and half PutItem, ${ITEMS.toLocaleString("en-US")} items of 900 B, during ${name}`,
  metrics: {
    [RATIO]: { unit: "x", better: "lower" },
    [WRITES]: { unit: "x", better: "lower" },
    p50: times,
    p99: times,
    "p50 without": times,
    "p99 without": times,
    "longest wait of a write": times,
    "longest wait of a write, without": times,
    "it took": { unit: "s", better: "lower" },
  },
  subjects: {
    evenkeel: {
      note,
      open,
      close,
      async run() {
        await prepare?.();
        const before = await slices(SLICES_BEFORE);
        const begunAt = performance.now();
        const answers = await slicesDuring(happen);
        const tookMs = performance.now() - begunAt;
        const during = timesOf(answers);
        const without = timesOf([...before, ...(await slices(SLICES_BEFORE))]);
        return {
          [RATIO]: during.p99 / without.p99,
          [WRITES]: during["p99 of writes"] / without["p99 of writes"],
          p50: during.p50,
          p99: during.p99,
          "p50 without": without.p50,
          "p99 without": without.p99,
          "longest wait of a write": during["longest wait of a write"],
          "longest wait of a write, without": without["longest wait of a write"],
          "it took": tookMs / 1000,
        };
      },
    },
  },
  goals: [{ metric: RATIO, atMost: 1.5 }],
}));

export default benches;
