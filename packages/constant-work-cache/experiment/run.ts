import { SlowSource } from "./source.js";
import { type Kind, subjects, timeoutMs } from "./subjects.js";
import { poisson, randomOf, zipf } from "./traffic.js";
import { VirtualTime } from "./virtual-time.js";

export interface Plan {
  readonly seed: number;
  readonly keys: number;
  readonly requestsPerSecond: number;
  /** Of the caches with expiry: how many of its requests miss in its steady state follows from it. */
  readonly ttlMs: number;
  /** What the source can serve. */
  readonly sourceKeysPerSecond: number;
}

export const windowMs = 100;

/** What happens, one after the other, and when each begins. */
export const phases = [
  { name: "steady", fromMs: 0 },
  { name: "outage", fromMs: 3000 },
  { name: "after it", fromMs: 6000 },
  { name: "flush", fromMs: 8000 },
  { name: "recovery", fromMs: 9000 },
  { name: "total miss", fromMs: 14_000 },
  { name: "known again", fromMs: 15_000 },
] as const;
export const endMs = 18_000;

export interface Window {
  requests: number;
  /** Keys that the source was asked for. */
  lookups: number;
  /** Of the window's requests, answered in time. */
  answered: number;
}

/** One cache under the plan's traffic and mishaps; a window each 100 ms. */
export async function run(kind: Kind, plan: Plan): Promise<Window[]> {
  const time = new VirtualTime();
  const giveBack = time.takeOver();
  try {
    return await runIn(time, kind, plan);
  } finally {
    giveBack();
  }
}

async function runIn(time: VirtualTime, kind: Kind, plan: Plan): Promise<Window[]> {
  const source = new SlowSource(time, { keysPerSecond: plan.sourceKeysPerSecond });
  const random = randomOf(plan.seed);
  const rank = zipf(plan.keys, random);
  const subject = await subjects[kind](plan, { source, time, random });
  const windows: Window[] = [];
  let unseen = 0;
  // At the end nobody asks any more, and what still waits is answered or not.
  await time.run(endMs + 2 * timeoutMs, (nowMs) => {
    if (nowMs >= endMs) return;
    const phase = phases.findLast(({ fromMs }) => fromMs <= nowMs)!;
    if (phase.name === "flush" && nowMs === phase.fromMs) subject.flush();
    source.isDown = phase.name === "outage";
    if (nowMs % windowMs === 0) windows.push({ requests: 0, lookups: -source.lookups, answered: 0 });
    const window = windows.at(-1)!;
    for (let i = poisson(plan.requestsPerSecond / 1000, random); i > 0; i--) {
      const key = phase.name === "total miss" ? `unseen-${unseen++}` : `key-${rank()}`;
      window.requests++;
      const got = subject.get(key);
      if (got instanceof Promise) {
        got.then(
          (value) => {
            if (value !== undefined) window.answered++;
          },
          () => {},
        );
      } else if (got !== undefined) window.answered++;
    }
    // The look-ups of this millisecond go out at its end.
    if (nowMs % windowMs === windowMs - 1) setImmediate(() => (window.lookups += source.lookups));
  });
  return windows;
}
