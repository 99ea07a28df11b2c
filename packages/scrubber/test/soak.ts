import { parseArgs } from "node:util";
import { type Entry, type KeyRange, Scrubber, sortedReplica } from "../src/index.js";

/** `npm run soak -w @evenkeel/scrubber -- --keys 10000000`: three sources that only stream, two of them damaged in one key each. */
const { values } = parseArgs({ options: { keys: { type: "string", default: "10000000" } } });
const keys = Number(values.keys);
const keyOf = (i: number) => Buffer.from(String(i).padStart(10, "0"));
const damaged = { b: Math.floor(keys * 0.37), c: keys - 2 };

function source(name: "a" | "b" | "c") {
  const indexOf = (key: Uint8Array) =>
    Number(Buffer.from(key.subarray(0, 10)).toString() || 0) + (key.length > 10 ? 1 : 0);
  function* entries({ from, to }: KeyRange): Iterable<Entry> {
    const end = to === undefined ? keys : indexOf(to);
    for (let i = indexOf(from); i < end; i++) {
      if (name === "c" && i === damaged.c) continue;
      yield { key: keyOf(i), value: Buffer.from(name === "b" && i === damaged.b ? "rotten" : `value ${i}`) };
    }
  }
  return sortedReplica({ name, open: () => ({ entries }) });
}

const replicas = (["a", "b", "c"] as const).map(source);
const report = await new Scrubber({ replicas, position: () => 1 }).pass();
for (const { key, replica, kind } of report.divergences) console.log(`${replica}: ${kind} at ${Buffer.from(key)}`);
const { user, system } = process.cpuUsage();
console.log(
  `${report.keys} keys, ${report.exchanges} exchanges, ${((user + system) / 1e6).toFixed(1)} s of processor time, ${Math.round(process.resourceUsage().maxRSS / 1024)} MB of memory at most`,
);
const found = report.divergences.map(({ key, replica }) => `${replica} ${Number(Buffer.from(key).toString())}`).sort();
const expected = [`b ${damaged.b}`, `c ${damaged.c}`];
if (!report.complete || found.join() !== expected.join()) {
  console.log(`FAILED: expected ${expected.join(", ")}`);
  process.exitCode = 1;
}
