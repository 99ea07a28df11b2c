import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Configuration, departedMax, following, founded, nodesOf } from "../src/core/configuration.js";
import { type Change, refusal, stepTowards } from "../src/core/members.js";
import { Peers } from "../src/core/peers.js";
import { membership, quorumsMeet } from "../src/core/quorum.js";
import { TableTop } from "./support/table-top.js";

const names = ["a", "b", "c", "d", "e", "f", "g"];
const configurationOf = (storage: readonly string[], log: readonly string[] = []): Configuration => ({
  ...founded(storage),
  log: [...log],
});
const abc = configurationOf(["a", "b", "c"]);
const good: Change = {
  self: "a",
  before: abc,
  next: configurationOf(["a", "b", "c"], ["l"]),
  currentChosen: true,
  reignBegun: true,
  ready: () => true,
  held: () => true,
};

describe("quorums of two configurations", () => {
  it("meet exactly when no two of them fit side by side", () => {
    const some = fc.subarray(names, { minLength: 1 });
    fc.assert(
      fc.property(some, some, (left, right) => {
        const [a, b] = [left, right].map((nodes) => membership("a", configurationOf(nodes)));
        const all = [...new Set([...left, ...right])];
        let disjoint = false;
        for (let mask = 0; mask < 1 << all.length; mask++) {
          const inside = all.filter((_, i) => mask & (1 << i));
          const votes = (members: typeof a, nodes: string[]) =>
            nodes.filter((node) => members?.members.includes(node)).length >= (members?.quorum ?? 0);
          const outside = all.filter((node) => !inside.includes(node));
          if (votes(a, inside) && votes(b, outside)) disjoint = true;
        }
        expect(quorumsMeet(configurationOf(left), configurationOf(right))).toBe(!disjoint);
      }),
    );
  });
});

describe("what two storage replicas hold", () => {
  const seated = (slot: number) => {
    const peers = new Peers();
    peers.seat(membership("a", { ...configurationOf(["a", "b", "c"], ["l"]), slot }));
    const says = (node: string, said: object) =>
      Object.assign(peers.get(node) as object, { lacksState: false, ...said });
    return { peers, says };
  };

  it("is what the leader and one more have reported, and not a log replica", () => {
    const { peers, says } = seated(0);
    says("l", { chosenThrough: 9 });
    expect(peers.heldByTwo(7)).toBe(0);
    says("b", { chosenThrough: 5 });
    says("c", { chosenThrough: 4 });
    expect(peers.heldByTwo(7)).toBe(5);
    expect(peers.heldByTwo(3)).toBe(3);
    expect(peers.heldThrough).toBe(5);
    expect(peers.heldAmong(["a", "c", "l"])).toBe(4);
    says("b", { lacksState: true });
    expect(peers.heldByTwo(7)).toBe(4);
    expect(peers.heldThrough).toBe(5);
  });

  it("counts nobody who lacks the entry by which it may be a member: it could not lead", () => {
    const { peers, says } = seated(8);
    says("b", { chosenThrough: 6, acceptedThrough: 7 });
    says("c", { chosenThrough: 3, acceptedThrough: 8 });
    expect(peers.heldByTwo(7)).toBe(3);
    says("b", { acceptedThrough: 8 });
    expect(peers.heldByTwo(7)).toBe(6);
  });
});

describe("the way from some members to others", () => {
  it("gets there in steps whose quorums meet", () => {
    const members = fc
      .tuple(fc.shuffledSubarray(names, { minLength: 2 }), fc.nat({ max: 2 }))
      .map(([nodes, logs]) => ({ storage: nodes.slice(logs > nodes.length - 2 ? 0 : logs), log: nodes.slice(0, logs) }))
      .map(({ storage, log }) => ({ storage, log: log.filter((node) => !storage.includes(node)) }));
    fc.assert(
      fc.property(members, members, (from, to) => {
        let current = configurationOf(from.storage, from.log);
        // A storage replica never becomes a log replica: such a wish leaves it as it is.
        const wanted = { storage: to.storage, log: to.log.filter((node) => !current.storage.includes(node)) };
        for (let steps = 0; ; steps++) {
          const step = stepTowards(current, wanted);
          if (step === undefined) break;
          expect(steps).toBeLessThan(2 * names.length);
          const next = { ...current, storage: step.storage, log: step.log };
          expect(quorumsMeet(current, next)).toBe(true);
          current = next;
        }
        expect(nodesOf(current)).toEqual(nodesOf(wanted));
      }),
    );
  });
});

describe("a change of members", () => {
  it("is taken when every guard is satisfied", () => {
    expect(refusal(good)).toBeUndefined();
    expect(refusal({ ...good, before: good.next, next: configurationOf(["a", "c"], ["l"]) })).toBeUndefined();
    // Where nobody leaves, or no log replica relies on it, nothing need be held.
    expect(refusal({ ...good, held: () => false })).toBeUndefined();
    expect(refusal({ ...good, next: configurationOf(["a", "c"]), held: () => false })).toBeUndefined();
  });

  it.each<[string, Partial<Change>, string]>([
    ["while the one before is not chosen", { currentChosen: false }, "unchosen"],
    ["before anything of this reign is chosen", { reignBegun: false }, "unchosen"],
    ["when the new one does not hold the log's end", { ready: (node) => node !== "l" }, "behind"],
    [
      "that takes out the second storage replica that holds what log replicas have let go of",
      { before: good.next, next: configurationOf(["a", "c"], ["l"]), held: (storage) => storage.includes("b") },
      "behind",
    ],
    ["as a direct swap", { next: configurationOf(["a", "c"], ["l"]) }, "unsafe"],
    ["without the leader itself", { next: configurationOf(["b", "c"]) }, "unsafe"],
    ["that makes a storage replica a log replica", { next: configurationOf(["a", "b"], ["c"]) }, "unsafe"],
    [
      "that leaves one storage replica beside a log replica",
      { before: configurationOf(["a"], []), next: configurationOf(["a"], ["l"]) },
      "unsafe",
    ],
    ["that brings a name back", { before: { ...abc, departed: ["l"] } }, "unsafe"],
    ["with a name twice", { next: configurationOf(["a", "b", "c"], ["c"]) }, "unsafe"],
    ["with a name of nothing", { next: configurationOf(["a", "b", "c"], [""]) }, "unsafe"],
    [
      "to more members than there may be",
      { next: configurationOf(Array.from({ length: 16 }, (_, i) => `${i}`).concat("a")) },
      "unsafe",
    ],
  ])("is refused %s", (_, change, reason) => {
    expect(refusal({ ...good, ...change })).toBe(reason);
  });

  it("remembers who has left, the newest of them", () => {
    let current = configurationOf(["a", "x0"]);
    for (let i = 1; i <= departedMax + 5; i++) current = following(current, { storage: ["a", `x${i}`], log: [] }, i);
    expect(current.departed.length).toBe(departedMax);
    expect(current.departed.at(-1)).toBe(`x${departedMax + 4}`);
  });

  it("that is refused costs a slot and nothing else", () => {
    const table = new TableTop(["a1", "b1", "c1"]);
    table.elect("a1");
    const members = { storage: ["a1", "c1"], log: ["l1"] };
    const proposals = [
      { id: 1, command: new Uint8Array([1]) },
      { id: 2, command: new Uint8Array(0), members },
      { id: 3, command: new Uint8Array([3]) },
    ];
    table.step("a1", { type: "propose", proposals, nowMs: table.nowMs });
    expect(table.of("a1", "rejected")).toMatchObject([{ id: 2, reason: "unsafe" }]);
    const slots = table.of("a1", "proposed").map(({ id, slot }) => [id, slot]);
    expect(slots).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(table.core("a1").configuration.slot).toBe(0);
    expect(table.core("a1").chosenThrough).toBe(4);
  });

  it("counts from the moment at which it is appended: the lease and the quorum are those of the new members", () => {
    const table = new TableTop(["a1", "b1", "c1"]);
    table.elect("a1");
    table.add("d1", { members: ["a1", "b1", "c1"] });
    table.step("a1", { type: "learners", learners: [{ node: "d1", role: "storage" }], nowMs: table.nowMs });
    table.advance(200);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBeGreaterThan(0);
    // Only b1 answers from here on: enough for three members, not for four.
    table.passes = ({ from, to }) => [from, to].every((node) => node === "a1" || node === "b1");
    const members = { storage: ["a1", "b1", "c1", "d1"], log: [] };
    const before = table.core("a1").chosenThrough;
    table.step("a1", {
      type: "propose",
      proposals: [{ id: 9, command: new Uint8Array(0), members }],
      nowMs: table.nowMs,
    });
    table.advance(400, ["a1", "b1"]);
    expect(table.core("a1").configuration.storage).toEqual(members.storage);
    expect(table.core("a1").chosenThrough).toBe(before);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBe(0);
    table.passes = ({ from, to }) => [from, to].every((node) => node !== "c1");
    table.advance(200, ["a1", "b1", "d1"]);
    expect(table.core("a1").chosenThrough).toBeGreaterThan(before);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBeGreaterThan(0);
  });
});
