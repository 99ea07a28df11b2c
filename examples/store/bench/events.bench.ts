import type { Bench } from "../../../scripts/bench-types.js";
import { METADATA_PARTITION, type PartitionRecord } from "../src/metadata/records.js";
import { timesOf } from "./support/answers.js";
import type { Answer } from "./support/loader.js";
import { NEVER_MS, OwnStore } from "./support/own-store.js";
import { callsTo, partitionsOf } from "./support/partitions.js";

/** EVENKEEL_BENCH_ITEMS=1000000: partitions of the size at which it counts; then this takes a quarter of an hour. */
const ITEMS = Number(process.env.EVENKEEL_BENCH_ITEMS ?? 20_000);
const LOAD = { readShare: 0.5, clients: 32, seconds: 0.5, rate: 300 };
/** Half a second each. */
const SLICES_BEFORE = 3;
const PAUSE_MS = 20;

const own = new OwnStore({ items: ITEMS, scrubEveryMs: NEVER_MS });

/** The one with most hashes: hashes are even, so it has most items. */
async function largest(): Promise<PartitionRecord> {
  const width = ({ hashFrom, hashTo }: PartitionRecord) => hashTo - hashFrom;
  return (await partitionsOf(own.store)).reduce((one, other) => (width(other) > width(one) ? other : one));
}

async function split(): Promise<void> {
  const { partition, hashFrom, hashTo } = await largest();
  const at = Math.floor((hashFrom + hashTo) / 2);
  await callsTo(own.store).call(METADATA_PARTITION, own.store.fleet.nodeIds(), "splitPartition", { partition, at });
  while ((await partitionsOf(own.store)).some((record) => record.partition === partition))
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

async function slices(count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let slice = 0; slice < count; slice++) answers.push(...(await own.loader.answers(LOAD)));
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
}

const events: readonly Event[] = [
  { name: "a split", note: "of the largest partition, from its beginning until routers find the parts", happen: split },
];

const RATIO = "p99 / without";
const WRITES = "p99 of writes / without";
const times = { unit: "ms", better: "lower" } as const;

/** What those who call notice of what a store does beside: the moments just before it and just after it are what it is compared with. */
const benches: Bench[] = events.map(({ name, note, happen }) => ({
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
      open: own.open,
      close: own.close,
      async run() {
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
