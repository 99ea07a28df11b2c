import { describe, expect, it } from "vitest";
import { encodeConfiguration } from "../src/core/configuration.js";
import type { Message } from "../src/core/index.js";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];
const tuning = { leaseMs: 300, voteTimeoutMs: 150, electionJitterMs: 100 };

const without =
  (...nodes: string[]) =>
  ({ from, to }: { from: string; to: string }) =>
    !nodes.includes(from) && !nodes.includes(to);

const kinds = (table: TableTop, node: string) =>
  table.sent.filter(({ from }) => from === node).map(({ message }) => message.type);

const commands = (table: TableTop, node: string) =>
  table.of(node, "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]));

function hears(table: TableTop, node: string, from: string, message: Message): void {
  table.step(node, { type: "message", from, message, nowMs: table.nowMs });
}

describe("a replica whose leader is silent", () => {
  it("waits for the end of its own grant and a random time more, and says then that it knows no leader", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = () => false;
    const from = table.sent.length;
    table.advance(345, ["b1"]);
    expect(table.sent.length).toBe(from);
    expect(table.core("b1").leader).toBe("a1");
    table.advance(5, ["b1"]);
    expect(table.sent.slice(from).map(({ message }) => message.type)).toEqual(["preVote", "preVote"]);
    expect(table.core("b1").leader).toBe(undefined);
  });

  it("says so too where it may not lead itself", () => {
    const table = new TableTop(three, tuning);
    table.add("c1", { awaitsState: true });
    table.elect("a1");
    expect(table.core("c1").leader).toBe("a1");
    table.passes = without("a1");
    table.advance(400, ["c1"]);
    expect(table.core("c1").leader).toBe(undefined);
    expect(kinds(table, "c1")).not.toContain("preVote");
  });

  it("keeps still for a lease after a restart: what it granted before may run", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = without("a1");
    table.start("c1");
    const from = table.sent.length;
    table.advance(345, ["c1"]);
    expect(table.sent.slice(from)).toEqual([]);
    table.advance(5, ["c1"]);
    expect(table.sent.slice(from).map(({ message }) => message.type)).toContain("preVote");
  });

  it("stands no more when it hears a leader meanwhile, whoever encourages it late", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = ({ message }) => message.type === "preVote";
    table.advance(350, ["c1"]);
    const reply = table.sent.find(
      ({ from, to, message }) => from === "b1" && to === "c1" && message.type === "preVoteReply",
    );
    expect(reply?.message).toMatchObject({ granted: true });
    table.passes = ({ message }) => message.type !== "preVoteReply";
    table.advance(50, ["a1"]);
    expect(table.core("c1").leader).toBe("a1");
    hears(table, "c1", "b1", reply?.message as Message);
    expect(kinds(table, "c1")).not.toContain("prepare");
    expect(table.core("a1").leading).toBe(true);
  });

  it("counts no answer to an earlier question", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = ({ message }) => message.type === "preVote";
    table.advance(350, ["c1"]);
    const reply = table.sent.find(({ to, message }) => to === "c1" && message.type === "preVoteReply");
    table.passes = () => false;
    table.advance(600, ["c1"]);
    expect(kinds(table, "c1").filter((type) => type === "preVote").length).toBeGreaterThan(2);
    hears(table, "c1", "b1", reply?.message as Message);
    expect(kinds(table, "c1")).not.toContain("prepare");
  });
});

describe("a candidate", () => {
  it("asks nobody before its own promise is durable, though something written before it is", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.stalled.add("b1");
    table.propose("a1", 1);
    const [earlier] = table.of("b1", "persist").slice(-1);
    table.passes = without("a1");
    table.advance(400, ["b1"]);
    expect(table.of("b1", "persist").at(-1)?.write.promised).toMatchObject({ node: "b1" });
    table.step("b1", { type: "persisted", token: earlier?.token as number, nowMs: table.nowMs });
    expect(kinds(table, "b1")).not.toContain("prepare");
    table.confirmWrites("b1");
    expect(kinds(table, "b1")).toContain("prepare");
  });

  it("takes a ballot above all that it has heard of, not only above what it has promised", () => {
    const table = new TableTop(three, tuning);
    const ballot = { round: 50, node: "b1" };
    table.step("c1", {
      type: "message",
      from: "b1",
      message: { type: "prepare", ballot, accepted: ballot, logEnd: 9 },
      nowMs: table.nowMs,
    });
    table.passes = without("b1");
    table.advance(60, ["a1"]);
    table.advance(800, ["a1"]);
    expect(table.core("a1").ready).toBe(true);
    const asked = table.sent.filter(({ from, message }) => from === "a1" && message.type === "prepare");
    expect(asked.map(({ message }) => (message as Extract<Message, { type: "prepare" }>).ballot.round)).toContain(51);
    expect(asked.length).toBe(2);
  });

  it("goes on when one refuses it for the sake of a grant: a quorum is enough", () => {
    const table = new TableTop([...three, "d1", "e1"], tuning);
    table.passes = ({ message }) => message.type !== "promised";
    table.advance(60, ["a1"]);
    const asked = table.sent.find(({ from, message }) => from === "a1" && message.type === "prepare")?.message;
    const { ballot } = asked as Extract<Message, { type: "prepare" }>;
    hears(table, "a1", "b1", { type: "nack", ballot, promised: { round: 0, node: "" } });
    table.passes = () => true;
    for (const { from, message } of table.sent.filter(
      ({ to, message }) => to === "a1" && message.type === "promised",
    )) {
      hears(table, "a1", from, message);
    }
    expect(table.core("a1").leading).toBe(true);
  });

  it("that is too far behind to be elected fetches what it lacks, from another where the first one is gone", () => {
    const table = new TableTop(three, { ...tuning, candidateLagMax: 0 });
    table.elect("a1");
    table.passes = without("c1");
    for (let id = 1; id <= 20; id++) table.propose("a1", id);
    table.advance(100, ["a1"]);
    // b1 says that there is more, and is not heard of again.
    table.passes = ({ from, to, message }) => from !== "a1" && to !== "a1" && message.type !== "learn";
    table.advance(1000, ["c1"]);
    expect(kinds(table, "c1")).toContain("fetch");
    expect(table.core("c1").leading).toBe(false);
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    table.passes = without("b1");
    table.advance(2000, ["c1"]);
    expect(table.core("c1").ready).toBe(true);
    expect(commands(table, "c1")).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it("leads with the log of a newer reign, and nothing of its own that was not chosen is left in it", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = without("a1");
    // As many as the others will have, and more: none of them is heard of.
    table.propose("a1", 91, 92, 93, 94, 95);
    table.elect("b1");
    table.propose("b1", 1);
    table.advance(100, ["b1"]);
    table.passes = without("b1");
    table.elect("a1");
    expect(commands(table, "a1")).toEqual([1]);
    expect(commands(table, "c1")).toEqual([1]);
    const held = (node: string) => table.disk(node).entries.map(({ slot, ballot }) => [slot, ballot.round]);
    expect(held("a1")).toEqual(held("c1"));
  });

  it("is not elected by the old members alone where the log that it would adopt has others", () => {
    const table = new TableTop(three, tuning);
    table.elect("b1");
    table.add("d1", {});
    table.step("b1", { type: "learners", learners: [{ node: "d1", role: "storage" }], nowMs: table.nowMs });
    table.advance(200, ["b1"]);
    // Only d1 hears of the change that makes it one of four.
    table.passes = ({ from, to }) => [from, to].every((node) => node === "b1" || node === "d1");
    const members = { storage: [...three, "d1"], log: [] };
    const proposals = [{ id: 9, command: new Uint8Array(0), members }];
    table.step("b1", { type: "propose", proposals, nowMs: table.nowMs });
    table.step("b1", { type: "resign", nowMs: table.nowMs });
    table.passes = ({ from, to }) => [from, to].every((node) => node === "a1" || node === "b1");
    table.advance(3000, ["a1"]);
    expect(kinds(table, "a1")).toContain("prepare");
    expect(table.core("a1").leading).toBe(false);
    table.passes = without("c1");
    table.advance(3000, ["a1"]);
    expect(table.core("a1").ready).toBe(true);
    expect(table.core("a1").configuration.storage).toEqual(members.storage);
  });

  it.each([
    ["goes by the newest members in the log that it would adopt: two are no quorum of four", ["a1", "b1", "d1", "e1"]],
    ["does not lead by a log that says that it is no member", ["b1", "d1"]],
  ])("%s", (_, newest) => {
    const table = new TableTop(three, tuning);
    table.passes = ({ message }) => message.type === "preVote" || message.type === "preVoteReply";
    table.advance(100, ["a1"]);
    const asked = table.sent.find(({ message }) => message.type === "prepare")?.message;
    const { ballot } = asked as Extract<Message, { type: "prepare" }>;
    const old = { round: 0, node: "b1" };
    const config = (slot: number, storage: readonly string[]) => {
      const command = encodeConfiguration({ slot, storage, log: [], departed: [] });
      return { slot, ballot: old, kind: "config", command } as const;
    };
    const promised = { type: "promised", ballot, accepted: old, logEnd: 2, chosenThrough: 0 } as const;
    const entries = [config(1, ["a1", "b1", "d1"]), config(2, newest)];
    for (const from of ["b1", ...newest.slice(1, 2)]) {
      hears(table, "a1", from, { ...promised, chosenBallot: { round: 0, node: "" }, entries });
    }
    expect(table.core("a1").leading).toBe(false);
  });
});

describe("a leader", () => {
  it("leads no more once it hears a newer one, and tells everybody who waits", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = without("a1");
    table.propose("a1", 1);
    table.elect("b1");
    expect(table.core("a1").leading).toBe(true);
    table.passes = ({ to }) => to === "a1";
    table.advance(60, ["b1"]);
    expect(table.core("a1").leading).toBe(false);
    expect(table.of("a1", "leadership").at(-1)).toMatchObject({ leading: false, leader: "b1" });
  });

  it("leads no more once it has promised a newer ballot", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = without("a1");
    table.nowMs += 400;
    const ballot = { round: 9, node: "b1" };
    const prepare = { type: "prepare", ballot, accepted: table.core("b1").accepted, logEnd: 1 } as const;
    hears(table, "a1", "b1", prepare);
    expect(table.core("a1").promised).toEqual(ballot);
    expect(table.core("a1").leading).toBe(false);
    expect(table.of("a1", "leadership").at(-1)).toMatchObject({ leading: false, leader: undefined });
  });

  it("says at once that it leads no more when it gives up, though nobody else does yet", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    table.passes = () => false;
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    expect(table.of("a1", "leadership").at(-1)).toMatchObject({ leading: false, leader: undefined });
  });

  it("is followed on though the end of its own earlier reign is heard late, or another says so in its name", () => {
    const table = new TableTop(three, tuning);
    table.elect("a1");
    const early = table.core("a1").promised;
    table.passes = () => false;
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    table.nowMs += 400;
    table.passes = () => true;
    table.elect("a1");
    const { promised } = table.core("a1");
    expect(promised.round).toBeGreaterThan(early.round);
    hears(table, "c1", "a1", { type: "resign", ballot: early });
    hears(table, "c1", "b1", { type: "resign", ballot: promised });
    expect(table.core("c1").leader).toBe("a1");
    // Its grant runs on: nobody is elected with its help.
    const ballot = { round: 99, node: "b1" };
    hears(table, "c1", "b1", { type: "prepare", ballot, accepted: promised, logEnd: 9 });
    expect(kinds(table, "c1").at(-1)).toBe("nack");
  });
});
