import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../src/core/index.js";
import { EMPTY_STATE, PaxosCore, PaxosError } from "../src/core/index.js";
import { Log, weightOf } from "../src/core/log.js";
import { membership, reachedByQuorum } from "../src/core/quorum.js";
import { TableTop } from "./support/table-top.js";

const entry = (slot: number, round: number, size = 1): Entry => {
  return { slot, ballot: { round, node: "a1" }, kind: "command", command: new Uint8Array(size) };
};

describe("the log in memory", () => {
  it("behaves as an array that is cut at both ends", () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant("append" as const), n: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ kind: fc.constant("truncate" as const), n: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ kind: fc.constant("shed" as const), n: fc.integer({ min: 0, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const log = new Log(0, []);
        const model: Entry[] = [];
        let first = 1;
        let round = 1;
        for (const { kind, n } of actions) {
          if (kind === "append") {
            const fresh = Array.from({ length: n }, (_, i) => entry(model.length + 1 + i, round, n));
            log.append(fresh, 0);
            model.push(...fresh);
          } else if (kind === "truncate") {
            round++;
            const from = Math.max(first, model.length + 1 - n);
            log.truncateFrom(from);
            model.length = from - 1;
          } else {
            log.shed(model.length, n);
            first = log.firstSlot;
          }
          expect(log.end).toBe(model.length);
          expect(log.slice(first, log.end)).toEqual(model.slice(first - 1));
          expect(log.bytes).toBe(model.slice(first - 1).reduce((sum, e) => sum + weightOf(e), 0));
          if (first > 1) expect(log.ballotAt(first - 1)).toEqual(model[first - 2]?.ballot);
        }
      }),
    );
  });

  it("cuts messages to size, but never to nothing", () => {
    const log = new Log(
      0,
      [1, 2, 3].map((slot) => entry(slot, 1, 68)),
    );
    expect(log.slice(1, 3, 200).map(({ slot }) => slot)).toEqual([1, 2]);
    expect(log.slice(2, 3, 10).map(({ slot }) => slot)).toEqual([2]);
  });
});

describe("quorums", () => {
  it("are what a majority has reached", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 7 }), (values) => {
        const nodes = values.map((_, i) => `n${i}`);
        const [self, ...peers] = values as [number, ...number[]];
        const majority = [...values].sort((a, b) => b - a)[Math.floor(values.length / 2)];
        expect(reachedByQuorum(membership("n0", { slot: 0, storage: nodes, log: [], departed: [] }), self, peers)).toBe(
          majority,
        );
      }),
    );
  });

  it("count a member once, however often it answers", () => {
    const table = new TableTop(["a1", "b1", "c1", "d1", "e1"]);
    table.elect("a1");
    table.passes = ({ from, to }) => [from, to].every((node) => node === "a1" || node === "b1");
    table.propose("a1", 1);
    const acks = table.sent.filter(({ to, message }) => to === "a1" && message.type === "ack").slice(-5);
    for (const { from, message } of [...acks, ...acks]) {
      table.step("a1", { type: "message", from, message, nowMs: table.nowMs });
    }
    expect(table.core("a1").chosenThrough).toBe(1);
    table.passes = () => true;
    table.advance(60, ["a1"]);
    expect(table.core("a1").chosenThrough).toBe(2);
  });
});

describe("the pipeline", () => {
  it("is bounded, then queues, then refuses", () => {
    const table = new TableTop(["a1", "b1", "c1"], { pipelineSlotsMax: 2, queueMax: 2, commandBytesMax: 10 });
    table.elect("a1");
    table.passes = () => false;
    table.propose("a1", 1, 2, 3, 4, 5);
    expect(table.of("a1", "proposed").map(({ id, slot }) => [id, slot])).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(table.of("a1", "rejected").map(({ id, reason }) => [id, reason])).toEqual([[5, "overloaded"]]);
    const huge = { id: 6, command: new Uint8Array(11) };
    table.step("a1", { type: "propose", proposals: [huge], nowMs: table.nowMs });
    expect(table.of("a1", "rejected").at(-1)).toMatchObject({ id: 6, reason: "too-large" });
    table.passes = () => true;
    table.advance(120, ["a1"]);
    expect(table.of("a1", "proposed").map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(table.core("a1").chosenThrough).toBe(5);
  });

  it("is bounded in bytes for each follower too, however far the others have come", () => {
    const bounds = { pipelineBytesMax: 20_000, commandBytesMax: 2000, messageBytesMax: 5000, tailBytesMax: 1000 };
    const table = new TableTop(["a1", "b1", "c1"], bounds);
    table.elect("a1");
    table.stalled.add("c1");
    const propose = () => {
      const proposals = [{ id: 1, command: new Uint8Array(2000) }];
      table.step("a1", { type: "propose", proposals, nowMs: table.nowMs });
    };
    for (let i = 0; i < 100; i++) propose();
    table.advance(300, ["a1"]);
    expect(table.core("a1").chosenThrough).toBe(101);
    // What is on its way to the one whose disk stands still is a pipeline and a piece of catch-up.
    expect(table.core("c1").logBytes).toBeLessThan(20_000 + 2 * 5000);
    table.confirmWrites("c1");
    propose();
    table.advance(5000, ["a1"]);
    expect(table.core("c1").chosenThrough).toBe(102);
    const slots = table.of("c1", "chosen").flatMap(({ entries }) => entries.map(({ slot }) => slot));
    expect(slots).toEqual(Array.from({ length: 102 }, (_, i) => i + 1));
  });

  it("keeps in memory what is chosen where it leads, and a sixteenth of that elsewhere", () => {
    const table = new TableTop(["a1", "b1", "c1"], { tailBytesMax: 160_000 });
    const proposals = [{ id: 1, command: new Uint8Array(1000 - 32) }];
    const kept = (leader: string) => {
      table.elect(leader);
      for (let i = 0; i < 200; i++) table.step(leader, { type: "propose", proposals, nowMs: table.nowMs });
      table.advance(100, [leader]);
      return ["a1", "b1", "c1"].map((node) => Math.ceil(table.core(node).logBytes / 1000));
    };
    expect(kept("a1")).toEqual([160, 10, 10]);
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    expect(kept("b1")).toEqual([10, 160, 10]);
  });

  it("sends one message a peer and asks for one write for all that came together", () => {
    const table = new TableTop(["a1", "b1", "c1"]);
    table.elect("a1");
    const sent = table.sent.length;
    const writes = table.of("a1", "persist").length;
    table.propose("a1", 1, 2, 3, 4, 5, 6, 7, 8);
    expect(table.sent.slice(sent).filter(({ message }) => message.type === "accept").length).toBe(2);
    expect(table.of("a1", "persist").length).toBe(writes + 1);
  });

  it("reports every chosen slot exactly once, in order, on every replica", () => {
    const table = new TableTop(["a1", "b1", "c1"]);
    table.elect("a1");
    for (let id = 1; id <= 50; id++) table.propose("a1", id);
    table.advance(100, ["a1"]);
    for (const node of ["a1", "b1", "c1"]) {
      const slots = table.of(node, "chosen").flatMap(({ entries }) => entries.map(({ slot }) => slot));
      expect(slots).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
    }
  });
});

describe("arguments", () => {
  const good = { nodeId: "a1", members: ["a1"], random: () => 0.5 };
  it.each([
    ["nodeId", { nodeId: "" }],
    ["members", { members: [] }],
    ["leaseMs", { leaseMs: 1.5 }],
    ["heartbeatMs", { heartbeatMs: 200, leaseMs: 300 }],
    ["clockDriftMax", { clockDriftMax: 0.6 }],
    ["commandBytesMax", { commandBytesMax: 100, pipelineBytesMax: 10 }],
  ])("names %s when it is wrong", (name, change) => {
    const make = () => new PaxosCore({ ...good, ...change } as typeof good, EMPTY_STATE, 0);
    expect(make).toThrow(PaxosError);
    expect(make).toThrow(new RegExp(name));
  });

  it("takes no state that cannot be", () => {
    const state = { ...EMPTY_STATE, accepted: { round: 2, node: "a1" } };
    expect(() => new PaxosCore(good, state, 0)).toThrow(/persisted\.accepted/);
    expect(() => new PaxosCore(good, { ...EMPTY_STATE, entries: [entry(3, 1)] }, 0)).toThrow(/persisted\.entries/);
  });
});
