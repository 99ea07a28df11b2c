import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import { PaxosError } from "../src/core/errors.js";
import { Applier } from "../src/host/applier.js";
import { Callers } from "../src/host/callers.js";
import { type EffectParts, Effects } from "../src/host/effects.js";
import { Executor } from "../src/host/executor.js";
import type { Leadership } from "../src/index.js";

const ballot = { round: 1, node: "a" };
const other = { round: 2, node: "b" };
const command = new Uint8Array(1);
const entry = (slot: number, by = ballot) => ({ slot, ballot: by, kind: "command", command }) as const;
const error = (code: "ERR_PAXOS_APPLY" | "ERR_PAXOS_CLIENT" | "ERR_PAXOS_CLOSED") => new PaxosError(code, "so it is");
const refused = (code: string) => ({ status: "rejected", reason: expect.objectContaining({ code }) });

function leading(ready = true) {
  const leadership: Leadership = { leading: true, ready, ballot, leader: "a" };
  const bounds = { outstandingMax: 10, outstandingBytesMax: 100, readsMax: 10 };
  const callers = new Callers<string>({ nodeId: "a", groupId: "g" }, bounds, leadership);
  const submit = () => callers.submissions.add(command, 0, ballot).done;
  /** The id of a read, and what comes of it. */
  const read = (value: string) => {
    let id = 0;
    const done = new Promise<string>((resolve, reject) => {
      id = callers.reads.add(() => value, resolve, reject).ask as number;
    });
    return { id, done };
  };
  return { callers, submit, read };
}

/** What the core asks for, carried out beside such callers by a state machine that has no room. */
function carryingOut(callers: Callers<string>, { lagging = false, behind = false, held = false }) {
  const heard: string[] = [];
  const tells = (what: string) => () => void heard.push(what);
  const machine = {
    ...{ appliedThrough: 5, apply: () => "done" },
    room: () => {
      heard.push("has no room");
      return new Promise<void>(() => {});
    },
  };
  const executor = new Executor<string>("g", machine);
  const applier = new Applier("g", machine, { appliedThrough: 5, behind, executor, role: "storage" });
  Object.assign(applier, { lagging, held });
  const effects = new Effects({
    ...{ callers, applier, step: ({ type }: { type: string }) => heard.push(type) },
    home: { settings: { now: () => 7 }, due: tells("due"), know: tells("know") },
    replica: {
      ...{ storage: {}, core: { chosenThrough: 5 } },
      localReads: { applied: tells("local reads: applied"), leaderChanged: tells("local reads: another leads") },
    },
    writer: { write: tells("writes") },
    upkeep: { writes: tells("about to write"), chosen: tells("kept") },
  } as unknown as EffectParts<unknown>);
  return { effects, applier, heard };
}

describe("who has asked a group for something", () => {
  it("keeps it from being packed for as long as it waits, before it is asked of the core as after", () => {
    const { callers, submit, read } = leading();
    expect(callers.idle).toBe(true);
    void submit();
    callers.submissions.turn(0, 2);
    expect(callers.idle).toBe(false);
    callers.submissions.under.take(1);
    expect(callers.idle).toBe(true);
    void submit();
    callers.submissions.under.take(1);
    expect(callers.idle).toBe(false);
    callers.submissions.turn(0, 2);
    expect(callers.idle).toBe(true);
    const { id } = read("x");
    expect(callers.idle).toBe(false);
    callers.reads.turn();
    expect(callers.idle).toBe(false);
    callers.reads.take(id);
    expect(callers.idle).toBe(true);
  });

  it("is told that the state machine has thrown, or what it was refused for, and no result", async () => {
    const { callers, submit } = leading();
    const waiting = [submit(), submit()];
    callers.applied(entry(1), { result: "half done" }, error("ERR_PAXOS_APPLY"));
    callers.applied(entry(2), { refusal: error("ERR_PAXOS_CLIENT") });
    expect(await Promise.allSettled(waiting)).toEqual([refused("ERR_PAXOS_APPLY"), refused("ERR_PAXOS_CLIENT")]);
  });

  it("is told why the core would not have it: a command as well as a read", async () => {
    const { callers, submit, read } = leading();
    const waiting = [submit(), submit(), submit()];
    const { id, done } = read("x");
    callers.rejected({ type: "rejected", id: 1, reason: "unsafe", leader: "a" });
    callers.rejected({ type: "rejected", id: 2, reason: "too-large", leader: "a" });
    callers.rejected({ type: "rejected", id: 3, reason: "not-leader", leader: "b" });
    callers.rejected({ type: "rejected", id, reason: "overloaded", leader: "a" });
    const codes = ["ERR_PAXOS_MEMBERS", "ERR_PAXOS_OVERLOADED", "ERR_PAXOS_NOT_LEADER", "ERR_PAXOS_OVERLOADED"];
    expect(await Promise.allSettled([...waiting, done])).toEqual(codes.map(refused));
  });

  it("finds its command in the slot that it was promised, or the group stops", () => {
    const { callers, submit } = leading();
    void submit().catch(() => {});
    callers.proposed({ type: "proposed", id: 1, slot: 1, ballot });
    for (const wrong of [
      { id: 1, slot: 2, ballot },
      { id: 2, slot: 1, ballot },
      { id: 1, slot: 1, ballot: other },
    ])
      expect(() => callers.proposed({ type: "proposed", ...wrong })).toThrow(/submitted for slot/);
  });

  it("has its turn in a new reign, whatever was under way in the one before", () => {
    const { callers, submit } = leading();
    void submit();
    expect(callers.submissions.turn(0, 1).length).toBe(1);
    callers.leadershipChanged({ type: "leadership", leading: true, ballot: { round: 3, node: "a" }, leader: "a" });
    void submit();
    expect(callers.submissions.turn(0, 1).length).toBe(1);
  });

  it("reads when enough is applied, each at its own slot", async () => {
    const { callers, read } = leading();
    const reads = [read("first"), read("second")];
    const answered: string[] = [];
    for (const { done } of reads) void done.then((value) => answered.push(value));
    for (const [i, { id }] of reads.entries()) {
      callers.readable({ type: "readable", id, slot: 5 + i }, { appliedThrough: 4, lagging: true });
    }
    for (const [appliedThrough, sofar] of [
      [4, []],
      [5, ["first"]],
      [6, ["first", "second"]],
    ] as const) {
      callers.appliedThrough(entry(appliedThrough), appliedThrough);
      await Promise.resolve();
      expect(answered).toEqual(sofar);
    }
    const late = read("late");
    expect(() =>
      callers.readable({ type: "readable", ...late, slot: 9 }, { appliedThrough: 6, lagging: false }),
    ).toThrow(/readable at slot 9/);
  });

  it("hears of it when a snapshot has brought enough, though nothing is chosen behind it", async () => {
    const { callers, submit, read } = leading();
    const { id, done } = read("read");
    callers.readable({ type: "readable", id, slot: 5 }, { appliedThrough: 4, lagging: true });
    void submit();
    const { effects, applier, heard } = carryingOut(callers, { lagging: true, behind: true });
    effects.arrears.resume();
    expect(await done).toBe("read");
    // What has gathered has its turn.
    expect(heard).toEqual(["local reads: applied", "due", "stateful"]);
    expect([applier.lagging, applier.behind]).toEqual([false, false]);
  });

  it("is told when the group stops, all of them, and nobody is told anything afterwards", async () => {
    const { callers, submit, read } = leading();
    const told: Leadership[] = [];
    callers.leadership.listen((leadership) => void told.push(leadership));
    const waiting = [submit(), read("x").done];
    callers.end(error("ERR_PAXOS_CLOSED"));
    expect(await Promise.allSettled(waiting)).toEqual([
      refused("ERR_PAXOS_UNKNOWN_OUTCOME"),
      refused("ERR_PAXOS_CLOSED"),
    ]);
    const end = { leading: false, ready: false, ballot, leader: undefined };
    expect([told, callers.leadership.now]).toEqual([[end], end]);
    callers.leadershipChanged({ type: "leadership", leading: false, ballot: other, leader: "b" });
    expect(told).toEqual([end]);
  });
});

describe("who leads", () => {
  it("is ready with the first entry of its own ballot, not with one that it found", () => {
    const { callers } = leading(false);
    callers.appliedThrough(entry(1, { round: 0, node: "b" }), 1);
    expect(callers.leadership.now.ready).toBe(false);
    let told = 0;
    callers.leadership.listen(() => void told++);
    for (const slot of [2, 3]) {
      callers.appliedThrough(entry(slot), slot);
      expect([callers.leadership.now.ready, told]).toEqual([true, 1]);
    }
  });

  it("is published when this node begins or ceases to lead, and told to listeners until they leave", () => {
    const published: unknown[] = [];
    const onChange = (event: unknown) => published.push((event as Leadership).leading);
    subscribe("evenkeel:paxos:leadership", onChange);
    try {
      const { callers } = leading();
      const told: (string | undefined)[] = [];
      const leave = callers.leadership.listen(({ leader }) => void told.push(leader));
      for (const leader of ["b", "c"]) {
        callers.leadershipChanged({ type: "leadership", leading: false, ballot: other, leader });
      }
      leave();
      callers.leadershipChanged({ type: "leadership", leading: true, ballot: { round: 3, node: "a" }, leader: "a" });
      expect([published, told]).toEqual([
        [false, true],
        ["b", "c"],
      ]);
    } finally {
      unsubscribe("evenkeel:paxos:leadership", onChange);
    }
  });
});

describe("what a core asks for", () => {
  it("is told to all whom it concerns, in their order", () => {
    const { callers } = leading();
    const { effects, heard } = carryingOut(callers, {});
    effects.carryOut({ type: "persist", token: 1, write: {} });
    effects.carryOut({ type: "leadership", leading: false, ballot: other, leader: "b" });
    const configuration = { slot: 5, storage: ["a"], log: [], departed: [] };
    effects.carryOut({ type: "configured", configuration });
    effects.carryOut({ type: "chosen", entries: [entry(6)] });
    expect(heard).toEqual(["about to write", "writes", "local reads: another leads", "know", "has no room", "kept"]);
  });

  it("is not a matter of room for who leads, nor for a state machine that is not where the log could go on", () => {
    const chosen = { type: "chosen", entries: [entry(6)] } as const;
    const asked = (callers: Callers<string>, state: { behind?: boolean; held?: boolean }) => {
      const { effects, heard } = carryingOut(callers, state);
      effects.carryOut(chosen);
      return heard.includes("has no room");
    };
    const { callers } = leading();
    expect(asked(callers, {})).toBe(false);
    callers.leadershipChanged({ type: "leadership", leading: false, ballot: other, leader: "b" });
    expect([{}, { behind: true }, { held: true }].map((state) => asked(callers, state))).toEqual([true, false, false]);
  });
});
