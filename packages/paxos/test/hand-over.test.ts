import { describe, expect, it } from "vitest";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];

function led(): TableTop {
  const table = new TableTop(three, { leaseMs: 300 });
  table.elect("a1");
  table.propose("a1", 1);
  return table;
}

function handOver(table: TableTop, to: string): void {
  table.step("a1", { type: "handOver", to, nowMs: table.nowMs });
}

const commands = (table: TableTop, node: string) =>
  table.of(node, "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]));

describe("a hand-over", () => {
  it("is at once where the heir holds everything: there is no moment with two leaders, nor a wait without one", () => {
    const table = led();
    handOver(table, "b1");
    expect(table.core("a1").leading).toBe(false);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBe(0);
    expect(table.core("b1").ready).toBe(true);
    expect(commands(table, "b1")).toEqual([1]);
  });

  it("waits until the heir holds everything", () => {
    const table = led();
    table.passes = ({ to, message }) => to !== "b1" || message.type !== "accept";
    table.propose("a1", 2);
    expect(commands(table, "a1")).toEqual([1, 2]);
    handOver(table, "b1");
    expect(table.core("a1").heir).toBe("b1");
    expect(table.core("a1").leading).toBe(true);
    table.passes = () => true;
    table.advance(200, ["a1"]);
    expect(table.core("b1").ready).toBe(true);
    expect(commands(table, "b1")).toEqual([1, 2]);
  });

  it("waits until all that was asked of the leader is chosen and told, so that nobody is left in doubt", () => {
    const table = led();
    table.stalled.add("a1");
    table.propose("a1", 2);
    // The others hold it, and it is chosen; but the leader's own log does not, and so it has told nobody.
    expect(table.core("a1").knownChosen).toBe(table.core("a1").logEnd);
    handOver(table, "b1");
    expect(table.core("a1").leading).toBe(true);
    table.confirmWrites("a1");
    expect(commands(table, "a1")).toEqual([1, 2]);
    expect(table.core("b1").ready).toBe(true);
  });

  it("takes in nothing more, and what waited is refused by a leader that has handed over", () => {
    const table = led();
    table.passes = ({ to, message }) => to !== "b1" || message.type !== "accept";
    table.propose("a1", 2);
    handOver(table, "b1");
    const { logEnd } = table.core("a1");
    table.propose("a1", 3);
    expect(table.core("a1").logEnd).toBe(logEnd);
    table.passes = () => true;
    table.advance(200, ["a1"]);
    expect(table.core("b1").ready).toBe(true);
    expect(table.of("a1", "rejected").map(({ id, reason }) => [id, reason])).toEqual([[3, "not-leader"]]);
    expect(commands(table, "b1")).toEqual([1, 2]);
  });

  it("is given up after a lease when the heir does not come up: the leader goes on with what waited meanwhile", () => {
    const table = led();
    table.passes = ({ from, to }) => from !== "b1" && to !== "b1";
    table.propose("a1", 2);
    handOver(table, "b1");
    table.propose("a1", 3);
    table.advance(295, ["a1", "c1"]);
    expect(commands(table, "a1")).toEqual([1, 2]);
    table.advance(5, ["a1", "c1"]);
    expect(table.core("a1").heir).toBe(undefined);
    expect(commands(table, "a1")).toEqual([1, 2, 3]);
    // Not even when the heir is back.
    table.passes = () => true;
    table.advance(1000);
    expect(table.core("a1").leading).toBe(true);
    expect(commands(table, "b1")).toEqual([1, 2, 3]);
  });

  it.each([
    ["does not hold the log yet", false],
    ["lacks the state", true],
  ])("is not begun for one that %s", (_, awaitsState) => {
    const table = new TableTop(three);
    table.add("b1", { awaitsState });
    table.passes = ({ to, message }) => awaitsState || to !== "b1" || message.type !== "sync";
    table.elect("a1");
    handOver(table, "b1");
    expect(table.core("a1").heir).toBe(undefined);
    table.propose("a1", 1);
    table.advance(1000, ["a1", "c1"]);
    expect(table.core("a1").leading).toBe(true);
    expect(commands(table, "a1")).toEqual([1]);
  });
});
