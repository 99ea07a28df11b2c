import { afterEach, describe, expect, it } from "vitest";
import { Candidates } from "../src/host/candidates.js";
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
  }, 60_000);

  it("have all their groups led again when they were awake", async () => {
    crowd = new Crowd(60, 0.4, 2, { sleepAfterMs: Number.MAX_SAFE_INTEGER });
    await crowd.open();
    await crowd.until(() => crowd.led() === 60, 10_000);
    await crowd.kill(crowd.mostLeading);
    expect(await crowd.until(() => crowd.led() === 60)).toBeLessThan(5000);
  }, 60_000);
});

class Group {
  queued = false;
  standing = false;
  leader: string | undefined;
  calls = 0;

  constructor(
    readonly groupId: string,
    readonly storageNodes = ["a", "b", "c"],
  ) {}

  wouldStand(): boolean {
    return !this.standing && this.leader === undefined;
  }

  tick(): void {
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
    expect([standing().length, candidates.waiting]).toEqual([first, 1000 - first]);
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
