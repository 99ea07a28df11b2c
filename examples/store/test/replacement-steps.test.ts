import fc from "fast-check";
import { expect, test } from "vitest";
import { nextStep } from "../src/control/replacement.js";
import type { PartitionRecord } from "../src/metadata/records.js";

const NODES = ["a1", "b1", "c1", "d1", "e1", "f1"];
const record: PartitionRecord = {
  partition: 1,
  tableId: "t",
  hashFrom: 0,
  hashTo: 2 ** 32,
  members: ["a1", "b1", "c1"],
};
const loadOf = (nodes: Iterable<string>) => new Map([...nodes].map((node, i) => [node, i]));

test("a member that is gone is replaced in four steps, by the node that has least to do", () => {
  const circumstances = {
    isGone: (node: string) => node === "b1",
    load: new Map([
      ["a1", 0],
      ["c1", 0],
      ["d1", 5],
      ["e1", 3],
    ]),
  };
  const steps = [];
  let now = record;
  for (let step = nextStep(now, circumstances); step !== undefined; step = nextStep(now, circumstances)) {
    now = step.record;
    steps.push([step.change?.kind, now.members.join(), now.log?.join(), now.building?.join(), now.gone?.join()]);
  }
  expect(steps).toEqual([
    [undefined, "a1,b1,c1", "e1", undefined, ""],
    ["replace", "a1,c1", "e1", undefined, "b1"],
    [undefined, "a1,c1", undefined, "e1", "b1"],
    ["promote", "a1,c1,e1", undefined, undefined, "b1"],
  ]);
  expect(now.founders).toEqual(["a1", "b1", "c1"]);
});

test("nothing is begun where all are there, or where nobody can take the place", () => {
  expect(nextStep(record, { isGone: () => false, load: loadOf(NODES) })).toBeUndefined();
  const gone = { isGone: (node: string) => node === "b1" };
  expect(nextStep(record, { ...gone, load: loadOf(["a1", "c1"]) })).toBeUndefined();
  expect(nextStep({ ...record, gone: ["d1"] }, { ...gone, load: loadOf(["a1", "c1", "d1"]) })).toBeUndefined();
});

test("whoever dies meanwhile, one at a time, three that are there hold the partition in the end, and no name comes back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(NODES.length - 1), { maxLength: 3 }),
      fc.array(fc.nat(4), { maxLength: 3 }),
      (deaths, pauses) => {
        const dead = new Set<string>();
        // What the group itself makes of the changes: who counts in a quorum of it.
        const group = new Set(record.members);
        const left = new Set<string>();
        let now = record;
        const advance = (stepsMax: number): boolean => {
          for (let steps = 0; steps < stepsMax; steps++) {
            const alive = NODES.filter((node) => !dead.has(node));
            const step = nextStep(now, { isGone: (node) => dead.has(node), load: loadOf(alive) });
            if (step === undefined) return true;
            const { change } = step;
            if (change?.kind === "replace") {
              expect(left.has(change.by), `${change.by} comes back`).toBe(false);
              group.add(change.by);
              if (group.delete(change.failed)) left.add(change.failed);
            } else if (change?.kind === "promote") {
              expect(group.has(change.node), `${change.node} is promoted as a member`).toBe(true);
              for (const node of now.gone ?? []) if (group.delete(node)) left.add(node);
            }
            now = step.record;
          }
          return false;
        };
        for (const [i, death] of deaths.entries()) {
          const node = NODES[death] as string;
          // Another one only when the one before is made good: two of three at once is more than a group can lose.
          const members = [...now.members, ...(now.log ?? []), ...(now.building ?? [])];
          if (dead.size > 0 && members.some((member) => dead.has(member)) && now.members.includes(node)) continue;
          dead.add(node);
          advance(pauses[i] ?? 0);
        }
        expect(advance(50)).toBe(true);
        const there = NODES.filter((node) => !dead.has(node));
        expect(now.members.filter((node) => there.includes(node))).toHaveLength(Math.min(3, now.members.length));
        expect(now.members).toHaveLength(3);
        expect([...group].sort()).toEqual([...now.members].sort());
        for (const node of now.gone ?? []) expect(now.members).not.toContain(node);
      },
    ),
    { numRuns: 500 },
  );
});
