import { describe, expect, it } from "vitest";
import { ClientTable, sequencesAheadMax } from "../src/core/client-table.js";
import { PaxosError } from "../src/core/errors.js";
import { Callers } from "../src/host/callers.js";
import { Proposals } from "../src/host/proposals.js";
import { Submissions } from "../src/host/submissions.js";
import { Trimmer } from "../src/host/trimmer.js";
import { Upkeep, type UpkeepParts } from "../src/host/upkeep.js";
import { Writer } from "../src/host/writer.js";
import type { Entry } from "../src/index.js";
import { memoryStorage, type PersistWrite } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import type { WriteCaller } from "../src/storage/storage.js";
import { FakeWal } from "./support/fake-wal.js";

const ballot = { round: 1, node: "a" };

describe("what is told to be durable", () => {
  /** Writes that end when the test says so. */
  function writing() {
    const under: WriteCaller[] = [];
    const told: (number | string)[] = [];
    const soon: (() => void)[] = [];
    const storage = Object.assign(memoryStorage()("g"), {
      writeThen: (_: PersistWrite, caller: WriteCaller) => void under.push(caller),
    });
    const writer = new Writer(
      storage,
      { soon: (teller) => void soon.push(() => teller.tell()) },
      { durable: (token) => told.push(token), writeFailed: (cause) => told.push((cause as Error).message) },
    );
    const write = (token: number) => writer.write({ type: "persist", token, write: {} });
    const tell = () => {
      for (const one of soon.splice(0)) one();
    };
    return { writer, under, told, write, tell };
  }

  it("is no more than what the disk has, once for all that came together, in order", () => {
    const { writer, under, told, write, tell } = writing();
    for (const token of [1, 2, 3]) write(token);
    under[0]?.written();
    under[1]?.written();
    expect(told).toEqual([]);
    tell();
    expect([told, writer.idle]).toEqual([[2], false]);
    expect(() => write(5)).toThrow(expect.objectContaining({ code: "ERR_PAXOS_INVARIANT" }));
    under[2]?.written();
    expect(writer.idle).toBe(false);
    tell();
    expect([told, writer.idle]).toEqual([[2, 3], true]);
  });

  it("is nothing more once a write has failed, whatever was written behind it or is about to be told", () => {
    const { under, told, write, tell } = writing();
    for (const token of [1, 2, 3]) write(token);
    under[0]?.written();
    under[1]?.notWritten(new Error("EIO"));
    under[2]?.written();
    tell();
    expect(told.filter((token) => typeof token === "number" && token > 1)).toEqual([]);
    expect(told).toContain("EIO");
  });
});

describe("the log that is kept", () => {
  const keptBytesMax = 800;
  /** Entries that weigh 100 bytes each. */
  const entries = (from: number, through: number): Entry[] =>
    Array.from({ length: through - from + 1 }, (_, i) => ({
      slot: from + i,
      ballot,
      kind: "command",
      command: new Uint8Array(68),
    }));
  function trimming() {
    const table = {
      letGo: Number.POSITIVE_INFINITY as number | undefined,
      pinned: Number.POSITIVE_INFINITY,
      end: 0,
      trimmed: 0,
      went: [] as number[],
      weighed: [] as number[],
    };
    const trimmer = new Trimmer({
      keptBytesMax,
      chosenThrough: () => table.end,
      trimmedThrough: () => table.trimmed,
      letGoThrough: () => table.letGo,
      pinnedSlot: () => table.pinned,
      trim: async (through) => void table.went.push(through),
      weighs: (bytes) => void table.weighed.push(bytes),
    });
    const chosen = async (from: number, through: number) => {
      for (let slot = from; slot <= through; slot++) {
        table.end = slot;
        trimmer.chosen(entries(slot, slot));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return Object.assign(table, { trimmer, chosen });
  }

  it("is as much as was told, and nothing of it goes that is not durable as state, or of which nobody says so", async () => {
    const one = trimming();
    await one.chosen(1, 20);
    expect(one.went.at(-1)).toBe(12);
    const durable = trimming();
    durable.letGo = 5;
    await durable.chosen(1, 20);
    expect(durable.went.at(-1)).toBe(5);
    durable.letGo = 9;
    durable.trimmer.look();
    expect(durable.went.at(-1)).toBe(9);
    const silent = trimming();
    silent.letGo = undefined;
    await silent.chosen(1, 50);
    expect(silent.went).toEqual([]);
  });

  it("is no more after ever so many lives that wrote little each", async () => {
    const wal = new FakeWal();
    const went: number[] = [];
    for (let life = 0; life < 60; life++) {
      const storage = walStorage(wal)("g");
      const state = await storage.load();
      const trimmer = new Trimmer({
        kept: storage.weight,
        keptBytesMax: 800_000,
        chosenThrough: () => state.chosenThrough + 1,
        trimmedThrough: () => storage.trimmedThrough,
        letGoThrough: () => Number.POSITIVE_INFINITY,
        pinnedSlot: () => Number.POSITIVE_INFINITY,
        trim: (through) => {
          went.push(through);
          return storage.trim(through);
        },
        weighs: () => {},
      });
      const slot = Math.max(state.chosenThrough, state.trimmedThrough) + 1;
      const entry: Entry = { slot, ballot, kind: "command", command: new Uint8Array(70_000) };
      await storage.write({ entries: [entry], chosenThrough: slot });
      trimmer.chosen([entry]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const kept = 60 - (went.at(-1) ?? 0);
    expect(kept).toBeGreaterThanOrEqual(800_000 / 70_000);
    expect(kept).toBeLessThan((1.5 * 800_000) / 70_000);
  });

  it("is twice as much behind a snapshot that is on its way, and no more", async () => {
    const one = trimming();
    one.pinned = 3;
    await one.chosen(1, 18);
    expect(one.went.at(-1)).toBe(3);
    await one.chosen(19, 30);
    expect(one.went.at(-1)).toBe(14);
  });

  it("is half as much when the node keeps too much, but for what is not durable as state or what a snapshot on its way will need", async () => {
    const one = trimming();
    await one.chosen(1, 7);
    await one.trimmer.halve();
    expect([one.went, one.weighed.at(-1)]).toEqual([[4], 300]);
    one.pinned = 5;
    await one.trimmer.halve();
    expect([one.went, one.weighed.at(-1)]).toEqual([[4, 5], 200]);
    expect(one.trimmer.halve()).toBeUndefined();
    one.pinned = Number.POSITIVE_INFINITY;
    one.letGo = 5;
    expect(one.trimmer.halve()).toBeUndefined();
    one.letGo = undefined;
    expect(one.trimmer.halve()).toBeUndefined();
    one.letGo = 7;
    await one.trimmer.halve();
    await one.trimmer.halve();
    expect([one.went, one.weighed.at(-1)]).toEqual([[4, 5, 6, 7], 0]);
  });

  it("is counted as what is there: what its owner let go of, or a snapshot took the place of, is not", async () => {
    const one = trimming();
    await one.chosen(1, 7);
    one.trimmed = 5;
    await one.trimmer.halve();
    expect([one.went, one.trimmer.kept.bytes, one.weighed.at(-1)]).toEqual([[], 200, 200]);
    one.trimmed = one.end = 1000;
    await one.trimmer.halve();
    expect([one.went, one.trimmer.kept, one.weighed.at(-1)]).toEqual([[], { points: [], bytes: 0 }, 0]);
  });

  it("is told in some dozen points, however much it is while nothing of it may go", async () => {
    const one = trimming();
    one.letGo = 0;
    await one.chosen(1, 1000);
    expect(one.trimmer.kept.points.length).toBeLessThanOrEqual(32);
    one.letGo = 1000;
    one.trimmer.look();
    const left = 1000 - (one.went.at(-1) ?? 0);
    expect(left).toBeGreaterThanOrEqual(8);
    expect(left).toBeLessThanOrEqual(8 + 1000 / 16);
  });
});

describe("the log that a replica keeps", () => {
  /** One whose log of 20 slots was found when its life began, 100 bytes each, of which it is to keep 800. */
  function keeping(role: "storage" | "log", { durableThrough = 20, appliedThrough = 20 } = {}) {
    const went: number[] = [];
    const parts = {
      ids: { nodeId: "a", groupId: "g" },
      home: {
        settings: { now: () => 0, random: () => 0, logKeptBytesMax: 800, snapshotPieceBytes: 100 },
        keptLogs: { weighed: () => {}, forget: () => {} },
      },
      role,
      founders: { storage: ["a"] },
      // It votes, and its log has been born: nobody is asked for anything.
      core: { promised: ballot, born: () => {}, chosenThrough: 20 },
      storage: {
        trimmedThrough: 0,
        weight: { points: Array.from({ length: 20 }, (_, i) => ({ slot: i + 1, bytes: 100 * (i + 1) })), bytes: 2000 },
      },
      machine: { durableThrough },
      applier: { appliedThrough },
      recovered: { state: { promised: ballot, births: new Map([["a", "its mark"]]) } },
      trim: async (through: number) => void went.push(through),
    };
    const upkeep = new Upkeep(parts as unknown as UpkeepParts<unknown>);
    const choose = () => upkeep.chosen([{ slot: 21, ballot, kind: "noop", command: new Uint8Array(0) }]);
    return { went, upkeep, choose };
  }

  it("counts what was found of it, and nothing of it goes that is not applied", () => {
    const one = keeping("storage");
    one.choose();
    expect(one.went).toEqual([12]);
    const behind = keeping("storage", { appliedThrough: 7 });
    behind.choose();
    expect(behind.went).toEqual([7]);
    const notDurable = keeping("storage", { durableThrough: 5 });
    notDurable.choose();
    expect(notDurable.went).toEqual([5]);
  });

  it("goes where there is no state by what storage replicas have, which the leader tells", async () => {
    const log = keeping("log");
    log.choose();
    expect(log.went).toEqual([]);
    log.upkeep.releasable(5);
    await new Promise((resolve) => setImmediate(resolve));
    // It may be told late what was so earlier.
    log.upkeep.releasable(3);
    expect(log.went).toEqual([5]);
    log.upkeep.releasable(20);
    expect(log.went).toEqual([5, 12]);
  });
});

describe("what is under way", () => {
  it("gives the room back that it took, in number and in bytes", () => {
    const proposals = new Proposals<number>({ countMax: 2, bytesMax: 100 });
    for (let slot = 1; slot <= 50; slot++) {
      expect([proposals.hasRoom(100), proposals.hasRoom(101)]).toEqual([true, false]);
      void proposals.add(slot, ballot, 60);
      expect([proposals.hasRoom(40), proposals.hasRoom(41)]).toEqual([true, false]);
      void proposals.add(slot + 1000, ballot, 0);
      expect(proposals.hasRoom(0)).toBe(false);
      for (const taken of [slot, slot + 1000]) proposals.take(taken)?.resolve(0);
    }
    void proposals.add(1, ballot, 60).catch(() => {});
    proposals.rejectAll(new PaxosError("ERR_PAXOS_CLOSED", "over"));
    expect(proposals.hasRoom(100)).toBe(true);
  });

  it("is so many batches and no more, the rest gathers", () => {
    const submissions = new Submissions<number>({ countMax: 100, bytesMax: 100 });
    const submit = () => submissions.add(new Uint8Array(1), 0, ballot).slot;
    submit();
    expect(submissions.turn(0, 2).length).toBe(1);
    submit();
    expect(submissions.turn(0, 2).length).toBe(1);
    for (let i = 0; i < 5; i++) submit();
    expect(submissions.turn(0, 2)).toEqual([]);
    expect(submissions.turn(1, 2).map(({ id }) => id)).toEqual([3, 4, 5, 6, 7]);
    expect(submissions.turn(6, 2)).toEqual([]);
  });
});

describe("who waits for a command", () => {
  const command = new Uint8Array(1);
  function leading() {
    const leadership = { leading: true, ready: true, ballot, leader: "a" };
    const bounds = { outstandingMax: 10, outstandingBytesMax: 100, readsMax: 10 };
    return new Callers<string>({ nodeId: "a", groupId: "g" }, bounds, leadership);
  }
  const refused = (code: string) => ({ status: "rejected", reason: expect.objectContaining({ code }) });

  it("hears its result only when it is the one that was chosen: of another leader's in its slot, that it was none", async () => {
    const callers = leading();
    const waiting = [1, 2, 3].map((slot) => callers.submissions.under.add(slot, ballot, 1));
    callers.applied({ slot: 1, ballot, kind: "command", command }, { result: "done" });
    callers.applied({ slot: 2, ballot: { round: 2, node: "b" }, kind: "command", command }, { result: "another's" });
    callers.applied({ slot: 3, ballot, kind: "noop", command }, {});
    const notLeader = refused("ERR_PAXOS_NOT_LEADER");
    expect(await Promise.allSettled(waiting)).toEqual([{ status: "fulfilled", value: "done" }, notLeader, notLeader]);
  });

  it.each([
    ["another leads", { leading: false, ballot: { round: 2, node: "b" }, leader: "b" }],
    ["it leads again, under another ballot", { leading: true, ballot: { round: 3, node: "a" }, leader: "a" }],
  ])("hears that nobody knows what becomes of it, or that it never left, when %s", async (_, next) => {
    const callers = leading();
    const { submissions } = callers;
    const submit = () => submissions.add(command, 0, ballot).done;
    const left = submit();
    expect(submissions.turn(0, 4).length).toBe(1);
    const gathered = submit();
    callers.leadershipChanged({ type: "leadership", ...next });
    expect([submissions.waiting, callers.idle, callers.leadership.now.ready]).toEqual([false, true, false]);
    const outcomes = await Promise.allSettled([left, gathered]);
    expect(outcomes).toEqual([refused("ERR_PAXOS_UNKNOWN_OUTCOME"), refused("ERR_PAXOS_NOT_LEADER")]);
  });
});

describe("a client that is forgotten", () => {
  it("leaves no answer behind, of what it was ahead with neither", () => {
    const table = new ClientTable();
    table.register(1, 1);
    for (const sequence of [1, 2, 9, sequencesAheadMax]) {
      expect(table.judge(1, sequence)).toBe("fresh");
      table.done(1, sequence, new Uint8Array(10));
    }
    table.register(2, 1);
    expect([table.size, table.resultsBytes]).toEqual([1, 0]);
  });
});
