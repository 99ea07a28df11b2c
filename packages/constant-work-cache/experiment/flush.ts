/**
 * `npm run experiment -w @evenkeel/constant-work-cache [-- SEED]`: two caches under the same traffic, in virtual time. What does their source
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
  say(`${"".padEnd(13)}${runs.map(([label]) => label.padEnd(32)).join("")}`);
  say(`${"".padEnd(13)}${runs.map(() => "load min..max     answered".padEnd(32)).join("")}`);
  for (const { name } of phases) {
    const cells = runs.map(([, windows, steady]) => {
      const loads = of(windows, name).map((window) => window.lookups / steady(window));
      const answered = total(of(windows, name), "answered") / total(of(windows, name), "requests");
      const load = `${Math.min(...loads).toFixed(2)}..${Math.max(...loads).toFixed(2)}`;
      return `${load.padEnd(18)}${(100 * answered).toFixed(2).padStart(6)} %`.padEnd(32);
    });
    say(`${name.padEnd(13)}${cells.join("")}`);
  }
}

function plot(constant: readonly number[], ttl: readonly number[]): void {
  const steps = [300, 100, 30, 10, 3, 1, 0.3];
  const rowOf = (load: number) => steps.findIndex((step) => load >= step / Math.sqrt(3));
  const peak = (loads: readonly number[], column: number) =>
    Math.max(loads[2 * column] ?? 0, loads[2 * column + 1] ?? 0);
  for (const [row, step] of steps.entries()) {
    let line = `${step}x`.padStart(6).padEnd(8);
    for (let column = 0; column < constant.length / 2; column++) {
      const ours = rowOf(peak(constant, column)) === row;
      const theirs = rowOf(peak(ttl, column)) === row;
      line += ours && theirs ? "@" : ours ? "#" : theirs ? "o" : " ";
    }
    say(line.trimEnd());
  }
  let axis = "";
  for (const { name, fromMs } of phases) axis = `${axis.padEnd(fromMs / (2 * windowMs))}|${name}`.slice(0, 96);
  say(`${"".padEnd(8)}${axis}`);
}

async function main(): Promise<void> {
  const plan = (sourceKeysPerSecond: number): Plan => ({ ...traffic, sourceKeysPerSecond });
  const ample = 1.1 * traffic.requestsPerSecond;
  const constant = await run("constant work", plan(ample));
  const ttl = await run("lru-cache fetch", plan(ample));
  const steady = of(ttl, "steady");
  const ttlSteady = total(steady, "lookups") / steady.length;
  const missRate = total(steady, "lookups") / total(steady, "requests");
  const sized = await run("lru-cache fetch", plan((10 * ttlSteady * 1000) / windowMs));

  say(
    `${traffic.requestsPerSecond} requests a second (Poisson), Zipf over ${traffic.keys} keys, seed ${seed}, windows of ${windowMs} ms, time limit 1 s.`,
  );
  say(
    `lru-cache's fetch, ttl ${traffic.ttlMs / 1000} s: ${(100 * (1 - missRate)).toFixed(2)} % hits in its steady state. "Load" is keys asked of the source:`,
  );
  say("for constant work over the window's traffic, for lru-cache over its own steady load.");
  say();
  table([
    ["constant work, source for 1.1x", constant, (window) => window.requests],
    ["lru-cache, the same source", ttl, () => ttlSteady],
    ["lru-cache, 10x its steady load", sized, () => ttlSteady],
  ]);
  say();
  say("load over the steady one; # constant work, o lru-cache (the same source), @ both");
  plot(
    constant.map((window) => window.lookups / window.requests),
    ttl.map((window) => window.lookups / ttlSteady),
  );
}

await main();
