import { setImmediate as turn } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { MemdsClient, MemdsServer } from "../src/index.js";
import { entry } from "./helpers.js";

/** Forces collections: `--expose-gc` may be set while a program runs. */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;
const oldBytes = () =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === "old_space")?.space_used_size ?? 0;

/** Bytes among the old objects that were not there before: they stay until the whole heap is marked again. */
async function grownOld(work: () => void | Promise<void>): Promise<number> {
  collect();
  const before = oldBytes();
  await work();
  collect({ type: "minor" });
  return oldBytes() - before;
}

it("leaves nothing of a look-up behind that has been answered", async () => {
  const server = await MemdsServer.listen();
  server.load({ version: 1, entries: [entry("a", "1")] });
  // Answered some turns later, so that some are always under way.
  const carry = async (frame: Uint8Array) => {
    for (let i = 0; i < 4; i++) await turn();
    return server.answer(frame);
  };
  const client = new MemdsClient({ servers: [{ name: "over there", carry }], timeoutMs: 60_000, hedgeAfterMs: 30_000 });
  const asked: Promise<unknown>[] = [];
  const grown = await grownOld(async () => {
    for (let i = 0; i < 20_000; i++) {
      asked.push(client.fetchMany([`key ${i}`]));
      await turn();
      if (asked.length > 6) await asked.shift();
    }
    await Promise.all(asked.splice(0));
  });
  expect(grown).toBeLessThan(3_000_000);
  await client.close();
  await server.close();
});
