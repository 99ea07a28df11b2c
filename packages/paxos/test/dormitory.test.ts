import { expect, it } from "vitest";
import { Dormitory, type Sleeper } from "../src/host/dormitory.js";
import { placeInLine } from "../src/host/succession.js";

const sleeper = (): Sleeper => ({
  asleep: true,
  under: undefined,
  leader: undefined,
  groupId: "g",
  storageNodes: [],
  votes: () => false,
  adrift: () => false,
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

class Slept implements Sleeper {
  asleep = true;
  woken = 0;
  storageNodes = ["a", "b", "c"];

  constructor(
    readonly groupId: string,
    /** Whose beats bind it; undefined when this node leads it. */
    readonly leader: string | undefined,
    public bound = false,
  ) {}

  get under(): string | undefined {
    return this.asleep ? this.leader : undefined;
  }

  votes(): boolean {
    return true;
  }

  adrift(node: string): boolean {
    return this.under === node && !this.bound;
  }

  wake(): void {
    this.asleep = false;
    this.woken++;
  }
}

const crowd = (leader: string | undefined, count = 2000) =>
  Array.from({ length: count }, (_, i) => new Slept(`g${i}`, leader));

const awake = (items: readonly Slept[]) => items.filter((item) => !item.asleep);

it("wakes leaders whose bonds have changed some at a time, more when they sleep again, fewer when they do not", () => {
  const all = crowd(undefined);
  const dormitory = new Dormitory<Slept>({ ...parts, all: () => all, pack: () => true });
  dormitory.changed("b");
  // What changes again before its turn has one turn all the same.
  dormitory.changed("c");
  dormitory.tick(0);
  const first = awake(all);
  expect(first.length).toBe(64);
  dormitory.tick(10);
  expect(awake(all).length).toBe(64);
  for (const item of first) item.asleep = true;
  dormitory.tick(20);
  const second = awake(all);
  expect(second.length).toBe(128);
  // They do not sleep in time: that counts once, however many they are, and the next are as many as half of them.
  dormitory.tick(1100);
  expect(awake(all).length).toBe(128 + 64);
  for (let nowMs = 1110; all.some((item) => item.woken === 0); nowMs += 10) {
    for (const item of awake(all)) item.asleep = true;
    dormitory.tick(nowMs);
  }
  expect(all.every((item) => item.woken === 1)).toBe(true);
});

it("gives leaders whose beats have come again time to renew their bonds, and wakes only followers that stay adrift", () => {
  const all = crowd("b", 300);
  const dormitory = new Dormitory<Slept>({ ...parts, all: () => all, pack: () => true });
  dormitory.lost("b", 600);
  dormitory.tick(590);
  expect(awake(all)).toEqual([]);
  for (const item of all.slice(0, 200)) item.bound = true;
  // It is lost once more, which does not put off those who wait already.
  dormitory.lost("b", 600);
  for (let nowMs = 600; nowMs < 1000; nowMs += 10) dormitory.tick(nowMs);
  expect(awake(all)).toEqual(all.slice(200));
});

it("wakes those first for which this node is next in line, and no more at a time than find a leader", () => {
  const all = crowd("b");
  const dormitory = new Dormitory<Slept>({ ...parts, all: () => all, pack: () => true });
  dormitory.lost("b");
  for (let nowMs = 0; nowMs < 1000; nowMs += 10) dormitory.tick(nowMs);
  const first = awake(all);
  expect(first.length).toBe(256);
  expect(first.every((item) => placeInLine(item, "a", "b") === 0)).toBe(true);
  // Nobody is led, nor sleeps: fewer at a time from then on.
  const upTo = (nowMs: number) => {
    const before = awake(all).length;
    for (let at = nowMs - 1000; at < nowMs; at += 10) dormitory.tick(at);
    return awake(all).length - before;
  };
  expect(upTo(2010)).toBeLessThanOrEqual(256);
  for (let nowMs = 3010; nowMs < 6000; nowMs += 1000) expect(upTo(nowMs)).toBeLessThan(200);
});
