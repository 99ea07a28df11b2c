import { readFileSync } from "node:fs";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { timesOf } from "./support/answers.js";
import type { Answer } from "./support/loader.js";
import { type ServerUnderTest, serversOf } from "./support/subjects.js";

const SMALL = 10_000;
/** EVENKEEL_BENCH_ITEMS=1000000: what is promised of a hundred times as many, and beside the peers; filling it takes some minutes. */
const LARGE = Number(process.env.EVENKEEL_BENCH_ITEMS ?? 10 * SMALL);
const IS_WHOLE = LARGE > 10 * SMALL;
const PER_SECOND = 400;
const CLIENTS = 32;
const SLICE_SECONDS = 0.5;
/** Of each size, in one turn. */
const SLICES = IS_WHOLE ? 10 : 4;

const sizes = [SMALL, ...(IS_WHOLE ? [10 * SMALL] : []), LARGE];
const nameOf = (items: number): string => items.toLocaleString("en-US");
const ratioTo = (items: number): string => `p99 at ${nameOf(items)} / at ${nameOf(SMALL)}`;

/** Memory that is the process's alone: pages of the B-tree's file that lie in memory are the system's to take back. */
function anonymousMB(server: ServerUnderTest): number {
  const kB = server.processes().map(({ pid }) => {
    try {
      return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return Math.max(0, ...kB) / 1000;
}

/** One of each size, alive at the same time; what each is asked takes turns, a slice at a time, and is pooled: what else the machine does falls on all of them. */
function subject(name: string): Subject {
  const bySize = sizes.map((items) => [items, serversOf(items)[name] as ServerUnderTest] as const);
  const { note, skip } = (bySize[0] as (typeof bySize)[number])[1];
  const left = name !== "evenkeel" && !IS_WHOLE ? "beside peers with EVENKEEL_BENCH_ITEMS=1000000" : skip;
  if (left === undefined) for (const [, server] of bySize) server.expectUser();
  return {
    note,
    ...(left === undefined ? {} : { skip: left }),
    async open() {
      for (const [, server] of bySize) await server.start({ readShare: 0.5, clients: CLIENTS });
    },
    async run() {
      const answers = new Map<number, Answer[]>(sizes.map((items) => [items, []]));
      for (let slice = 0; slice < SLICES; slice++) {
        for (const [items, server] of slice % 2 === 0 ? bySize : bySize.toReversed()) {
          const load = { readShare: 0.5, clients: CLIENTS, seconds: SLICE_SECONDS, rate: PER_SECOND };
          answers.get(items)?.push(...(await server.answers(load)));
        }
      }
      const figures: Record<string, number> = {};
      const small = timesOf(answers.get(SMALL) ?? []);
      for (const [items, server] of bySize) {
        const times = timesOf(answers.get(items) ?? []);
        for (const metric of timeMetrics) figures[`${metric}, ${nameOf(items)}`] = times[metric];
        figures[`memory, ${nameOf(items)}`] = anonymousMB(server);
        if (items !== SMALL) figures[ratioTo(items)] = times.p99 / small.p99;
      }
      return figures;
    },
    async close() {
      for (const [, server] of bySize) await server.stop();
    },
  };
}

const timeMetrics = ["p50", "p99", "p99 of reads", "p99 of writes"] as const;

/** Flat as data grows: who asks for an item does not notice how many others there are. */
const size: Bench = {
  name: `open loop, ${PER_SECOND} a second, half GetItem and half PutItem, items of 900 B, ${sizes.map(nameOf).join(" and ")} of them`,
  metrics: {
    ...Object.fromEntries(
      sizes.flatMap((items) => [
        ...timeMetrics.map((metric) => [`${metric}, ${nameOf(items)}`, { unit: "ms", better: "lower" } as const]),
        [`memory, ${nameOf(items)}`, { unit: "MB", better: "lower" } as const],
      ]),
    ),
    ...Object.fromEntries(sizes.slice(1).map((items) => [ratioTo(items), { unit: "x", better: "lower" } as const])),
  },
  subjects: Object.fromEntries(["evenkeel", "dynalite (disk)", "dynoxide (disk)"].map((name) => [name, subject(name)])),
  runs: IS_WHOLE ? 5 : 3,
  goals: sizes.slice(1).map((items) => ({ metric: ratioTo(items), atMost: 1.25 })),
};

export default size;
