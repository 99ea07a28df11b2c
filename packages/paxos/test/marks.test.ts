import { describe, expect, it } from "vitest";
import { encodeConfiguration } from "../src/core/configuration.js";
import { type Ack, EMPTY_STATE, type Message, type PaxosCore } from "../src/core/index.js";
import { TableTop } from "./support/table-top.js";

const founders = ["a", "b", "c"];

/** a leads b and c, and x has come, whom nobody can tell whether it begins. `readers`: those founders whose release knows of marks. */
function newcomer(readers: readonly string[] = founders) {
  const table = new TableTop(founders);
  for (const node of readers) table.core(node).born(`${node}1`);
  table.elect("a");
  table.add("x", { members: founders, mute: true });
  table.core("x").born("x1");
  return table;
}

const feed = (table: TableTop, mark?: string) => {
  const learners = [{ node: "x", role: "storage" as const, ...(mark === undefined ? {} : { mark }) }];
  table.step("a", { type: "learners", learners, nowMs: table.nowMs });
};

const remember = (table: TableTop) => table.step("x", { type: "remembered", by: "a", nowMs: table.nowMs });

function change(table: TableTop, storage: readonly string[]): void {
  const proposals = [{ id: 9, command: new Uint8Array(0), members: { storage, log: [] } }];
  table.step("a", { type: "propose", proposals, nowMs: table.nowMs });
}

/** x is a member by its mark. */
function joined() {
  const table = newcomer();
  feed(table, "x1");
  remember(table);
  table.advance(200, ["a"]);
  change(table, [...founders, "x"]);
  return table;
}

const says = (table: TableTop, node: string, message: Message) =>
  table.step("a", { type: "message", from: node, message, nowMs: table.nowMs });

function ackOf(core: PaxosCore, through: number, more: Partial<Ack> = {}): Ack {
  return {
    type: "ack",
    ballot: core.promised,
    round: 1,
    sentMs: 0,
    synced: true,
    acceptedThrough: through,
    receivedThrough: through,
    chosenThrough: 0,
    gap: false,
    readsMarks: true,
    ...more,
  };
}

describe("a newcomer whom nobody can tell whether it begins", () => {
  it("says nothing before the one who leads remembers its mark, then what it has, by that mark", () => {
    const table = newcomer();
    feed(table);
    table.advance(200, ["a"]);
    expect(table.core("x").stranger).toBe("a");
    expect(table.sent.filter(({ from }) => from === "x")).toEqual([]);
    feed(table, "x1");
    remember(table);
    expect(table.core("x").stranger).toBeUndefined();
    table.advance(200, ["a"]);
    const acks = table.sent.filter(({ from }) => from === "x").map(({ message }) => message as Ack);
    expect(new Set(acks.map(({ mark, mute }) => `${mark} ${mute}`))).toEqual(new Set(["x1 true"]));
    expect(table.core("a").progressOf("x")).toMatchObject({ holdsTail: true, mark: "x1", mute: true });
    expect(table.core("x").voting).toBe(false);
  });

  it("is a member by its mark, votes by what its own log says, and needs not say its mark any more", () => {
    const table = joined();
    expect(table.core("a").configuration).toMatchObject({ storage: ["a", "b", "c", "x"], marks: [["x", "x1"]] });
    expect(table.core("x").configuration.marks).toEqual([["x", "x1"]]);
    expect(table.core("x").voting).toBe(true);
    const last = table.sent.findLast(({ from }) => from === "x")?.message;
    expect(last).toMatchObject({ type: "ack", listed: true });
    expect(last).not.toHaveProperty("mark");
    // With two founders gone, it is the third of four that writes need; and it may lead.
    table.passes = ({ from, to }) => from !== "c" && to !== "c";
    table.propose("a", 1);
    expect(table.core("a").chosenThrough).toBe(table.core("a").logEnd);
  });

  it("is not asked for before its mark is known, nor by its name alone", () => {
    const table = newcomer();
    feed(table);
    table.advance(200, ["a"]);
    change(table, [...founders, "x"]);
    expect(table.of("a", "rejected").map(({ reason }) => reason)).toEqual(["behind"]);
    expect(table.core("a").readyFor("x", "storage")).toBe(false);
    // With a voice by its name neither: all read marks, so it is a matter of a moment.
    table.step("x", { type: "voice", nowMs: table.nowMs });
    table.advance(200, ["a"]);
    expect(table.core("a").progressOf("x")).toMatchObject({ holdsTail: true, mark: undefined });
    expect(table.core("a").readyFor("x", "storage")).toBe(false);
  });

  it("has to wait while a member does not read marks: by its name it has no voice", () => {
    const table = newcomer(["a", "b"]);
    feed(table, "x1");
    remember(table);
    table.advance(200, ["a"]);
    expect(table.core("a").progressOf("x")).toMatchObject({ holdsTail: true, mark: "x1" });
    expect(table.core("a").readyFor("x", "storage")).toBe(false);
    // One that has a voice by its name becomes a member by that, in bytes that the earlier release reads.
    table.step("x", { type: "voice", nowMs: table.nowMs });
    table.advance(200, ["a"]);
    change(table, [...founders, "x"]);
    expect(table.core("a").configuration.storage).toContain("x");
    expect(encodeConfiguration(table.core("a").configuration)[0]).toBe(1);
  });

  it("is not waited for by who is gone, once that one has been silent for long", () => {
    const table = newcomer();
    table.passes = ({ from, to }) => from !== "c" && to !== "c";
    table.step("a", { type: "resign", nowMs: table.nowMs });
    table.nowMs += 1000;
    table.elect("a");
    feed(table, "x1");
    remember(table);
    table.advance(200, ["a"]);
    remember(table);
    table.advance(200, ["a"]);
    expect(table.core("a").readyFor("x", "storage")).toBe(true);
  });
});

describe("another disk of the same name", () => {
  it("is not counted: neither what it says by its own mark, nor what the name alone says", () => {
    const table = newcomer();
    feed(table, "x1");
    remember(table);
    table.advance(200, ["a"]);
    const before = table.core("a").progressOf("x");
    says(table, "x", ackOf(table.core("a"), 50, { mark: "x2" }));
    says(table, "x", ackOf(table.core("a"), 50));
    says(table, "x", ackOf(table.core("a"), 50, { mute: true }));
    expect(table.core("a").progressOf("x")).toEqual(before);
  });

  it("is not counted for a learner whose name alone has spoken before, either: that one begins anew by its mark", () => {
    const table = newcomer();
    table.step("x", { type: "voice", nowMs: table.nowMs });
    feed(table);
    table.advance(200, ["a"]);
    expect(table.core("a").progressOf("x")).toMatchObject({ holdsTail: true, mark: undefined });
    table.passes = ({ from }) => from !== "x";
    feed(table, "x1");
    says(table, "x", ackOf(table.core("a"), 0, { synced: false, mark: "x1", mute: true }));
    expect(table.core("a").progressOf("x")).toMatchObject({ holdsTail: false, acceptedThrough: 0, mark: "x1" });
  });

  it("does not vote for a member of that name, and is not asked to", () => {
    const table = joined();
    table.start("x", EMPTY_STATE);
    table.core("x").born("x2");
    table.sent.length = 0;
    const { promised, logEnd } = table.core("a");
    const ballot = { round: 40, node: "b" };
    const prepare = { type: "prepare", ballot, accepted: promised, logEnd } as const;
    const asked = (message: Message) => {
      table.step("x", { type: "message", from: "b", message, nowMs: table.nowMs });
      return table.sent.splice(0).map((sent) => sent.message);
    };
    expect(asked({ ...prepare, mark: "x1" })).toEqual([]);
    expect(asked(prepare)).toEqual([]);
    expect(asked({ ...prepare, mark: "x2" })).toMatchObject([{ type: "promised", mark: "x2", mute: true }]);
  });

  it("does not lead where the log that it would adopt knows the one before, nor with a promise to that one", () => {
    const table = new TableTop(["a", "b"]);
    table.add("x", { members: ["a", "b"], mute: true });
    table.passes = () => false;
    const before = { round: 1, node: "a" };
    const entry = (slot: number, round: number, mark: string) => {
      const marks = [["x", mark]] as const;
      const command = encodeConfiguration({ slot, storage: ["a", "b", "x"], log: [], departed: [], marks });
      return { slot, ballot: { round, node: "a" }, kind: "config" as const, command };
    };
    const noop = { slot: 1, ballot: before, kind: "noop", command: new Uint8Array(0) } as const;
    const persisted = { promised: before, accepted: before, chosenThrough: 1, entries: [noop, entry(2, 1, "x2")] };
    const stands = (further: Partial<Message>) => {
      table.disk("x").apply({ ...persisted, truncateFrom: 1 });
      table.start("x", { ...EMPTY_STATE, ...persisted });
      const core = table.core("x");
      core.born("x2");
      for (let i = 0; i < 1000 && table.of("x", "send").every(({ message }) => message.type !== "prepare"); i++) {
        table.advance(5, ["x"]);
        const asked = table.of("x", "send").findLast(({ message }) => message.type === "preVote")?.message;
        if (asked?.type !== "preVote") continue;
        const granted = {
          type: "preVoteReply",
          attempt: asked.attempt,
          granted: true,
          round: 1,
          chosenThrough: 0,
        } as const;
        table.step("x", { type: "message", from: "b", message: granted, nowMs: table.nowMs });
      }
      const reply = {
        type: "promised",
        ballot: core.promised,
        accepted: before,
        logEnd: 2,
        chosenThrough: 1,
        chosenBallot: before,
        entries: [],
      } as const;
      table.step("x", { type: "message", from: "b", message: { ...reply, ...further } as Message, nowMs: table.nowMs });
      // Not for a moment either: whoever hears a leader's word follows it.
      return core.leading || table.of("x", "send").some(({ message }) => message.type === "heartbeat");
    };
    expect(stands({})).toBe(true);
    expect(stands({ accepted: { round: 2, node: "a" }, entries: [entry(2, 2, "x1")] })).toBe(false);
    expect(stands({ accepted: { round: 2, node: "a" }, entries: [entry(2, 2, "x2")] })).toBe(true);
    // b is known by its name.
    expect(stands({ mark: "b1", mute: true })).toBe(false);
  });

  it("is found out by what the log says, and never speaks again", () => {
    const table = joined();
    const log = table.disk("x").state();
    table.start("x", { ...EMPTY_STATE, promised: log.promised, accepted: log.accepted, entries: log.entries });
    table.core("x").born("x2");
    table.step("x", { type: "tick", nowMs: table.nowMs });
    expect(table.of("x", "forgetful")).toHaveLength(1);
    expect(table.core("x").stopped).toBe(true);
  });
});

describe("the voice of a member that is known by its mark", () => {
  it("is there again after a restart, and goes with the entry that gave it", () => {
    const table = joined();
    table.start("x");
    table.core("x").born("x1");
    expect(table.core("x").voting).toBe(true);
  });

  it("goes with that entry, when another leader cuts it", () => {
    const table = new TableTop(founders);
    table.add("x", { members: founders, mute: true });
    const before = { round: 1, node: "a" };
    const ballot = { round: 2, node: "b" };
    const noop = { slot: 1, ballot: before, kind: "noop", command: new Uint8Array(0) } as const;
    const marks = [["x", "x1"]] as const;
    const command = encodeConfiguration({ slot: 2, storage: [...founders, "x"], log: [], departed: [], marks });
    const entries = [noop, { slot: 2, ballot: before, kind: "config", command }] as const;
    table.disk("x").apply({ promised: before, accepted: before, entries });
    table.start("x");
    table.core("x").born("x1");
    expect(table.core("x").voting).toBe(true);
    const stamp = { ballot, round: 1, sentMs: 0, chosenThrough: 0 };
    const position = { prevSlot: 0, prevBallot: { round: 0, node: "" } };
    const message = { type: "sync", ...stamp, ...position, entries: [noop, { ...noop, slot: 2, ballot }] } as const;
    table.step("x", { type: "message", from: "b", message, nowMs: table.nowMs });
    expect(table.core("x").configuration.slot).toBe(0);
    expect(table.core("x").voting).toBe(false);
    // Whoever leads now has yet to hear who it is.
    expect(table.core("x").stranger).toBe("b");
    expect(table.of("x", "send")).toEqual([]);
  });
});
