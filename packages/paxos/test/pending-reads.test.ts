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

  it("asks for so many in one turn and leaves the others to its end, which comes once", () => {
    const reads = new PendingReads(1_000);
    for (let turn = 0; turn < 2; turn++) {
      const added = Array.from({ length: 300 }, () => reads.add(nothing, nothing, nothing));
      expect(added.map(({ first }) => first)).toEqual([true, ...Array.from({ length: 299 }, () => false)]);
      expect(added.filter(({ ask }) => ask !== undefined).length).toBe(256);
      expect(reads.inTurn).toBe(true);
      const left = reads.turn();
      expect(left.length).toBe(44);
      expect([reads.inTurn, reads.turn()]).toEqual([false, []]);
      for (const { ask } of added) if (ask !== undefined) reads.take(ask);
      expect(reads.idle).toBe(false);
      for (const id of left) reads.take(id);
      expect(reads.idle).toBe(true);
    }
    const { ask } = reads.add(nothing, nothing, nothing);
    reads.take(ask as number);
    // Its turn is still to come.
    expect(reads.idle).toBe(false);
    for (let i = 0; i < 300; i++) reads.add(nothing, nothing, nothing);
    reads.rejectAll(new PaxosError("ERR_PAXOS_CLOSED", "the group stopped"));
    expect(reads.turn()).toEqual([]);
  });

  it("answers nobody in another's place, and tells who asked what his read has thrown", async () => {
    const reads = new PendingReads(1_000);
    const oops = new Error("oops");
    const early: number[] = [];
    for (let i = 0; i < 8; i++) {
      early.push(reads.add(nothing, nothing, nothing).ask as number);
      reads.take(early.at(-1) as number);
    }
    let late = 0;
    const failed = new Promise((resolve, reject) => {
      const fails = () => {
        throw oops;
      };
      late = reads.add(fails, resolve, reject).ask as number;
    });
    for (const id of early) expect(reads.take(id)).toBeUndefined();
    reads.take(late)?.run();
    await expect(failed).rejects.toBe(oops);
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
