import { describe, expect, it } from "vitest";
import type { Entry } from "../src/core/types.js";
import { Applier } from "../src/host/applier.js";
import { Arrears } from "../src/host/arrears.js";
import { Executor } from "../src/host/executor.js";
import { until } from "./support/cluster.js";

const entry = (slot: number): Entry => ({
  slot,
  ballot: { round: 1, node: "a" },
  kind: "command",
  command: Uint8Array.of(slot),
});

/** Somebody waits until this is called. */
function gate() {
  let open = () => {};
  let fail: (cause: Error) => void = () => {};
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { passed, open, fail };
}

/** A state machine that is behind a log of ten slots, of which three are read at a time. */
function behind() {
  const applied: number[] = [];
  const machine = { appliedThrough: 0, room: undefined as (() => Promise<void> | undefined) | undefined };
  const stateMachine = {
    appliedThrough: 0,
    apply: ({ slot }: { slot: number }) => applied.push(slot),
    room: () => machine.room?.(),
  };
  const executor = new Executor<number>("g", stateMachine);
  const applier = new Applier("g", stateMachine, { appliedThrough: 0, behind: false, executor, role: "storage" });
  const table = {
    chosen: 10,
    reads: 0,
    caughtUp: 0,
    failed: [] as unknown[],
    told: [] as number[],
    reading: Promise.resolve(),
  };
  const arrears = new Arrears<number>({
    applier,
    storage: {
      read: async (from, through) => {
        table.reads++;
        await table.reading;
        const slots = Array.from({ length: Math.min(3, through - from + 1) }, (_, i) => from + i);
        return slots.map(entry);
      },
    },
    chosenThrough: () => table.chosen,
    answerer: { applied: ({ slot }) => void table.told.push(slot) },
    applied: () => {},
    caughtUp: () => void table.caughtUp++,
    fail: (cause) => void table.failed.push(cause),
  });
  return Object.assign(table, { applier, arrears, applied, machine });
}

const through = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

describe("what was left to the log", () => {
  it("is applied once there is room, each slot once and in order, with what is chosen meanwhile", async () => {
    const one = behind();
    const room = gate();
    one.arrears.begin(room.passed);
    // A second cause is no second reader.
    one.arrears.begin();
    one.arrears.resume();
    await one.arrears.settled();
    expect([one.applier.lagging, one.reads]).toEqual([true, 0]);
    one.chosen = 12;
    room.open();
    await until(() => one.caughtUp > 0);
    expect([one.applied, one.told]).toEqual([through(12), through(12)]);
    expect([one.applier.lagging, one.caughtUp, one.reads, one.failed]).toEqual([false, 1, 4, []]);
    // Nothing is left: nobody reads.
    one.arrears.resume();
    await new Promise((resolve) => setImmediate(resolve));
    expect([one.caughtUp, one.reads]).toEqual([1, 4]);
    one.chosen = 13;
    one.arrears.begin();
    await until(() => one.caughtUp === 2);
    expect(one.applied).toEqual(through(13));
  });

  it("comes no faster than the state machine has room for it", async () => {
    const one = behind();
    let room = gate();
    one.machine.room = () => (one.applied.length < 5 ? undefined : room.passed);
    one.arrears.begin();
    await until(() => one.applied.length === 5);
    await new Promise((resolve) => setImmediate(resolve));
    expect(one.applied).toEqual(through(5));
    one.machine.room = undefined;
    room.open();
    await until(() => one.caughtUp === 1);
    expect(one.applied).toEqual(through(10));
    // One that is closed waits for no room.
    const other = behind();
    room = gate();
    other.machine.room = () => room.passed;
    other.arrears.begin();
    await until(() => other.reads === 1);
    other.arrears.close();
    room.open();
    await new Promise((resolve) => setImmediate(resolve));
    expect([other.applied, other.caughtUp, other.failed]).toEqual([[], 0, []]);
  });

  it.each([
    ["has it", true],
    ["has let go of it", false],
  ])("stands still while a snapshot takes its place, and goes on behind it, when the log still %s", async (_, has) => {
    const one = behind();
    const read = gate();
    one.reading = read.passed;
    one.arrears.begin();
    await until(() => one.reads === 1);
    one.applier.held = true;
    if (has) read.open();
    else read.fail(new Error("trimmed"));
    await new Promise((resolve) => setImmediate(resolve));
    expect([one.applied, one.applier.lagging, one.caughtUp]).toEqual([[], true, 0]);
    one.applier.jumpTo(7, undefined);
    one.applier.held = false;
    one.reading = Promise.resolve();
    one.arrears.resume();
    await until(() => one.caughtUp === 1);
    expect([one.applied, one.applier.lagging, one.failed]).toEqual([[8, 9, 10], false, []]);
  });

  it("is passed over where a snapshot has brought it while it was read, whether the log still had it or not", async () => {
    for (const gone of [false, true]) {
      const one = behind();
      const read = gate();
      one.reading = read.passed;
      one.arrears.begin();
      await until(() => one.reads === 1);
      one.applier.jumpTo(2, undefined);
      one.reading = Promise.resolve();
      if (gone) read.fail(new Error("trimmed"));
      else read.open();
      await until(() => one.caughtUp === 1);
      expect([one.applied, one.failed]).toEqual([[3, 4, 5, 6, 7, 8, 9, 10], []]);
    }
  });

  it("ends the group when the log cannot be read, unless it has ended already; whoever closes waits for the reading", async () => {
    const one = behind();
    const read = gate();
    one.reading = read.passed;
    one.arrears.begin();
    await until(() => one.reads === 1);
    const broken = new Error("EIO");
    read.fail(broken);
    await until(() => one.failed.length > 0);
    expect([one.failed, one.applied, one.caughtUp]).toEqual([[broken], [], 0]);
    const other = behind();
    const late = gate();
    other.reading = late.passed;
    other.arrears.begin();
    await until(() => other.reads === 1);
    other.arrears.close();
    let settled = false;
    const waiting = other.arrears.settled().then(() => {
      settled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    late.fail(broken);
    await waiting;
    other.arrears.begin();
    await new Promise((resolve) => setImmediate(resolve));
    expect([other.failed, other.applied, other.reads, other.caughtUp]).toEqual([[], [], 1, 0]);
  });
});
