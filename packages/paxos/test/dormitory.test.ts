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

const parts = { self: "a", successionMs: 1, packAfterMs: 30_000, all: () => [] };

it("leaves a thousand groups that sleep as they are for as long as it was told to, and packs the eldest of more", () => {
  const packed: Sleeper[] = [];
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

it("never packs any, however many they are, where it was told so", () => {
  const pack = () => expect.unreachable();
  const dormitory = new Dormitory<Sleeper>({ ...parts, packAfterMs: Number.MAX_SAFE_INTEGER, pack });
  for (let i = 0; i < 3000; i++) dormitory.settle(sleeper());
  for (let nowMs = 1000; nowMs < 100_000; nowMs += 1000) dormitory.tick(nowMs);
  expect(dormitory.size).toBe(3000);
});

it("makes room for those that are asked for again and again, and gives it up when they are not any more", () => {
  const packed = new Set<Sleeper>();
  let packings = 0;
  const pack = (item: Sleeper) => {
    packings++;
    packed.add(item);
    return true;
  };
  const dormitory = new Dormitory<Sleeper>({ ...parts, pack });
  const items = Array.from({ length: 4000 }, sleeper);
  let nowMs = 0;
  const tick = () => {
    nowMs += 10;
    dormitory.tick(nowMs);
  };
  /** Each of them is wanted once in five seconds. */
  const round = () => {
    const before = packings;
    items.forEach((item, i) => {
      if (packed.delete(item)) dormitory.unpacked(item);
      else dormitory.settle(item);
      if (i % 8 === 7) tick();
    });
    return packings - before;
  };
  const first = round();
  expect(first).toBeGreaterThan(2000);
  for (let i = 0; i < 10; i++) round();
  expect(round()).toBeLessThan(first / 10);
  // Whoever has not been wanted for half a minute goes all the same; and then others find no more room than at first.
  while (dormitory.size > 0) tick();
  for (let i = 0; i < 400_000 / 10; i++) tick();
  const others = Array.from({ length: 1500 }, sleeper);
  for (const item of others) dormitory.settle(item);
  for (let i = 0; i < 200; i++) tick();
  expect(dormitory.size).toBe(1000);
});

it("makes no room for a crowd that comes by once", () => {
  const dormitory = new Dormitory<Sleeper>({ ...parts, pack: () => true });
  let nowMs = 0;
  const tick = () => {
    nowMs += 10;
    dormitory.tick(nowMs);
  };
  for (let i = 0; i < 20_000; i++) {
    dormitory.settle(sleeper());
    if (i % 20 === 0) tick();
  }
  for (let i = 0; i < 200; i++) tick();
  expect(dormitory.size).toBe(1000);
});
