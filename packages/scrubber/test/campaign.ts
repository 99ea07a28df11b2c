import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { runSeed, type Tally } from "./campaign/campaign.js";

/** `npm run campaign -w @evenkeel/scrubber -- --seeds 200 [--from 1]` */
const { values } = parseArgs({
  options: { seeds: { type: "string", default: "25" }, from: { type: "string", default: "1" } },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
const tally: Tally = { kinds: new Map(), cleanPasses: 0, falseAlarms: 0, failures: [] };
const started = performance.now();
for (let seed = from; seed < from + seeds; seed++) {
  await runSeed(seed, tally);
  if (process.stderr.isTTY) process.stderr.write(`\rseed ${seed}`);
}
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
const row = (name: string, ...cells: (string | number)[]) =>
  `${name.padEnd(34)}${cells.map((cell) => String(cell).padStart(13)).join("")}`;
console.log(row("fault", "injected", "found", "exact keys", "told apart"));
for (const [kind, { injected, found, exact, toldApart }] of tally.kinds)
  console.log(row(kind, injected, found, exact, toldApart));
console.log(
  `\n${tally.cleanPasses} clean passes with writes going on, ${tally.falseAlarms} false alarms; seeds ${from} to ${from + seeds - 1}, ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
for (const failure of tally.failures.slice(0, 10)) console.log(`FAILED ${failure}`);
if (tally.failures.length > 0) process.exitCode = 1;
