import { parseArgs } from "node:util";
import { salvage, Wal } from "../src/index.js";
import { seeded } from "./fault-file-system.js";
import { fuzz, seedLog } from "./support/fuzz.js";
import { fuzzArchive, seedArchive } from "./support/fuzz-archive.js";
import { newTally, powerCuts } from "./support/power-cuts.js";

// npm run soak -w @evenkeel/wal -- --seconds 600 --seed 1
// Power cuts against the model, mutated logs and mutated archives, in turns, until the time is over.
const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
const first = Number(values.seed ?? Math.floor(Math.random() * 1_000_000_000));
const mutationsPerCut = 10;
const failuresMax = 20;

const tally = newTally();
const outcomes: Record<string, number> = {};
const started = Date.now();
let failed = 0;
let seed = first;

async function run(work: Promise<unknown>, of: number, replay: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    failed++;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.error(`seed ${of}: ${text}\nreplay: ${replay}`);
  }
}

console.log(`soak: seeds from ${first} on, ${seconds} s`);
const [whole, wholeArchive] = [await seedLog(seeded(1)), await seedArchive()];
for (; Date.now() - started < seconds * 1000 && failed < failuresMax; seed++) {
  const cut = powerCuts(seed, { Wal, salvage }, tally);
  await run(cut, seed, `WAL_SEED=${seed} npx vitest run test/crashes.test.ts`);
  for (let n = 0; n < mutationsPerCut; n++) {
    const mutation = seed * mutationsPerCut + n;
    for (const once of [() => fuzz(mutation, whole), () => fuzzArchive(mutation, wholeArchive)]) {
      const counted = once().then((outcome) => {
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      });
      await run(counted, mutation, `WAL_FUZZ_SEED=${mutation} npx vitest run test/fuzz.test.ts`);
    }
  }
}
console.log(tally, outcomes);
console.log(
  `${seed - first} seeds, ${(seed - first) * mutationsPerCut} mutated logs and archives each, ${failed} failed, ${seconds} s`,
);
process.exitCode = failed === 0 ? 0 : 1;
