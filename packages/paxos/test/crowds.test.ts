import { afterEach, describe, expect, it } from "vitest";
import { Candidates } from "../src/host/candidates.js";
import { Neighbours } from "../src/host/neighbours.js";
import { placeInLine } from "../src/host/succession.js";
import { Crowd } from "./support/crowd.js";

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((all, one) => all + one, 0);

describe("nodes that need 0.4 ms for each message, as some would with ten thousand groups", () => {
  let crowd: Crowd;
  afterEach(() => crowd.close());

  it("have all their groups led that begin in the same moment, and again when the node is gone that leads most", async () => {
    crowd = new Crowd(120, 0.4);
    await crowd.open();
    // All at once they would ask the others faster than these can answer, and ask again, for ever.
    await crowd.until(() => crowd.led() === 120, 10_000);
    await crowd.until(() => crowd.asleep(), 10_000);
    expect(sum(crowd.counts) / 120).toBeLessThan(300);
    await crowd.kill(crowd.mostLeading);
    expect(await crowd.until(() => crowd.led() === 120)).toBeLessThan(5000);
  }, 240_000);

  it("have all their groups led again when they were awake", async () => {
    crowd = new Crowd(60, 0.4, 2, { sleepAfterMs: Number.MAX_SAFE_INTEGER });
    await crowd.open();
    await crowd.until(() => crowd.led() === 60, 10_000);
    await crowd.kill(crowd.mostLeading);
    expect(await crowd.until(() => crowd.led() === 60)).toBeLessThan(5000);
  }, 240_000);
});

describe("a node of many groups that hears nobody, and is heard", () => {
  it("asks on for few of them at a time, and takes the lead of none", async () => {
    const crowd = new Crowd(300, 0.02, 3);
    try {
      await crowd.open();
      await crowd.until(() => crowd.led() === 300 && crowd.asleep());
      const deaf = crowd.mostLeading;
      crowd.deafen(deaf);
      await crowd.until(() => crowd.leads(deaf) === 0 && crowd.led() === 300);
      const said = await crowd.pass(3000);
      // Each of them would ask two others four times a second, and so keep all of them awake: 7,200.
      expect(said.preVote).toBeGreaterThan(0);
      expect(said.preVote).toBeLessThan(2000);
      expect([crowd.leads(deaf), crowd.led()]).toEqual([0, 300]);
    } finally {
      await crowd.close();
    }
  }, 240_000);
});

describe("to whom beats go", () => {
  const bonds = () => {
    const nodes = new Set<string>();
    return {
      know: (node: string) => void nodes.add(node),
      forget: (node: string) => void nodes.delete(node),
      get nodes() {
        return [...nodes];
      },
    };
  };

  it("nodes with which a group is shared, and for a while yet who has left the last", () => {
    const to = bonds();
    const neighbours = new Neighbours(to, 1000);
    const members = new Set(["b", "c"]);
    let asked = 0;
    const groups = Array.from({ length: 10 }, () => ({ votes: (node: string) => ++asked > 0 && members.has(node) }));
    for (const node of members) neighbours.know(node);
    for (let nowMs = 0; nowMs < 5000; nowMs += 10) neighbours.tick(nowMs, () => groups);
    expect(to.nodes).toEqual(["b", "c"]);
    // One group that is shared is enough, and it is not looked for in each tick.
    expect(asked).toBeLessThanOrEqual(10);
    members.delete("c");
    neighbours.tick(5000, () => groups);
    expect(to.nodes).toEqual(["b", "c"]);
    neighbours.tick(6000, () => groups);
    expect(to.nodes).toEqual(["b"]);
    neighbours.know("c");
    neighbours.tick(7000, () => groups);
    expect(to.nodes).toEqual(["b", "c"]);
    neighbours.tick(8000, () => groups);
    expect(to.nodes).toEqual(["b"]);
  });

  it("no more to a member that was removed", async () => {
    const crowd = new Crowd(1, 0.02, 4);
    try {
      await crowd.open();
      await crowd.until(() => crowd.led() === 1);
      const leader = crowd.mostLeading;
      const out = [...crowd.hosts.keys()].find((name) => name !== leader) as string;
      const removed = crowd.hosts.get(leader)?.group("group/0")?.remove({ node: out });
      await crowd.pass(500);
      await removed;
      expect((await crowd.pass(1000)).beat).toBeGreaterThan(70);
      await crowd.pass(8000);
      // Two nodes, each of them twenty times a second to the other.
      expect((await crowd.pass(1000)).beat).toBeLessThan(45);
    } finally {
      await crowd.close();
    }
  }, 240_000);
});

class Group {
  queued = false;
  standing = false;
  leader: string | undefined;
  calls = 0;
  /** Calls for all that is not its election. */
  looks = 0;

  constructor(
    readonly groupId: string,
    readonly storageNodes = ["a", "b", "c"],
  ) {}

  wouldStand(): boolean {
    return !this.standing && this.leader === undefined;
  }

  tick(): void {
    this.looks++;
    if (this.queued) return;
    this.calls++;
    if (this.standing) this.standing = false;
    else if (this.leader === undefined) this.standing = true;
  }
}

describe("groups of one node that want a leader at the same time", () => {
  const all = (count: number) => Array.from({ length: count }, (_, i) => new Group(`g${i}`));

  it("stand only so many at once, more while they are elected, fewer when nobody answers", () => {
    const candidates = new Candidates<Group>("a", 150);
    const groups = all(1000);
    for (const group of groups) candidates.due(group, 0);
    const standing = () => groups.filter((group) => group.standing);
    const first = candidates.window;
    expect(standing()).toEqual(groups.slice(0, first));
    expect(candidates.waiting).toBe(1000 - first);
    // In line they go on with all but their election.
    for (const group of groups.slice(first)) candidates.due(group, 0);
    expect(groups.slice(first).every(({ calls, looks }) => calls === 0 && looks === 2)).toBe(true);
    for (const group of standing()) {
      group.standing = false;
      group.leader = "a";
      candidates.settle(group);
    }
    expect(candidates.window).toBe(2 * first);
    candidates.tick(1);
    expect(standing().length).toBe(2 * first);
    // None of them has an answer: that counts once, however many they are.
    for (const group of standing()) candidates.due(group, 200);
    expect([standing().length, candidates.window]).toEqual([0, first]);
    candidates.tick(201);
    expect(standing().length).toBe(first);
  });

  it("stand in the order of the line, each once, and not when somebody was elected meanwhile or the group is closed", () => {
    const candidates = new Candidates<Group>("a", 150);
    const groups = all(600);
    for (const group of groups) candidates.due(group, 0);
    const queued = groups.filter((group) => group.queued);
    const [led, closed] = queued as [Group, Group];
    led.leader = "b";
    candidates.forget(closed);
    const order: Group[] = [];
    while (candidates.waiting > 0) {
      for (const group of groups) {
        if (!group.standing) continue;
        group.standing = false;
        group.leader = "a";
        candidates.settle(group);
      }
      const before = new Set(groups.filter((group) => group.standing));
      candidates.tick(1);
      order.push(...groups.filter((group) => group.standing && !before.has(group)));
    }
    expect(order.length).toBe(queued.length - 2);
    expect(groups.every((group) => group.calls <= 1)).toBe(true);
    const places = order.map((group) => placeInLine(group, "a"));
    const firstLater = places.indexOf(1);
    expect(places.slice(firstLater + candidates.window).includes(0)).toBe(false);
  });

  it("make room when one stops", () => {
    const candidates = new Candidates<Group>("a", 150);
    const groups = all(100);
    for (const group of groups) candidates.due(group, 0);
    const [stopped] = groups.filter((group) => group.standing) as [Group];
    stopped.standing = false;
    candidates.settle(stopped);
    candidates.tick(1);
    expect([groups.filter((group) => group.standing).length, candidates.waiting]).toEqual([64, 35]);
  });

  it("make room when they are closed, standing or in line, and nobody behind them is left out", () => {
    const candidates = new Candidates<Group>("a", 150);
    const groups = all(100);
    for (const group of groups) candidates.due(group, 0);
    const standing = groups.slice(0, 64);
    const waiting = groups.slice(64);
    for (const group of [...standing.slice(0, 10), ...waiting.slice(0, 20)]) candidates.forget(group);
    expect(candidates.waiting).toBe(16);
    candidates.tick(1);
    expect([waiting.filter((group) => group.standing).length, candidates.waiting]).toEqual([10, 6]);
    for (const group of standing.slice(10, 20)) candidates.forget(group);
    candidates.tick(2);
    expect(waiting.slice(20).every((group) => group.standing)).toBe(true);
    expect(waiting.slice(0, 20).some((group) => group.standing)).toBe(false);
  });

  it("need no turn when they stand without: whoever is handed the lead has to beat", () => {
    const candidates = new Candidates<Group>("a", 150);
    const groups = all(100);
    for (const group of groups) candidates.due(group, 0);
    const heir = groups.find((group) => group.queued) as Group;
    heir.standing = true;
    candidates.settle(heir);
    expect([heir.queued, candidates.waiting]).toEqual([false, 35]);
  });

  it("have another node first in line for each, the same in the eyes of all", () => {
    const nodes = ["a", "b", "c"];
    const counts = new Map<string, number>();
    for (const group of all(300)) {
      const first = nodes.filter((node) => placeInLine(group, node) === 0);
      expect(first.length).toBe(1);
      counts.set(first[0] as string, (counts.get(first[0] as string) ?? 0) + 1);
    }
    for (const node of nodes) expect(counts.get(node)).toBeGreaterThan(50);
    expect(placeInLine({ groupId: "g", storageNodes: nodes }, "l1")).toBe(3);
  });
});
