import { describe, expect, it } from "vitest";
import { AdriftGroups } from "../src/host/adrift.js";
import { Dormitory, type Sleeper } from "../src/host/dormitory.js";
import { ElbowRoom, unpackedMax } from "../src/host/elbow-room.js";
import { placeInLine } from "../src/host/succession.js";
import { Wakings } from "../src/host/wakings.js";

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

it("packs again whom somebody wanted and left asleep, and nobody who is closed or cannot be packed yet", () => {
  const [wanted, closed, stubborn] = [sleeper(), sleeper(), sleeper()];
  let refusals = 2;
  const packed: Sleeper[] = [];
  const pack = (item: Sleeper) => (item !== stubborn || refusals-- === 0) && packed.push(item) > 0;
  const dormitory = new Dormitory<Sleeper>({ ...parts, packAfterMs: 100, pack });
  for (const item of [closed, stubborn]) dormitory.settle(item);
  dormitory.unpacked(wanted);
  dormitory.forget(closed);
  expect(dormitory.size).toBe(2);
  for (const [nowMs, so] of [
    [99, []],
    [100, [wanted]],
    [199, [wanted]],
    [200, [wanted]],
    [300, [wanted, stubborn]],
  ] as const) {
    dormitory.tick(nowMs);
    expect(packed).toEqual(so);
  }
  expect(dormitory.size).toBe(0);
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
  waitedMs: number | undefined;
  storageNodes = ["a", "b", "c"];

  constructor(
    readonly groupId: string,
    /** Whose beats bind it; undefined when this node leads it. */
    public leader: string | undefined,
    public bound = false,
    readonly voters: readonly string[] = ["a", "b", "c"],
  ) {}

  get under(): string | undefined {
    return this.asleep ? this.leader : undefined;
  }

  votes(node: string): boolean {
    return this.voters.includes(node);
  }

  adrift(node: string): boolean {
    return this.under === node && !this.bound;
  }

  wake(waitMs = 0): void {
    this.asleep = false;
    this.waitedMs = waitMs;
    this.woken++;
  }

  /** What somebody else does, or its end. */
  rise(): void {
    this.asleep = false;
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

it("wakes those leaders only in whose groups the node votes, and no follower; nobody who is awake by then", () => {
  const led = crowd(undefined, 4);
  const all = [...led, new Slept("others", undefined, false, ["a", "x"]), new Slept("followed", "b", true)];
  const dormitory = new Dormitory<Slept>({ ...parts, all: () => all, pack: () => true });
  led[0]?.rise();
  dormitory.changed("b");
  led[1]?.rise();
  dormitory.tick(0);
  expect(all.map(({ woken }) => woken)).toEqual([0, 0, 1, 1, 0, 0]);
});

it("wakes others in the place of those that are closed", () => {
  const led = crowd(undefined, 200);
  const followed = crowd("b", 3000).filter((item) => placeInLine(item, "a", "b") === 0);
  const dormitory = new Dormitory<Slept>({ ...parts, all: () => [...led, ...followed], pack: () => true });
  dormitory.changed("b");
  dormitory.lost("b");
  for (const nowMs of [0, 10, 20]) dormitory.tick(nowMs);
  expect([awake(led).length, awake(followed).length]).toEqual([64, 256]);
  for (const item of [...awake(led).slice(0, 5), ...awake(followed).slice(0, 7)]) dormitory.forget(item);
  dormitory.tick(30);
  expect([awake(led).length, awake(followed).length]).toEqual([69, 263]);
});

describe("leaders that are to be woken", () => {
  const wake = (item: Slept) => {
    item.wake();
    return true;
  };

  it("have their turn, whoever is added while others have had theirs", () => {
    const wakings = new Wakings<Slept>();
    const [first, second] = [crowd(undefined, 100), crowd(undefined, 30)];
    wakings.add(first);
    wakings.tick(0, wake);
    const served = awake(first);
    expect(served.length).toBe(64);
    for (const item of served) item.asleep = true;
    wakings.add([...first.slice(64, 70), ...second]);
    wakings.tick(10, wake);
    expect([...first, ...second].map(({ woken }) => woken)).toEqual(Array(130).fill(1));
    // All have had their turn: nobody has another one.
    for (const item of [...first, ...second]) item.asleep = true;
    for (let nowMs = 20; nowMs < 60; nowMs += 10) wakings.tick(nowMs, wake);
    expect([...first, ...second].map(({ woken }) => woken)).toEqual(Array(130).fill(1));
  });

  it("make room when they are closed, and leave their turn to the next where there is nothing to wake", () => {
    const wakings = new Wakings<Slept>();
    const all = crowd(undefined, 400);
    wakings.add(all);
    wakings.tick(800, (item) => all.indexOf(item) % 2 === 1 && wake(item));
    // As many are looked at as may be awake: looking may cost something.
    expect(awake(all)).toEqual(all.slice(0, 64).filter((_, i) => i % 2 === 1));
    wakings.tick(810, wake);
    expect(awake(all).length).toBe(64);
    for (const item of awake(all).slice(0, 10)) wakings.forget(item);
    for (const nowMs of [820, 1799]) wakings.tick(nowMs, wake);
    expect(awake(all).length).toBe(74);
  });
});

describe("followers whose leaders' nodes were lost", () => {
  /** Those in this place in line, when `leader` is gone. */
  const inPlace = (place: number, leader: string, count: number) =>
    crowd(leader, 6 * count + 20)
      .filter((item) => placeInLine(item, "a", leader) === place)
      .slice(0, count);

  function ticked(adrift: AdriftGroups<Slept>, nowMs: number, times = 1): void {
    for (let i = 0; i < times; i++) adrift.tick(nowMs);
  }

  it("wake all, of each node, when their time has come: first who is first in line, later the later", () => {
    const adrift = new AdriftGroups<Slept>("a", 150);
    const [ofB, laterOfB, ofC] = [inPlace(0, "b", 100), inPlace(1, "b", 100), inPlace(0, "c", 100)];
    const ofX = inPlace(1, "x", 10);
    adrift.add("x", ofX, 50);
    adrift.add("c", ofC, 50);
    adrift.add("b", [...laterOfB, ...ofB], 20);
    adrift.add("x", ofX, 10);
    // What is told again has the time that it was told first.
    adrift.add("c", ofC, 90);
    const woken = () => [ofB, laterOfB, ofC].map((items) => awake(items).length);
    ticked(adrift, 10);
    for (const item of awake(ofX)) item.asleep = true;
    ticked(adrift, 19);
    expect([ofX.every((item) => item.woken === 1), ...woken()]).toEqual([true, 0, 0, 0]);
    ticked(adrift, 20);
    expect(woken()).toEqual([100, 28, 0]);
    ticked(adrift, 49);
    expect(woken()).toEqual([100, 100, 0]);
    ticked(adrift, 50);
    expect(woken()).toEqual([100, 100, 66]);
    for (const item of [...ofB, ...laterOfB]) item.asleep = true;
    ticked(adrift, 60);
    expect([ofB, laterOfB, ofC].map((items) => items.every((item) => item.woken === 1))).toEqual([true, true, true]);
    expect([ofB[0], laterOfB[0], ofC[0]].map((item) => item?.waitedMs)).toEqual([0, 150, 0]);
  });

  it("make room when they are led by another, sleep again or are closed, and after a second when they are not", () => {
    const adrift = new AdriftGroups<Slept>("a", 150);
    const all = inPlace(0, "b", 1000);
    adrift.add("b", all, 0);
    ticked(adrift, 0, 5);
    const first = awake(all);
    expect(first.length).toBe(256);
    for (const item of first.slice(0, 10)) adrift.forget(item);
    ticked(adrift, 10);
    expect(awake(all).length).toBe(266);
    // Each that is led or sleeps makes room for one more besides.
    for (const item of first.slice(10, 20)) item.leader = "c";
    for (const item of first.slice(20, 30)) item.asleep = true;
    ticked(adrift, 20);
    expect(all.filter(({ woken }) => woken > 0).length).toBe(266 + 40);
    // Led by whom they had lost, or by nobody, is not led.
    for (const item of first.slice(30, 40)) item.leader = undefined;
    ticked(adrift, 1000, 3);
    expect(all.filter(({ woken }) => woken > 0).length).toBe(306);
    // Those of the first moment have had their second: half as many from then on.
    ticked(adrift, 1001);
    expect(all.filter(({ woken }) => woken > 0).length).toBe(306 + (138 - 50));
  });

  it("wake in the order of the line where two nodes are lost at once", () => {
    const adrift = new AdriftGroups<Slept>("a", 150);
    const [ofB, laterOfB, ofC] = [inPlace(0, "b", 10), inPlace(1, "b", 128), inPlace(0, "c", 10)];
    adrift.add("b", [...ofB, ...laterOfB], 20);
    adrift.add("c", ofC, 20);
    ticked(adrift, 20);
    expect([ofB, laterOfB, ofC].map((items) => awake(items).length)).toEqual([10, 108, 10]);
  });

  it("are looked at some at a time, since looking may cost something", () => {
    const adrift = new AdriftGroups<Slept>("a", 150);
    const all = inPlace(0, "b", 200);
    for (const item of all.slice(0, 127)) item.bound = true;
    adrift.add("b", all, 0);
    ticked(adrift, 0);
    expect(awake(all)).toEqual(all.slice(127, 128));
    ticked(adrift, 0);
    expect(awake(all)).toEqual(all.slice(127));
  });
});

it("forgets who was packed before its time once it is closed, when that time has come, and the eldest of very many", () => {
  const room = new ElbowRoom<number>();
  const wants = (item: number, nowMs: number) => {
    const before = room.room;
    room.wanted(item, nowMs);
    return room.room - before;
  };
  for (const item of [1, 2, 3]) room.packedEarly(item, 100);
  room.forget(1);
  expect([wants(1, 50), wants(2, 50), wants(2, 50), wants(3, 101)]).toEqual([0, 1, 0, 0]);
  // It was asked for again and is packed again: by its newest time, and last in line.
  for (let item = 0; item < 16_384; item++) room.packedEarly(item, 200);
  room.packedEarly(0, 300);
  room.packedEarly(16_384, 300);
  expect([wants(0, 250), wants(1, 150), wants(2, 150)]).toEqual([1, 0, 1]);
  expect(room.room).toBe(unpackedMax + 3);
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
