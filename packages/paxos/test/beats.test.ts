import { expect, it } from "vitest";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];
const tuning = { leaseMs: 300, heartbeatMs: 50 };

function busy(table: TableTop, ms: number, each: () => void = () => {}): void {
  for (let passed = 0; passed < ms; passed += 10) {
    table.propose("a1", 1);
    table.advance(10);
    each();
  }
}

function heartbeats(table: TableTop): number {
  return table.sent.filter(({ message }) => message.type === "heartbeat").length;
}

function newestRound(table: TableTop): number {
  const rounds = table.sent.map(({ message }) => (message.type === "heartbeat" ? message.round : 0));
  return Math.max(...rounds);
}

it("says few beats of its own while it is busy, and holds its lease by what it says anyway", () => {
  const table = new TableTop(three, tuning);
  table.elect("a1");
  const before = heartbeats(table);
  const remaining: number[] = [];
  busy(table, 1500, () => remaining.push(table.core("a1").leaseRemainingMs(table.nowMs)));
  // To two peers twice in a lease, and not each of them thirty.
  expect(heartbeats(table) - before).toBeLessThanOrEqual(24);
  expect(heartbeats(table) - before).toBeGreaterThanOrEqual(16);
  expect(Math.min(...remaining)).toBeGreaterThan(200);
});

it("beats as ever for one that is not told everything, and when nothing is asked any more", () => {
  const table = new TableTop(three, tuning);
  table.elect("a1");
  table.passes = ({ from, to }) => from !== "c1" && to !== "c1";
  busy(table, 100);
  table.start("c1");
  // c1 cannot be synced, so nothing that is said to all of them is said to it.
  table.passes = ({ message, to }) => to !== "c1" || message.type !== "sync";
  busy(table, 100);
  const from = heartbeats(table);
  const round = newestRound(table);
  busy(table, 500);
  expect(heartbeats(table) - from).toBeGreaterThanOrEqual(18);
  // What is sent to c1 counts as lost after some rounds: they are no shorter than ever.
  expect(2 * (newestRound(table) - round)).toBe(heartbeats(table) - from);
  const quiet = heartbeats(table);
  table.advance(500);
  expect(heartbeats(table) - quiet).toBeGreaterThanOrEqual(18);
});

it("sends again what was lost, though hardly a beat is said", () => {
  const table = new TableTop(three, tuning);
  table.elect("a1");
  busy(table, 400);
  let lost = 0;
  table.passes = ({ to, message }) => !(to === "b1" && message.type === "accept" && lost++ % 5 === 0);
  busy(table, 1000);
  expect(lost).toBeGreaterThan(50);
  table.passes = () => true;
  busy(table, 50);
  expect(table.core("a1").logEnd - table.core("b1").chosenThrough).toBeLessThanOrEqual(1);
  expect(table.core("a1").leading).toBe(true);
});
