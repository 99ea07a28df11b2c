/**
 * npm run soak -w @evenkeel/constant-work-cache -- --reads 100000000 --seed 1
 *
 * Reads against a source whose replicas are of different age and whose answers overtake one another: no reader may ever see a key go back.
 */
import { parseArgs } from "node:util";
import { Absent, ConstantWorkCache } from "../src/index.js";

const { values } = parseArgs({ options: { reads: { type: "string" }, seed: { type: "string" } } });
const reads = Number(values.reads ?? 100_000_000);
const seed = Number(values.seed ?? 1);
const keys = Array.from({ length: 256 }, (_, i) => `key-${i}`);
const readsATurn = 512;
const held = 8;

let state = seed >>> 0 || 1;
function below(limit: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

interface Versioned {
  readonly version: number;
}
const current = new Map(keys.map((key) => [key, 1]));
const waiting: { readonly keys: readonly string[]; answer(answer: Map<string, Versioned | Absent>): void }[] = [];
const cache = new ConstantWorkCache<string, Versioned>({
  source: {
    fetchMany: (asked) => new Promise((answer) => waiting.push({ keys: [...asked], answer })),
  },
  versionOf: ({ version }) => version,
  inFlightMax: held,
  timeoutMs: 2 ** 31 - 1,
});

/** A replica up to a hundred versions behind; every seventh version is a deletion. */
function read(key: string): Versioned | Absent {
  const version = Math.max(1, (current.get(key) as number) - below(100));
  return version % 7 === 0 ? new Absent(version) : { version };
}

const seen = new Map(keys.map((key) => [key, 0]));
let older = 0;
let done = 0;
const started = performance.now();
while (done < reads) {
  for (let i = 0; i < readsATurn; i++, done++) {
    const key = keys[below(keys.length)] as string;
    const version = cache.peek(key)?.version;
    // A deletion has no version that a reader could see: what it saw before stays the mark.
    if (version === undefined) continue;
    if (version < (seen.get(key) as number))
      throw new Error(`seed ${seed}: ${key} went back to ${version} from ${seen.get(key)} at read ${done}`);
    seen.set(key, version);
  }
  await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 8; i++) {
    const key = keys[below(keys.length)] as string;
    current.set(key, (current.get(key) as number) + 1 + below(3));
  }
  // Answers leave in any order, some after many turns.
  while (waiting.length > below(held)) {
    const [call] = waiting.splice(below(waiting.length), 1);
    if (call === undefined) break;
    const answer = new Map(call.keys.map((key) => [key, read(key)]));
    for (const [key, { version }] of answer) if (version < (seen.get(key) as number)) older++;
    call.answer(answer);
  }
}
cache.close();
const seconds = (performance.now() - started) / 1000;
const { lookups, refreshesDropped } = cache.stats();
process.stdout.write(
  `${done} reads, ${lookups} look-ups (${refreshesDropped} dropped), ${older} answers older than what was served, none taken; seed ${seed}, ${seconds.toFixed(0)} s\n`,
);
if (older === 0) throw new Error("no answer was ever older: this run proves nothing");
