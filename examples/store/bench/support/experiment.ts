import { setTimeout as delay } from "node:timers/promises";
import { type ProcessCpu, processTree, totalUs, usedBetween } from "./cpu.js";
import type { Load, Loader } from "./loader.js";
import { type Kind, kindsOf, pooled, type Ratio, ratioOf, type Window } from "./windows.js";

const QUIET: readonly Kind[] = ["without", "again"];
const WARM_UP_SECONDS = 8;
/** Behind a change: what was asked for under the one kind may still be waiting under the other. */
const GUARD_MS = 20;

export interface Experiment {
  readonly loader: Loader;
  readonly load: Omit<Load, "seconds" | "rate"> & { readonly rate: number };
  readonly seconds: number;
  readonly windowMs: number;
  /** Has it go on for so long; `over` ends the window. Resolves when nothing of it is under way any more. */
  during(windowMs: number, over: () => void): Promise<void>;
  /** Something that grows while it goes on. */
  progress?(): number;
}

interface Span {
  readonly kind: Kind;
  readonly fromMs: number;
  readonly toMs: number;
  readonly progress: number;
  readonly cpuUs: number;
}

const unixMs = () => performance.timeOrigin + performance.now();

/** The store's processes, not the one that loads them. */
const storeCpu = (): ProcessCpu[] => processTree(process.pid).filter(({ command }) => !command.includes("loader.mjs"));

async function spansOf({ seconds, windowMs, during, progress = () => 0 }: Experiment): Promise<Span[]> {
  const spans: Span[] = [];
  const endMs = unixMs() + seconds * 1000;
  for (const kind of kindsOf(Math.ceil((seconds * 1000) / windowMs / 3))) {
    // The last one ends before the load does.
    if (unixMs() + 2 * windowMs > endMs) break;
    const [before, cpu, fromMs] = [progress(), storeCpu(), unixMs()];
    let toMs: number | undefined;
    const over = () => {
      toMs ??= unixMs();
    };
    if (kind === "with") await during(windowMs, over);
    else await delay(windowMs);
    over();
    const cpuUs = totalUs(usedBetween(cpu, storeCpu()));
    spans.push({ kind, fromMs, toMs: toMs as number, progress: progress() - before, cpuUs });
  }
  return spans;
}

/**
 * The same load all the time, and in some windows something beside it. A request belongs to the window in which it was due: in open loop, whether or not those before are answered, one a slot, so that requests do
 * not come in heaps and what is slow is the store.
 */
export async function experiment(options: Experiment): Promise<{ windows: Window[]; spans: Span[] }> {
  const { loader, seconds } = options;
  const load = { ...options.load, even: true };
  await loader.answers({ ...load, seconds: WARM_UP_SECONDS });
  const answering = loader.answers({ ...load, seconds });
  const spans = await spansOf(options);
  const asked = (await answering).map(({ atMs, tookMs }) => ({ dueMs: atMs - tookMs, tookMs }));
  asked.sort((a, b) => a.dueMs - b.dueMs);
  let next = 0;
  const windows = spans.map(({ kind, fromMs, toMs }): Window => {
    const times: number[] = [];
    while ((asked[next]?.dueMs ?? Number.POSITIVE_INFINITY) < fromMs + GUARD_MS) next++;
    for (let one = asked[next]; one !== undefined && one.dueMs < toMs; one = asked[++next]) times.push(one.tookMs);
    return { kind, times };
  });
  return { windows, spans };
}

/** Of one processor, in hundredths: what the store took in the windows with, beyond what it took in the others. */
export function cpuOf(spans: readonly Span[]): number {
  const share = (kinds: readonly Kind[]): number => {
    const some = spans.filter(({ kind }) => kinds.includes(kind));
    const sum = (of: (span: Span) => number) => some.reduce((total, span) => total + of(span), 0);
    return sum(({ cpuUs }) => cpuUs) / sum(({ fromMs, toMs }) => toMs - fromMs) / 10;
  };
  return share(["with"]) - share(QUIET);
}

const named = (name: string, { value, low, high }: Ratio): Record<string, number> => ({
  [name]: value,
  [`${name}, low`]: low,
  [`${name}, high`]: high,
});

export const P99 = "p99, of that without";
const CHANCE = "p99 without, of the same";
const P50 = "p50, of that without";

/** What the figures of an experiment are measured in. */
export const metrics = {
  ...Object.fromEntries(
    [P99, CHANCE, P50]
      .flatMap((name) => [name, `${name}, low`, `${name}, high`])
      .map((name) => [name, { unit: "x", better: "lower" } as const]),
  ),
  p99: { unit: "ms", better: "lower" },
  "p99 without": { unit: "ms", better: "lower" },
  windows: { unit: "", better: "higher" },
} as const;

export function figuresOf(windows: readonly Window[]): Record<string, number> {
  return {
    ...named(P99, ratioOf(windows, 0.99, ["with"], QUIET)),
    ...named(CHANCE, ratioOf(windows, 0.99, ["without"], ["again"])),
    ...named(P50, ratioOf(windows, 0.5, ["with"], QUIET)),
    p99: pooled(windows, ["with"], 0.99),
    "p99 without": pooled(windows, QUIET, 0.99),
    windows: windows.length,
  };
}
