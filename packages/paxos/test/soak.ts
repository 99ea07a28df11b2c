import { parseArgs } from "node:util";
import { runGrayFailure } from "./support/gray-failure.js";
import { runScenario } from "./support/scenario.js";
import { Tally } from "./support/tally.js";

// npm run soak -- --seeds 10000 --from 1
// npm run soak -- --seeds 10000 --gray      one link fails, and nobody may stand
const { values } = parseArgs({
  options: { seeds: { type: "string" }, from: { type: "string" }, gray: { type: "boolean" } },
});
const count = Number(values.seeds ?? 1000);
const first = Number(values.from ?? 1);
const tally = new Tally();
const started = Date.now();
let operations = 0;
let failed = 0;

function run(seed: number): void {
  if (values.gray) {
    tally.add(runGrayFailure(seed));
    return;
  }
  const report = runScenario({ seed });
  tally.merge(report.tally);
  operations += report.operations;
}

for (let seed = first; seed < first + count; seed++) {
  try {
    run(seed);
  } catch (error) {
    failed++;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const again = values.gray
      ? `npm run soak -w @evenkeel/paxos -- --gray --seeds 1 --from ${seed}`
      : `PAXOS_SEED=${seed} npx vitest run test/simulation.test.ts`;
    console.error(`seed ${seed}: ${text}\nreplay: ${again}`);
  }
}
const seconds = (Date.now() - started) / 1000;
console.log(tally.counts);
console.log(`${count} seeds, ${operations} operations, ${failed} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failed === 0 ? 0 : 1;
