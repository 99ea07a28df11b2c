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

  it("has no lease to speak of where none is to be used", () => {
    const table = new TableTop(three, { leaseReads: false });
    table.elect("a1");
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBe(0);
  });

  it("is judged by the latest clock reading, whatever an earlier one says that is heard of later", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.passes = () => false;
    const { nowMs } = table;
    table.step("a1", { type: "tick", nowMs: nowMs + 400 });
    table.step("a1", { type: "read", id: 1, nowMs });
    expect(table.of("a1", "readable")).toEqual([]);
    expect(table.core("a1").leaseRemainingMs(nowMs)).toBe(0);
  });

  it("answers each read once, however it comes to be answered: one round at a time, who comes meanwhile shares the next", () => {
    const table = new TableTop(three, { leaseReads: false });
    table.elect("a1");
    const rounds = () =>
      table.sent.filter(({ from, message }) => from === "a1" && message.type === "heartbeat").length / 2;
    const before = rounds();
    table.passes = () => false;
    for (const id of [1, 2, 3]) table.read("a1", id);
    expect(rounds() - before).toBe(1);
    table.passes = () => true;
    table.advance(50, ["a1"]);
    expect(rounds() - before).toBe(3);
    expect(table.of("a1", "readable").map(({ id }) => id)).toEqual([1, 2, 3]);
    table.advance(200);
    expect(table.of("a1", "readable").length).toBe(3);
  });

  it("answers by a lease that has come whoever waited for a round", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.passes = () => false;
    table.nowMs += 400;
    for (const id of [1, 2]) table.read("a1", id);
    expect(table.of("a1", "readable")).toEqual([]);
    table.passes = () => true;
    table.advance(50, ["a1"]);
    expect(table.of("a1", "readable").map(({ id }) => id)).toEqual([1, 2]);
    table.advance(200);
    expect(table.of("a1", "readable").length).toBe(2);
  });

  it("answers who is alone as soon as its own disk has written", () => {
    const table = new TableTop(["a1"]);
    table.stalled.add("a1");
    table.advance(100);
    table.step("a1", { type: "persisted", token: 1, nowMs: table.nowMs });
    expect(table.core("a1").leading).toBe(true);
    table.read("a1", 1);
    expect(table.of("a1", "readable")).toEqual([]);
    table.confirmWrites("a1");
    expect(table.of("a1", "readable").map(({ id }) => id)).toEqual([1]);
  });

  it("lets only so many reads wait, and rejects all of them when the leadership ends, asked for in a round or not", () => {
    const table = new TableTop(three, { leaseReads: false, readsMax: 3 });
    table.elect("a1");
    table.passes = () => false;
    for (const id of [1, 2, 3, 4]) table.read("a1", id);
    const rejected = () => table.of("a1", "rejected").map(({ id, reason }) => [id, reason]);
    expect(rejected()).toEqual([[4, "overloaded"]]);
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    expect(rejected().slice(1)).toEqual([1, 2, 3].map((id) => [id, "not-leader"]));
  });
});
