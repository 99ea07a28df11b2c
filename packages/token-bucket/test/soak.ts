/**
 * npm run soak -w @evenkeel/token-bucket -- --operations 100000000 --seed 1
 *
 * Every kind of bucket against exact integer arithmetic over thirty simulated days, at rates from 1e-9 to 1e12 a second, on clocks that step
 * back, stand still and leap. Each lane is one bucket (or a few keys of one `KeyedBuckets`) that lives through its part of the operations
 * without ever starting anew; `--lane bucket:12345.678` gives all of them to one. Fails at the first token of error, with the seed.
 */
import { parseArgs } from "node:util";
import { soak } from "./soak-lanes.js";

const { values } = parseArgs({
  options: { operations: { type: "string" }, seed: { type: "string" }, lane: { type: "string" } },
});
const operations = Number(values.operations ?? 10_000_000);
const seed = Number(values.seed ?? 1);
const started = performance.now();
let total = 0;
let worst = 0;
for (const lane of soak(operations, seed, values.lane)) {
  total += lane.operations;
  worst = Math.max(worst, lane.worstTokens);
  const off = lane.worstTokens === 0 ? "exact" : `off by ${lane.worstTokens.toExponential(1)} tokens at worst`;
  console.log(
    `${lane.name.padEnd(24)} ${lane.operations.toLocaleString("en")} operations, ${lane.days.toFixed(0)} days, ${off}`,
  );
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `seed ${seed}: ${total.toLocaleString("en")} operations in ${seconds.toFixed(0)} s, off by ${worst.toExponential(1)} tokens at worst`,
);
