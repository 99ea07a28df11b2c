import type { Entry } from "../../src/core/index.js";
import { TableTop } from "./table-top.js";

/**
 * The known bug of changing members one at a time: two leaders in turn each append a change that nobody else chooses, the
 * first wants one member more, the second one less, and a quorum of the one need not meet a quorum of the other. Runs it
 * as far as the guards let it, and returns what the second leader was told.
 */
export function rivalChanges(): { readonly refusals: readonly string[]; readonly contradictions: readonly number[] } {
  const four = ["a1", "b1", "c1", "d1"];
  const table = new TableTop(four);
  table.add("e1", { members: four });
  table.elect("a1");
  table.propose("a1", 1);
  table.step("a1", { type: "learners", learners: [{ node: "e1", role: "storage" }], nowMs: table.nowMs });
  table.advance(300, ["a1"]);
  // The first leader's change: appended by itself and the newcomer, two of five.
  table.passes = ({ from, to }) => [from, to].every((node) => node === "a1" || node === "e1");
  change(table, "a1", [...four, "e1"]);
  // The second leader wins by three votes of four, but its log reaches one of them only.
  const others = ["b1", "c1", "d1"];
  table.passes = ({ from, to, message }) =>
    [from, to].every((node) => others.includes(node)) &&
    (to !== "d1" || message.type === "preVote" || message.type === "prepare");
  for (let i = 0; i < 100 && !table.core("b1").leading; i++) table.advance(20, ["b1"]);
  change(table, "b1", others);
  table.advance(200, ["b1"]);
  const refusals = table.of("b1", "rejected").map(({ reason }) => reason);
  // The first comes back, with whoever is needed for three of five.
  table.passes = ({ from, to }) => [from, to].every((node) => ["a1", "d1", "e1"].includes(node));
  table.step("a1", { type: "resign", nowMs: table.nowMs });
  table.nowMs += 1000;
  table.advance(2000, ["a1"]);
  return { refusals, contradictions: contradictions(table) };
}

/**
 * A candidate that has slept through two changes: its own members are a quorum with one more, the log that it adopts has
 * more members than that, and something was chosen by those whom it did not ask. Returns the slots that came out twice.
 */
export function staleCandidate(): readonly number[] {
  const founders = ["a1", "b1", "c1"];
  const table = new TableTop(founders);
  const among = (...nodes: string[]) => {
    table.passes = ({ from, to }) => [from, to].every((node) => nodes.includes(node));
  };
  const learn = (node: string) => {
    table.add(node, { members: founders });
    table.step("a1", { type: "learners", learners: [{ node, role: "storage" }], nowMs: table.nowMs });
    table.advance(300, ["a1"]);
  };
  table.elect("a1");
  table.propose("a1", 1);
  learn("d1");
  // One change that a third member holds and does not know as chosen; another that only the leader and the two new ones have.
  among("a1", "c1", "d1");
  change(table, "a1", [...founders, "d1"]);
  among("a1", "d1", "e1");
  learn("e1");
  change(table, "a1", [...founders, "d1", "e1"]);
  among("b1", "c1", "d1");
  table.nowMs += 1000;
  for (let i = 0; i < 200 && !table.core("b1").leading; i++) table.advance(20, ["b1"]);
  if (!table.core("b1").leading) throw new Error("nobody leads");
  table.advance(300, ["b1"]);
  return contradictions(table);
}

/** Asks a leader for these storage replicas. */
export function change(table: TableTop, leader: string, storage: readonly string[]): void {
  const proposal = { id: 99, command: new Uint8Array(0), members: { storage, log: [] } };
  table.step(leader, { type: "propose", proposals: [proposal], nowMs: table.nowMs });
}

/** Slots that two replicas report differently. */
export function contradictions(table: TableTop): number[] {
  const chosen = new Map<number, Entry>();
  const slots: number[] = [];
  for (const node of table.cores.keys()) {
    for (const entry of table.of(node, "chosen").flatMap(({ entries }) => entries)) {
      const before = chosen.get(entry.slot) ?? entry;
      chosen.set(entry.slot, before);
      if (before.ballot.round !== entry.ballot.round || before.ballot.node !== entry.ballot.node)
        slots.push(entry.slot);
    }
  }
  return slots;
}
