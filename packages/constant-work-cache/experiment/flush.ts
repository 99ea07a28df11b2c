/**
 * `npm run experiment -w @evenkeel/constant-work-cache [-- SEED]`: caches under the same traffic, in virtual time. What does their source
 * see, and what do their callers, when the cache is flushed, asked for what it never saw, and when the source is gone for a while?
 */
import { endMs, type Plan, phases, run, type Window, windowMs } from "./run.js";

const seed = Number(process.argv[2] ?? 42);
const traffic = { seed, keys: 100_000, requestsPerSecond: 10_000, ttlMs: 3_600_000 };
const say = (line = "") => process.stdout.write(`${line}\n`);

function of(windows: readonly Window[], name: string): readonly Window[] {
  const at = phases.findIndex((phase) => phase.name === name);
  return windows.slice(phases[at]!.fromMs / windowMs, (phases[at + 1]?.fromMs ?? endMs) / windowMs);
}

function total(windows: readonly Window[], what: keyof Window): number {
  return windows.reduce((sum, window) => sum + window[what], 0);
}

function table(
  runs: readonly (readonly [label: string, windows: readonly Window[], steady: (window: Window) => number])[],
): void {
  const print = (first: string, cells: readonly string[]) =>
    say(`${first.padEnd(12)}${cells.map((cell) => cell.padEnd(22)).join("")}`.trimEnd());
  for (const line of [0, 1])
    print(
      "",
      runs.map(([label]) => label.split("|")[line] ?? ""),
    );
  print(
    "",
    runs.map(() => "load         answered"),
  );
  for (const { name } of phases) {
    const cells = runs.map(([, windows, steady]) => {
      const loads = of(windows, name).map((window) => window.lookups / steady(window));
      const answered = total(of(windows, name), "answered") / total(of(windows, name), "requests");
      const load = `${figure(Math.min(...loads))}..${figure(Math.max(...loads))}`;
      return `${load.padEnd(13)}${(100 * answered).toFixed(1).padStart(5)} %`;
    });
    print(name, cells);
  }
}

/** 1.00, 12.3, 248. */
function figure(load: number): string {
  return load.toFixed(load < 10 ? 2 : load < 100 ? 1 : 0);
}

function plot(constant: readonly number[], ttl: readonly (readonly number[])[]): void {
  const steps = [300, 100, 30, 10, 3, 1, 0.3];
  const rowOf = (load: number) => steps.findIndex((step) => load >= step / Math.sqrt(3));
  const peak = (loads: readonly number[], column: number) =>
    Math.max(loads[2 * column] ?? 0, loads[2 * column + 1] ?? 0);
  for (const [row, step] of steps.entries()) {
    let line = `${step}x`.padStart(6).padEnd(8);
    for (let column = 0; column < constant.length / 2; column++) {
      const ours = rowOf(peak(constant, column)) === row;
      const theirs = ttl.some((loads) => rowOf(peak(loads, column)) === row);
      line += ours && theirs ? "@" : ours ? "#" : theirs ? "o" : " ";
    }
    say(line.trimEnd());
  }
  let axis = "";
  for (const { name, fromMs } of phases) axis = `${axis.padEnd(fromMs / (2 * windowMs))}|${name}`.slice(0, 96);
  say(`${"".padEnd(8)}${axis}`);
}

/** Keys asked of the source in a window of its steady state. */
function steadyOf(windows: readonly Window[]): number {
  const steady = of(windows, "steady");
  return total(steady, "lookups") / steady.length;
}

async function main(): Promise<void> {
  const plan = (sourceKeysPerSecond: number): Plan => ({ ...traffic, sourceKeysPerSecond });
  const ample = 1.1 * traffic.requestsPerSecond;
  const constant = await run("constant work", plan(ample));
  const lru = await run("lru-cache", plan(ample));
  const cacheable = await run("cacheable", plan(ample));
  const [lruSteady, cacheableSteady] = [steadyOf(lru), steadyOf(cacheable)];
  const perSecond = 1000 / windowMs;
  const lruSized = await run("lru-cache", plan(10 * lruSteady * perSecond));
  const cacheableSized = await run("cacheable", plan(10 * cacheableSteady * perSecond));
  const missRate = total(of(lru, "steady"), "lookups") / total(of(lru, "steady"), "requests");

  say(
    `${traffic.requestsPerSecond} requests a second (Poisson), Zipf over ${traffic.keys} keys, seed ${seed}, windows of ${windowMs} ms, time limit 1 s.`,
  );
  say(
    `Caches with expiry: ttl ${traffic.ttlMs / 1000} s, ${(100 * (1 - missRate)).toFixed(2)} % hits in their steady state (lru-cache's fetch, cacheable's getOrSet).`,
  );
  say(
    '"Load" is keys asked of the source, least to most in a window: for constant work over the window\'s traffic, for the',
  );
  say('others over their own steady load. "Answered" is requests answered in time.');
  say();
  table([
    ["constant work,|source for 1.1x", constant, (window) => window.requests],
    ["lru-cache,|the same source", lru, () => lruSteady],
    ["cacheable,|the same source", cacheable, () => cacheableSteady],
    ["lru-cache,|10x its steady load", lruSized, () => lruSteady],
    ["cacheable,|10x its steady load", cacheableSized, () => cacheableSteady],
  ]);
  say();
  say("load over the steady one; # constant work, o lru-cache or cacheable (the same source), @ both");
  plot(
    constant.map((window) => window.lookups / window.requests),
    [lru.map((window) => window.lookups / lruSteady), cacheable.map((window) => window.lookups / cacheableSteady)],
  );
}

await main();
