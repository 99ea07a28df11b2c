import { describe, expect, it } from "vitest";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];

describe("leases and reads", () => {
  it("answers a read at once while the lease holds, without a message", () => {
    const table = new TableTop(three);
    table.elect("a1");
    const before = table.sent.length;
    table.read("a1", 1);
    expect(table.of("a1", "readable")).toEqual([{ type: "readable", id: 1, slot: 1 }]);
    expect(table.sent.length).toBe(before);
  });

  it("counts the lease from when the heartbeat was sent, less the drift of both clocks", () => {
    const table = new TableTop(three, { leaseMs: 300, clockDriftMax: 0.1 });
    table.elect("a1");
    table.passes = () => false;
    const remaining = table.core("a1").leaseRemainingMs(table.nowMs);
    expect(remaining).toBeLessThan((300 * 0.9) / 1.1 + 1e-6);
    expect(remaining).toBeGreaterThan(150);
    table.nowMs += Math.ceil(remaining);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBe(0);
    table.read("a1", 1);
    expect(table.of("a1", "readable")).toEqual([]);
  });

  it("asks a quorum when there is no lease, and takes no answer to an earlier round", () => {
    const table = new TableTop(three, { leaseReads: false });
    table.elect("a1");
    const acks = table.sent.filter(({ to, message }) => to === "a1" && message.type === "ack");
    table.passes = () => false;
    table.read("a1", 1);
    // Every answer that ever came, once more: all of them were asked for before the read.
    for (const { from, message } of acks) table.step("a1", { type: "message", from, message, nowMs: table.nowMs });
    expect(table.of("a1", "readable")).toEqual([]);
    table.passes = () => true;
    table.advance(50);
    expect(table.of("a1", "readable")).toEqual([{ type: "readable", id: 1, slot: 1 }]);
  });

  it("lets no read through before an entry of the leader's own ballot is chosen", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.propose("a1", 1);
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    // Heartbeats and their answers pass, so there is a lease; nothing is accepted.
    table.passes = ({ message }) => message.type !== "sync";
    table.advance(700, ["b1"]);
    expect(table.core("b1").leading).toBe(true);
    expect(table.core("b1").leaseRemainingMs(table.nowMs)).toBeGreaterThan(0);
    table.read("b1", 9);
    expect(table.of("b1", "readable")).toEqual([]);
    table.passes = () => true;
    table.advance(100, ["b1"]);
    expect(table.core("b1").ready).toBe(true);
    expect(table.of("b1", "readable")).toEqual([{ type: "readable", id: 9, slot: 3 }]);
  });

  it("refuses every candidate for a whole lease after a restart", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.passes = ({ from, to }) => from !== "a1" && to !== "a1";
    table.advance(310, []);
    table.start("c1");
    table.nowMs += 299;
    const ballot = { round: 50, node: "b1" };
    const prepare = { type: "prepare", ballot, accepted: ballot, logEnd: 1 } as const;
    table.step("c1", { type: "message", from: "b1", message: prepare, nowMs: table.nowMs });
    expect(table.of("c1", "send").map(({ message }) => message.type)).toEqual(["nack"]);
    table.nowMs += 1;
    table.step("c1", { type: "message", from: "b1", message: prepare, nowMs: table.nowMs });
    expect(table.of("c1", "send").map(({ message }) => message.type)).toEqual(["nack", "promised"]);
  });

  it("needs no such silence from a replica that never promised anything", () => {
    const table = new TableTop(three);
    table.advance(100);
    expect(three.filter((node) => table.core(node).ready).length).toBe(1);
  });

  it("rejects reads that wait when the leadership ends", () => {
    const table = new TableTop(three, { leaseReads: false });
    table.elect("a1");
    table.passes = () => false;
    table.read("a1", 1);
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    expect(table.of("a1", "rejected").map(({ id, reason }) => [id, reason])).toEqual([[1, "not-leader"]]);
  });
});
