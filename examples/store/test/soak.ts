import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

// npm run soak -w @evenkeel/store -- --rounds 1 --seed 1 --times late --times "any time" splits chaos
// Suites of real stores, once for each way in which background work can come at a rare time (`support/untimely.ts`). It takes some ten minutes a round and way.
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    times: { type: "string", multiple: true, default: ["early", "late", "together", "any time"] },
  },
});
const TELLING = [
  "archiving",
  "deletion-chaos",
  "indexes/convergence",
  "indexes/kills",
  "laggard",
  "replacement",
  "scrub",
  "scrub-forged",
  "scrub-forged-trimmed",
  "scrub-repair",
  "scrub-splits",
  "snapshots",
  "splits",
  "splits-interrupted",
  "splits-paging",
  "splits-restore",
  "splits-restore-exact",
  "splits-unasked",
  "state-transfer",
  "stream-chaos",
  "stream-splits",
  "transaction-chaos",
  "transaction-restore",
];
const files = (positionals.length > 0 ? positionals : TELLING).map((name) => `test/${name}.test.ts`);

const failed: string[] = [];
for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.rounds); seed++) {
  for (const times of values.times) {
    console.log(`STORE_TIMES="${times}" STORE_SEED=${seed}`);
    const env = { ...process.env, STORE_TIMES: times, STORE_SEED: String(seed) };
    const { status } = spawnSync("npx", ["vitest", "run", ...files], { stdio: "inherit", env });
    if (status !== 0) failed.push(`npm run soak -w @evenkeel/store -- --seed ${seed} --times "${times}"`);
  }
}
for (const replay of failed) console.error(`replay: ${replay}`);
process.exitCode = failed.length === 0 ? 0 : 1;
