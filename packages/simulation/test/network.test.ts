import { expect, it } from "vitest";
import { World } from "../src/index.js";

function pair(seed = 1) {
  const world = new World<number>({ seed });
  const heard: number[] = [];
  world.network.attach("b", (_, message) => heard.push(message));
  return { world, heard, network: world.network };
}

it("keeps the order of a link, whatever the delays", () => {
  const { world, heard, network } = pair();
  network.setFaults({ delayMinMs: 0, delayMaxMs: 50 });
  for (let i = 0; i < 500; i++) world.timer(i, () => network.send("a", "b", i));
  world.run();
  expect(heard).toEqual(Array.from({ length: 500 }, (_, i) => i));
});

it("loses, doubles, reorders and delays as often as it is told, and counts it", () => {
  const { world, heard, network } = pair();
  network.setFaults({ lossChance: 0.2, duplicateChance: 0.1, reorderChance: 0.5, lateChance: 0.05, delayMaxMs: 50 });
  for (let i = 0; i < 10_000; i++) world.timer(i, () => network.send("a", "b", i));
  world.run();
  const { sent, lost, duplicated, reordered, late, delivered } = network.counters;
  expect(sent).toBe(10_000);
  expect(lost).toBeGreaterThan(1800);
  expect(lost).toBeLessThan(2200);
  expect(duplicated).toBeGreaterThan(650);
  expect(reordered).toBeGreaterThan(500);
  expect(late).toBeGreaterThan(300);
  expect(delivered).toBe(sent - lost + duplicated);
  expect(heard.length).toBe(delivered);
  expect(heard).not.toEqual([...heard].sort((a, b) => a - b));
});

it("cuts one way only, loses what is under way, and heals", () => {
  const world = new World<string>({ seed: 1 });
  const heard: string[] = [];
  for (const name of ["a", "b"]) world.network.attach(name, (from, text) => heard.push(`${from}>${name} ${text}`));
  world.network.setFaults({ delayMinMs: 10, delayMaxMs: 10 });
  world.network.send("a", "b", "under way");
  world.timer(5, () => world.network.partition("a", "b"));
  world.timer(6, () => world.network.send("a", "b", "cut"));
  world.timer(6, () => world.network.send("b", "a", "back"));
  world.timer(30, () => world.network.heal("a", "b"));
  world.timer(31, () => world.network.send("a", "b", "healed"));
  world.run();
  expect(heard).toEqual(["b>a back", "a>b healed"]);
  expect(world.network.counters.cut).toBe(2);
  world.network.partitionBoth(["a"], ["b"]);
  expect([world.network.isCut("a", "b"), world.network.isCut("b", "a")]).toEqual([true, true]);
  world.network.heal();
  expect(world.network.isCut("a", "b")).toBe(false);
});

it("gives one link faults of its own, until it is calm again", () => {
  const { world, heard, network } = pair();
  network.setFaults({ lossChance: 1 }, { from: "a", to: "b" });
  network.send("a", "b", 1);
  network.send("c", "b", 2);
  world.run();
  expect(heard).toEqual([2]);
  network.calm();
  network.send("a", "b", 3);
  world.run();
  expect(heard).toEqual([2, 3]);
});

it("counts what reaches nobody", () => {
  const { world, heard, network } = pair();
  network.send("a", "b", 1);
  network.detach("b");
  world.run();
  expect(heard).toEqual([]);
  expect(network.counters.unreachable).toBe(1);
});
