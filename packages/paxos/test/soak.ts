import { parseArgs } from "node:util";
import { runScenario } from "./support/scenario.js";
import { Tally } from "./support/tally.js";

// npm run soak -- --seeds 10000 --from 1
const { values } = parseArgs({ options: { seeds: { type: "string" }, from: { type: "string" } } });
const count = Number(values.seeds ?? 1000);
const first = Number(values.from ?? 1);
const tally = new Tally();
const started = Date.now();
let operations = 0;
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    const report = runScenario({ seed });
    tally.merge(report.tally);
    operations += report.operations;
  } catch (error) {
    failed++;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.error(`seed ${seed}: ${text}\nreplay: PAXOS_SEED=${seed} npx vitest run test/simulation.test.ts`);
  }
}
const seconds = (Date.now() - started) / 1000;
console.log(tally.counts);
console.log(`${count} seeds, ${operations} operations, ${failed} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failed === 0 ? 0 : 1;
