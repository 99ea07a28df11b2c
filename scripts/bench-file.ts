/** Runs the benches of one file in a process of its own, and tells its parent what came out. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type BenchResult, runBench } from "./bench-turns.js";
import type { Bench } from "./bench-types.js";

export type FromBenchFile = { readonly turn: string } | { readonly result: BenchResult } | { readonly failure: string };

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const [url = "", packageName = ""] = process.argv.slice(2);
const tell = (message: FromBenchFile) => new Promise<void>((told) => process.send?.(message, () => told()));

try {
  const { default: found } = (await import(url)) as { default?: Bench | Bench[] };
  if (found === undefined) throw new Error("the file has no default export");
  for (const bench of Array.isArray(found) ? found : [found]) {
    const result = await runBench(packageName, bench, (turn) => {
      void tell({ turn });
      // Nobody pays in its own turn for what the one before it left lying about.
      collectGarbage();
    });
    await tell({ result });
  }
} catch (error) {
  await tell({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exitCode = 1;
}
// What a peer leaves running (a timer, a socket) does not keep the table waiting.
process.exit();
