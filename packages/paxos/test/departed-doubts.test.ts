import { describe, expect, it } from "vitest";
import { BALLOT_ZERO, type CoreOptions, type Members, type Message, type Standing } from "../src/core/index.js";
import { TableTop } from "./support/table-top.js";

const four = ["a1", "b1", "c1", "d1"];
const three: Members = { storage: ["a1", "b1", "c1"], log: [] };

function among(table: TableTop, ...nodes: string[]): void {
  table.passes = ({ from, to }) => nodes.includes(from) && nodes.includes(to);
}

function change(table: TableTop, members: Members): void {
  const proposals = [{ id: 99, command: new Uint8Array(0), members }];
  table.step("a1", { type: "propose", proposals, nowMs: table.nowMs });
  table.advance(200, ["a1"]);
}

/** a1 leads and d1 is taken out, of which c1 has heard nothing. It comes back in doubt, and d1 is off. */
function torn(options: Partial<CoreOptions> = {}): TableTop {
  const table = new TableTop(four, options);
  table.elect("a1");
  table.propose("a1", 1);
  table.advance(100, ["a1"]);
  among(table, "a1", "b1", "d1");
  change(table, three);
  table.propose("a1", 2);
  table.start("c1", undefined, { doubtful: true });
  among(table, "a1", "b1", "c1");
  return table;
}

const asked = (table: TableTop, of: string) =>
  table.sent.flatMap(({ to, message }) => (to === of && message.type === "doubt" ? [message.id] : []));
const learned = (table: TableTop): Message => ({ type: "learn", entries: [...table.disk("a1").entries] });
const nothing = { promised: BALLOT_ZERO, accepted: BALLOT_ZERO, logEnd: 0 };

describe("a member in doubt whose log still names one that has left and is off", () => {
  it("learns of that from those who answer, asks them anew, and speaks again", () => {
    const table = torn();
    table.advance(50, ["c1"]);
    expect(table.core("c1").voting).toBe(false);
    table.advance(1000, ["a1", "c1"]);
    expect(new Set(asked(table, "a1")).size).toBe(2);
    expect(new Set(asked(table, "d1")).size).toBe(1);
    expect(table.of("c1", "assured").length).toBe(1);
    expect(table.core("c1")).toMatchObject({ voting: true, knownChosen: table.core("a1").knownChosen });
  });

  it("learns of it by as many pieces as it takes, also where these have left the memory of who answers", () => {
    const table = torn({ tailBytesMax: 0, messageBytesMax: 1 });
    const before = table.sent.length;
    table.advance(1000, ["c1"]);
    expect(table.core("c1").voting).toBe(true);
    const pieces = table.sent.slice(before).filter(({ to, message }) => to === "c1" && message.type === "learn");
    expect(pieces.length).toBeGreaterThan(1);
  });

  it("counts no answer from before it knew", () => {
    const table = torn();
    table.advance(20, ["c1"]);
    const [id = 0] = asked(table, "b1");
    // Everything but what b1 would answer to the next question.
    const { passes } = table;
    table.passes = (sent) => passes(sent) && !(sent.from === "b1" && sent.message.type === "standing");
    table.advance(500, ["c1"]);
    expect(table.core("c1").configuration.departed).toEqual(["d1"]);
    const late: Standing = { type: "standing", id, ...nothing, members: four };
    table.step("c1", { type: "message", from: "b1", message: late, nowMs: table.nowMs });
    expect(table.core("c1").voting).toBe(false);
    table.passes = passes;
    table.advance(500, ["c1"]);
    expect(table.core("c1").voting).toBe(true);
  });

  it("asks on while nobody who answers knows that as chosen, whatever their logs say", () => {
    const table = new TableTop(four);
    table.elect("a1");
    table.advance(100, ["a1"]);
    among(table, "a1", "d1");
    change(table, three);
    // a1 alone has the entry by which d1 is to leave.
    table.start("c1", undefined, { doubtful: true });
    among(table, "a1", "c1");
    table.step("a1", { type: "resign", nowMs: table.nowMs });
    const sayB: Standing = { type: "standing", id: asked(table, "b1")[0] ?? 0, ...nothing, members: three.storage };
    table.advance(300, ["c1"]);
    const id = asked(table, "b1").at(-1) ?? 0;
    table.step("c1", { type: "message", from: "b1", message: { ...sayB, id }, nowMs: table.nowMs });
    table.advance(300, ["c1"]);
    expect(table.core("c1").voting).toBe(false);
    among(table, "a1", "c1", "d1");
    table.advance(300, ["c1"]);
    expect(table.core("c1").voting).toBe(true);
  });

  it("asks those anew who took one out that answers, and says that it has left", () => {
    const table = torn();
    among(table, ...four);
    table.advance(300, ["a1", "d1"]);
    table.passes = ({ to, message }) => to === "d1" || message.type !== "learn";
    table.step("d1", { type: "message", from: "a1", message: learned(table), nowMs: table.nowMs });
    expect(table.core("d1").departed).toBe(true);
    table.advance(500, ["c1"]);
    expect(new Set(asked(table, "d1")).size).toBe(2);
    expect(table.core("c1").voting).toBe(true);
  });

  it("is answered as by a member by one that was told that it has left, and does not know who took it out", () => {
    const table = torn();
    table.step("d1", { type: "message", from: "a1", message: { type: "departed", slot: 4 }, nowMs: table.nowMs });
    expect(table.core("d1").departed).toBe(true);
    table.passes = ({ message }) => message.type !== "learn";
    table.advance(500, ["c1"]);
    const said = table.sent.findLast(({ from, message }) => from === "d1" && message.type === "standing")?.message;
    expect(said).toMatchObject({ members: four, accepted: table.core("d1").accepted, logEnd: table.core("d1").logEnd });
    expect(table.core("c1").voting).toBe(true);
  });

  it("is told where to begin, as a log replica that asks for what is not in the log of its leader", () => {
    const table = new TableTop(four.slice(0, 3));
    for (const node of ["l1", "m1"]) table.add(node, { members: four.slice(0, 3), role: "log" });
    table.elect("a1");
    const learners = ["l1", "m1"].map((node) => ({ node, role: "log" as const }));
    table.step("a1", { type: "learners", learners, nowMs: table.nowMs });
    table.advance(300, ["a1"]);
    change(table, { ...three, log: ["l1"] });
    change(table, { ...three, log: ["l1", "m1"] });
    among(table, "a1", "b1", "c1", "m1");
    change(table, { ...three, log: ["l1"] });
    table.propose("a1", 1, 2);
    const base = table.core("a1").positionFrom(table.core("a1").chosenThrough);
    table.advance(100, ["a1"]);
    if (base === undefined) throw new Error("nothing is chosen");
    for (const node of three.storage)
      table.step(node, { type: "trimmed", throughSlot: base.slot, base, nowMs: table.nowMs });
    table.start("l1", undefined, { doubtful: true });
    among(table, "a1", "b1", "c1", "l1");
    table.advance(1000, ["a1", "l1"]);
    expect(table.core("l1")).toMatchObject({ voting: true, knownChosen: table.core("a1").knownChosen });
  });
});
