import { expect, it } from "vitest";
import { Dormitory, type Sleeper } from "../src/host/dormitory.js";

const sleeper = (): Sleeper => ({
  asleep: true,
  under: undefined,
  leader: undefined,
  groupId: "g",
  storageNodes: [],
  votes: () => false,
  wake() {},
});

it("leaves a thousand groups that sleep as they are for as long as it was told to, and packs the eldest of more", () => {
  const packed: Sleeper[] = [];
  const parts = { self: "a", successionMs: 1, packAfterMs: 30_000, all: () => [] };
  const dormitory = new Dormitory<Sleeper>({ ...parts, pack: (item) => packed.push(item) > 0 });
  const items = Array.from({ length: 1150 }, sleeper);
  for (const item of items) dormitory.settle(item);
  dormitory.tick(999);
  expect(packed).toHaveLength(0);
  for (const nowMs of [1000, 1050, 1100, 29_999]) dormitory.tick(nowMs);
  expect(packed).toEqual(items.slice(0, 150));
  dormitory.tick(30_000);
  expect(packed).toEqual(items.slice(0, 250));
  expect(dormitory.size).toBe(900);
});
