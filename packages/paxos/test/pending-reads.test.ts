import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { PaxosError } from "../src/core/errors.js";
import { PendingReads } from "../src/host/reads.js";

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

const nothing = () => {};

describe("pending reads", () => {
  it("gives each back once, under the id that it was asked for by, whatever came and went meanwhile", () => {
    const reads = new PendingReads(1_000);
    const answered: string[] = [];
    const add = (name: string) => reads.add(() => answered.push(name), nothing, nothing).ask as number;
    const patient = add("patient");
    const ids = new Set([patient]);
    for (let i = 0; i < 500; i++) {
      const [first, second] = [add(`first ${i}`), add(`second ${i}`)];
      reads.turn();
      ids.add(first).add(second);
      reads.take(second)?.run();
      reads.take(first)?.run();
      expect(reads.take(first)).toBeUndefined();
      expect(answered.splice(0)).toEqual([`second ${i}`, `first ${i}`]);
    }
    expect(ids.size).toBe(1_001);
    expect(reads.idle).toBe(false);
    reads.take(patient)?.run();
    expect(answered).toEqual(["patient"]);
    expect(reads.idle).toBe(true);
  });

  it("refuses more than may wait, and rejects all that do", () => {
    const reads = new PendingReads(100);
    const rejected: unknown[] = [];
    for (let i = 0; i < 100; i++) reads.add(nothing, nothing, (error) => rejected.push(error));
    expect(() => reads.add(nothing, nothing, nothing)).toThrow(/100 reads wait already/);
    const error = new PaxosError("ERR_PAXOS_CLOSED", "the group stopped");
    reads.rejectAll(error);
    expect(rejected).toEqual(Array.from({ length: 100 }, () => error));
    reads.turn();
    expect(reads.idle).toBe(true);
  });

  it("leaves nothing of a read behind that has been answered", async () => {
    const reads = new PendingReads(1_000);
    const under: number[] = [];
    const grown = await grownOld(() => {
      for (let i = 0; i < 50_000; i++) {
        const held = Array.from({ length: 20 }, () => i);
        under.push(reads.add(() => held, nothing, nothing).ask as number);
        reads.turn();
        if (under.length > 20) reads.take(under.shift() as number)?.run();
      }
    });
    expect(grown).toBeLessThan(2_000_000);
  });
});
