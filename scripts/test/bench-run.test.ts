import { expect, test } from "vitest";
import { type BenchFile, benchFiles, runBenchFile } from "../bench-run.js";
import { planted } from "./planted.js";

const metrics = '{ throughput: { unit: "ops/s", better: "higher" } }';
const sound = `
import { factor } from "../src/factor.js";
const subjects = { evenkeel: { run: () => ({ throughput: 21 * factor }) } };
export default { name: "takes", metrics: ${metrics}, subjects };
`;
const files = {
  "packages/wal/package.json": '{ "name": "@evenkeel/wal", "type": "module" }',
  "packages/wal/src/factor.ts": "export const factor: number = 2;\n",
  "packages/wal/bench/a.bench.ts": sound,
};

function onlyFile(more: Readonly<Record<string, string>> = {}): BenchFile {
  const [file, ...others] = benchFiles(planted({ ...files, ...more }));
  expect(others).toEqual([]);
  if (!file) throw new Error("no bench file was found");
  return file;
}

test("a bench file is compiled and run, and its turns are told", async () => {
  const turns: string[] = [];
  const { results, failures } = await runBenchFile(onlyFile(), (turn) => turns.push(turn));
  expect(failures).toEqual([]);
  expect(results).toMatchObject([{ rows: [{ package: "wal", bench: "takes: throughput", value: 42, runs: 3 }] }]);
  expect(turns).toEqual([1, 2, 3].map((turn) => `wal: takes: evenkeel, turn ${turn} of 3`));
});

test.each([
  [
    "a turn that throws",
    sound.replace("({ throughput: 21 * factor })", '{ throw new Error("full disk"); }'),
    "full disk",
  ],
  [
    "a process that ends itself",
    sound.replace("({ throughput: 21 * factor })", "process.exit(7)"),
    "ended with exit code 7",
  ],
  ["a file without benches", "export const name = 1;\n", "no default export"],
  ["a file that does not compile", "export default {", "found end of file"],
])("%s is reported", async (_what, text, message) => {
  const { failures } = await runBenchFile(onlyFile({ "packages/wal/bench/a.bench.ts": text }), () => {});
  expect(failures.join("\n")).toContain(message);
});

test("what came out before a failure is kept, and an open timer holds nothing up", async () => {
  const text = sound
    .replace("export default", "const first =")
    .concat('setInterval(() => {}, 1000);\nexport default [first, { ...first, name: "worse", metrics: {} }];\n');
  const { results, failures } = await runBenchFile(onlyFile({ "packages/wal/bench/a.bench.ts": text }), () => {});
  expect(results).toHaveLength(1);
  expect(failures.join("\n")).toContain('bench "worse": it has no metric');
});
