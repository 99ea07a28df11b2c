import { describe, expect, it } from "vitest";
import type { Entry } from "../src/core/index.js";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];

describe("elections", () => {
  it("leads alone when it is the only member", () => {
    const table = new TableTop(["a1"]);
    table.elect("a1");
    table.propose("a1", 7);
    expect(table.of("a1", "chosen").flatMap(({ entries }) => entries.map(({ slot, kind }) => [slot, kind]))).toEqual([
      [1, "noop"],
      [2, "command"],
    ]);
    table.read("a1", 1);
    expect(table.of("a1", "readable").length).toBe(1);
  });

  it("does not disturb a leader that the others hear, whichever single link is cut", () => {
    for (const from of three) {
      for (const to of three) {
        if (from === to) continue;
        const table = new TableTop(three);
        table.elect("a1");
        const { promised } = table.core("a1");
        table.passes = (sent) => sent.from !== from || sent.to !== to;
        table.advance(3000);
        expect(table.core("a1").leading, `${from} -> ${to} cut`).toBe(true);
        expect(table.core("a1").promised).toEqual(promised);
      }
    }
  });

  it("sends nothing in a ballot before its own promise is durable", () => {
    const table = new TableTop(three);
    table.stalled.add("a1");
    table.advance(60, ["a1"]);
    expect(table.sent.some(({ message }) => message.type === "preVote")).toBe(true);
    expect(table.sent.some(({ message }) => message.type === "prepare")).toBe(false);
    table.confirmWrites("a1");
    expect(table.sent.some(({ message }) => message.type === "prepare")).toBe(true);
  });

  it("steps down when no quorum answers, and tells the others", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.propose("a1", 1);
    // Followers hear the leader, the leader hears nobody: without this the group would stand still for ever.
    table.passes = ({ to }) => to !== "a1";
    table.propose("a1", 2);
    table.advance(700, ["a1"]);
    expect(table.core("a1").leading).toBe(false);
    table.advance(200, ["b1", "c1"]);
    expect(["b1", "c1"].filter((node) => table.core(node).ready).length).toBe(1);
  });

  it("gives leadership away when its own disk stands still, and the others go on", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.stalled.add("a1");
    table.propose("a1", 1);
    // Chosen by the others; but who asked a1 waits for a1's own log.
    expect(table.core("b1").logEnd).toBe(2);
    table.advance(2500);
    expect(table.core("a1").leading).toBe(true);
    table.advance(1500);
    const next = ["b1", "c1"].find((node) => table.core(node).ready) as string;
    expect(next).toBeDefined();
    table.propose(next, 2);
    expect(table.of(next, "chosen").flatMap(({ entries }) => entries.map(({ slot }) => slot))).toEqual([1, 2, 3, 4]);
    table.advance(3000);
    expect(table.core(next).leading).toBe(true);
    table.confirmWrites("a1");
    table.advance(1000);
    expect(table.core("a1").chosenThrough).toBe(4);
  });

  it("does not take time in which it was suspended itself for a disk that stands still", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.stalled.add("a1");
    table.propose("a1", 1);
    table.nowMs += 10_000;
    table.step("a1", { type: "tick", nowMs: table.nowMs });
    expect(table.core("a1").leading).toBe(true);
  });

  it("gives leadership away and falls silent when a write fails", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.step("a1", { type: "persistFailed", nowMs: table.nowMs });
    expect(table.core("a1").stopped).toBe(true);
    expect(table.of("a1", "leadership").at(-1)?.leading).toBe(false);
    const sent = table.sent.length;
    table.advance(100, ["b1", "c1"]);
    expect(["b1", "c1"].filter((node) => table.core(node).ready).length).toBe(1);
    expect(table.sent.slice(sent).some(({ from }) => from === "a1")).toBe(false);
    table.propose("a1", 5);
    expect(table.of("a1", "rejected").at(-1)).toMatchObject({ id: 5, reason: "not-leader" });
  });

  it("lets nobody speak in another's name", () => {
    const table = new TableTop(three);
    table.elect("a1");
    const effects = (table.effects.get("b1") ?? []).length;
    const stamp = { ballot: { round: 99, node: "x9" }, round: 1, sentMs: 0, chosenThrough: 0 };
    table.step("b1", { type: "message", from: "c1", message: { type: "heartbeat", ...stamp }, nowMs: table.nowMs });
    expect((table.effects.get("b1") ?? []).length).toBe(effects);
    expect(table.core("b1").leader).toBe("a1");
  });

  it("elects no stranger: who is not in our log's members must bring a log that goes further", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.propose("a1", 1);
    table.advance(100);
    // It believes to be one of a group of three.
    table.add("x9", { members: ["b1", "c1", "x9"] });
    table.passes = ({ from, to }) => from !== "a1" && to !== "a1";
    table.advance(3000, ["x9"]);
    expect(table.sent.some(({ from, message }) => from === "x9" && message.type === "prepare")).toBe(true);
    expect(table.of("x9", "leadership").some(({ leading }) => leading)).toBe(false);
    table.advance(3000, ["b1", "c1"]);
    expect(["b1", "c1"].some((node) => table.core(node).ready)).toBe(true);
  });

  it("brings a candidate that lacks chosen entries up to date before it leads", () => {
    const table = new TableTop(three, { tailBytesMax: 0, messageBytesMax: 100 });
    table.elect("a1");
    table.passes = ({ from, to }) => from !== "c1" && to !== "c1";
    for (let id = 1; id <= 20; id++) table.propose("a1", id);
    table.advance(100, ["a1"]);
    table.passes = ({ from, to }) => from !== "a1" && to !== "a1";
    table.nowMs += 1000;
    table.elect("c1");
    const values = table.of("c1", "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]));
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it("offers a snapshot to a candidate that it cannot elect because the log between them is let go", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.passes = ({ from, to }) => from !== "c1" && to !== "c1";
    for (let id = 1; id <= 20; id++) table.propose("a1", id);
    table.advance(100, ["a1"]);
    const through = 15;
    const base = table.core("b1").positionFrom(through);
    table.step("b1", { type: "trimmed", throughSlot: through, nowMs: table.nowMs, ...(base && { base }) });
    table.passes = ({ from, to }) => from !== "a1" && to !== "a1";
    table.advance(1000, ["c1"]);
    expect(table.of("b1", "snapshotNeeded")[0]).toEqual({ type: "snapshotNeeded", to: "c1", fromSlot: 2 });
    expect(table.core("c1").leading).toBe(false);
    const position = table.core("b1").positionFrom(20);
    if (position === undefined) throw new Error("b1 does not know what it has applied");
    table.step("c1", { type: "installed", position, nowMs: table.nowMs });
    table.elect("c1");
  });

  /** c1 holds all of the log, and does not know that its end is chosen; b1 does, and has let go of it. */
  const forgetful = () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.propose("a1", 1, 2, 3);
    table.advance(100, ["a1"]);
    const { chosenThrough, logEnd } = table.core("b1");
    expect([chosenThrough, logEnd]).toEqual([4, 4]);
    const base = table.core("b1").positionFrom(4);
    if (base === undefined) throw new Error("b1 does not know what it lets go of");
    table.step("b1", { type: "trimmed", throughSlot: 4, base, nowMs: table.nowMs });
    table.passes = ({ from, to }) => from !== "a1" && to !== "a1";
    return { table, found: { ...table.disk("c1").state(), chosenThrough: 1 } };
  };

  it("tells a candidate where the log begins: by the very entry it knows as chosen all that it holds, and needs no state", () => {
    const { table, found } = forgetful();
    table.start("c1", found);
    expect(table.core("c1").knownChosen).toBe(1);
    table.elect("c1");
    const told = table.sent.find(({ to, message }) => to === "c1" && message.type === "promised");
    expect(told?.message).toEqual({
      type: "promised",
      ballot: { round: 0, node: "" },
      accepted: { round: 0, node: "" },
      logEnd: 4,
      chosenThrough: 4,
      chosenBallot: { round: 1, node: "a1" },
      entries: [],
    });
    expect(table.of("c1", "chosen")[0]?.entries.map(({ slot }) => slot)).toEqual([2, 3, 4]);
  });

  it("has a candidate that holds another entry there, or none, know no more by that", () => {
    const other = (entry: Entry): Entry => ({ ...entry, ballot: { round: 1, node: "c1" } });
    for (const change of [
      (found: Entry[]) => [...found.slice(0, 3), other(found[3] as Entry)],
      (found: Entry[]) => found.slice(0, 3),
    ]) {
      const { table, found } = forgetful();
      table.start("c1", { ...found, entries: change([...found.entries]) });
      table.advance(2000, ["c1"]);
      expect(
        table.sent.some(({ to, message }) => to === "c1" && message.type === "promised" && message.chosenThrough === 4),
      ).toBe(true);
      expect(table.core("c1")).toMatchObject({ knownChosen: 1, leading: false });
      expect(table.of("b1", "snapshotNeeded")[0]).toEqual({ type: "snapshotNeeded", to: "c1", fromSlot: 2 });
    }
  });

  it("has a candidate whose members are too few fetch what others know as chosen: those members may be enough", () => {
    const table = new TableTop(three);
    const change = (storage: readonly string[]) => {
      const proposals = [{ id: 9, command: new Uint8Array(0), members: { storage, log: ["l1"] } }];
      table.step("a1", { type: "propose", proposals, nowMs: table.nowMs });
      table.advance(200, ["a1"]);
    };
    table.elect("a1");
    table.add("l1", { members: three, role: "log" });
    table.step("a1", { type: "learners", learners: [{ node: "l1", role: "log" }], nowMs: table.nowMs });
    table.advance(200, ["a1"]);
    change(three);
    table.passes = ({ from, to }) => from !== "b1" && to !== "b1";
    change(["a1", "b1"]);
    expect(table.core("l1")).toMatchObject({ chosenThrough: 3, configuration: { storage: ["a1", "b1"], log: ["l1"] } });
    // c1 has left, a1 is lost: b1 and l1 are two of three, and b1 believes that there are four.
    table.passes = ({ from, to }) => [from, to].every((node) => node === "b1" || node === "l1");
    expect(table.core("b1")).toMatchObject({ chosenThrough: 2, configuration: { storage: three, log: ["l1"] } });
    table.nowMs += 1000;
    table.elect("b1");
    expect(table.core("b1").configuration).toMatchObject({ storage: ["a1", "b1"], log: ["l1"], departed: ["c1"] });
  });

  it("has a candidate fetch from another what the one that knows most has let go of", () => {
    const table = new TableTop([...three, "d1"]);
    table.elect("a1");
    const without = (lost: string) => {
      table.passes = ({ from, to }) => from !== lost && to !== lost;
    };
    without("c1");
    table.propose("a1", 1, 2, 3);
    table.advance(100, ["a1"]);
    // b1 knows of all four slots, and keeps the last one; d1 holds all of them, and has forgotten in a crash that the last one is chosen.
    const base = table.core("b1").positionFrom(3);
    if (base === undefined) throw new Error("b1 does not know what it lets go of");
    table.step("b1", { type: "trimmed", throughSlot: 3, base, nowMs: table.nowMs });
    table.start("d1", { ...table.disk("d1").state(), chosenThrough: 3 });
    without("a1");
    table.nowMs += 1000;
    table.elect("c1");
    const asked = table.sent.filter(({ from, message }) => from === "c1" && message.type === "fetch");
    expect(asked.map(({ to }) => to)).toEqual(["b1", "b1", "d1", "b1"]);
    const values = table.of("c1", "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]));
    expect(values).toEqual([1, 2, 3]);
  });

  it("has a leader sync a log replica from where its own log, as it was found, knows the ballot", () => {
    const table = new TableTop(["a1", "b1"]);
    const change = (storage: readonly string[]) => {
      const proposals = [{ id: 9, command: new Uint8Array(0), members: { storage, log: ["l1"] } }];
      table.step("a1", { type: "propose", proposals, nowMs: table.nowMs });
      table.advance(200, ["a1"]);
    };
    table.elect("a1");
    table.add("l1", { members: ["a1", "b1"], role: "log" });
    table.step("a1", { type: "learners", learners: [{ node: "l1", role: "log" }], nowMs: table.nowMs });
    table.advance(200, ["a1"]);
    change(["a1", "b1"]);
    table.propose("a1", 1, 2, 3);
    table.advance(100, ["a1"]);
    expect(table.core("l1").chosenThrough).toBe(5);
    // b1 is lost, l1 has forgotten that what it holds is chosen, and a1 has let go of it up to an entry that its disk still has.
    table.passes = ({ from, to }) => from !== "b1" && to !== "b1";
    table.start("l1", { ...table.disk("l1").state(), chosenThrough: 2 });
    table.start("a1", table.disk("a1").state(3, 4));
    table.nowMs += 1000;
    table.elect("a1");
    expect(table.core("l1").chosenThrough).toBeGreaterThan(5);
  });

  it("has one that may have been taken out stand in vain once a lease, not again and again", () => {
    const table = new TableTop(three);
    table.elect("b1");
    // c1 has the entry that takes a1 out, and b1, lost then, was all that could have it chosen.
    table.passes = ({ from, to }) => from === "b1" && to === "c1";
    const members = { storage: ["b1", "c1"], log: [] };
    const proposals = [{ id: 9, command: new Uint8Array(0), members }];
    table.step("b1", { type: "propose", proposals, nowMs: table.nowMs });
    expect(table.core("c1").configuration.departed).toEqual(["a1"]);
    table.passes = ({ from, to }) => from !== "b1" && to !== "b1";
    table.nowMs += 1000;
    const begunMs = table.nowMs;
    const stood: number[] = [];
    while (table.nowMs < begunMs + 1000) {
      const { round } = table.core("a1").promised;
      table.advance(5, ["a1"]);
      if (table.core("a1").promised.round > round) stood.push(table.nowMs);
    }
    expect(stood.length).toBeGreaterThan(1);
    for (const [i, ms] of stood.entries()) if (i > 0) expect(ms - (stood[i - 1] as number)).toBeGreaterThanOrEqual(300);
  });

  it("knows nothing by a promise in no ballot while it leads", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.passes = () => false;
    table.propose("a1", 1);
    const { promised: chosenBallot } = table.core("a1");
    const nothing = { accepted: chosenBallot, logEnd: 2, entries: [] };
    const message = {
      type: "promised",
      ballot: { round: 0, node: "" },
      ...nothing,
      chosenThrough: 2,
      chosenBallot,
    } as const;
    table.step("a1", { type: "message", from: "b1", message, nowMs: table.nowMs });
    expect(table.core("a1").knownChosen).toBe(1);
  });
});
