import { describe, expect, it } from "vitest";
import type { PaxosError } from "../src/core/errors.js";
import { Applier } from "../src/host/applier.js";
import { Executor } from "../src/host/executor.js";
import type { Entry } from "../src/index.js";

const entries = (from: number, through: number): Entry[] =>
  Array.from({ length: through - from + 1 }, (_, i) => ({
    slot: from + i,
    ballot: { round: 1, node: "a" },
    kind: "command",
    command: Uint8Array.of(from + i),
  }));

/** One whose state machine had three commands before this life, and throws where the test says so. */
function applying({ behind = false } = {}) {
  const table = { applied: [] as number[], advanced: [] as number[], told: [] as unknown[], throwsAt: 0 };
  const thrown = new Error("oops");
  const machine = {
    appliedThrough: 3,
    apply: ({ slot }: { slot: number }) => {
      if (slot === table.throwsAt) throw thrown;
      return table.applied.push(slot);
    },
    advance: (slot: number) => void table.advanced.push(slot),
  };
  const executor = new Executor<number>("g", machine);
  executor.carriedOut = 3;
  const applier = new Applier("g", machine, { appliedThrough: 3, behind, executor, role: "storage" });
  const answerer = {
    applied: ({ slot }: Entry, { result }: { result?: unknown }, failure?: PaxosError) =>
      void table.told.push([slot, failure?.code ?? result]),
  };
  const chosen = (from: number, through: number) => applier.chosen(entries(from, through), answerer);
  return Object.assign(table, { applier, chosen, machine, thrown });
}

describe("what is chosen", () => {
  it("is applied slot by slot, and each answer told; counted are the commands of this life", () => {
    const one = applying();
    expect(one.chosen(4, 5)).toBe(true);
    const { applied, advanced, told, applier } = one;
    expect([applied, advanced, applier.appliedThrough, applier.applied]).toEqual([[4, 5], [5], 5, 2]);
    expect(told).toEqual([
      [4, 1],
      [5, 2],
    ]);
    for (const slot of [5, 7]) expect(() => one.chosen(slot, slot)).toThrow(/is chosen behind applied slot 5/);
    expect(one.applied).toEqual([4, 5]);
  });

  it("goes no further than to the one that throws, and whoever waits for that one is told so", () => {
    const one = applying();
    one.throwsAt = 5;
    const failure = { code: "ERR_PAXOS_APPLY", cause: one.thrown };
    expect(() => one.chosen(4, 7)).toThrow(expect.objectContaining(failure));
    expect([one.applied, one.applier.appliedThrough]).toEqual([[4], 4]);
    expect(one.told).toEqual([
      [4, 1],
      [5, "ERR_PAXOS_APPLY"],
    ]);
    // What tells it of a run of them may throw as well.
    const other = applying();
    other.machine.advance = () => {
      throw other.thrown;
    };
    expect(() => other.chosen(4, 5)).toThrow(expect.objectContaining({ ...failure, cause: other.thrown }));
  });

  it("is left to the log while the state machine is about to be another, or has no room, or lacks what stands before it", () => {
    const taking = applying();
    expect(taking.applier.steady).toBe(true);
    taking.applier.held = true;
    expect(taking.applier.steady).toBe(false);
    expect([taking.chosen(4, 5), taking.applier.lagging]).toEqual([false, true]);
    taking.applier.held = false;
    expect([taking.applier.steady, taking.chosen(6, 6), taking.applied]).toEqual([false, false, []]);
    taking.applier.lagging = false;
    expect([taking.applier.steady, taking.chosen(4, 6), taking.applied]).toEqual([true, true, [4, 5, 6]]);
    // It is not in this log: where the snapshot fails, there is nothing to be read.
    const behind = applying({ behind: true });
    behind.applier.held = true;
    expect([behind.chosen(9, 9), behind.applier.lagging]).toEqual([false, false]);
    behind.applier.held = false;
    expect([behind.applier.steady, behind.chosen(10, 10), behind.applied]).toEqual([false, false, []]);
  });
});
