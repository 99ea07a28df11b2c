import { describe, expect, it } from "vitest";
import { eventLoopTurn, forEachSeed, Random, World } from "../src/index.js";

function chatter(seed: number): { readonly fingerprint: number; readonly heard: string[] } {
  const world = new World<string>({ seed });
  const heard: string[] = [];
  world.network.setFaults({
    lossChance: 0.2,
    duplicateChance: 0.2,
    reorderChance: 0.3,
    lateChance: 0.1,
    delayMaxMs: 20,
  });
  const names = ["a", "b", "c"];
  for (const name of names) {
    const node = world.node(name);
    node.start((from, message) => heard.push(`${world.now.toFixed(3)} ${from}>${name} ${message}`));
    const speak = (count: number): void => {
      if (count === 0) return;
      node.send(world.random.pick(names), `${name}${count}`);
      node.disk.write("log", count * 10, new Uint8Array(10), () => node.disk.sync("log", () => {}));
      node.timer(world.random.between(1, 5), () => speak(count - 1));
    };
    speak(50);
  }
  world.timer(60, () => world.node("b").crash());
  world.run();
  return { fingerprint: world.fingerprint, heard };
}

describe("one seed, one world", () => {
  it("repeats every event for the same seed", () => {
    expect(chatter(7)).toEqual(chatter(7));
    expect(chatter(7).heard.length).toBeGreaterThan(20);
  });

  it("takes another path for another seed", () => {
    expect(chatter(7).fingerprint).not.toBe(chatter(8).fingerprint);
  });

  it("keeps the stream of numbers that earlier versions drew", () => {
    const random = new Random(42);
    expect([random.int(1000), random.int(1000), random.int(1000), random.int(1000)]).toEqual([569, 19, 337, 738]);
    expect(new Random("a/b").next()).toBe(new Random("a").fork("b").next());
  });

  it("draws evenly enough", () => {
    const random = new Random("even");
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) {
      const at = random.int(10);
      counts[at] = (counts[at] as number) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

describe("virtual time", () => {
  it("runs timers by time, and by order within one instant", () => {
    const world = new World({ seed: 1 });
    const ran: string[] = [];
    world.timer(5, () => ran.push("c"));
    world.timer(1, () => ran.push("a"));
    world.timer(1, () => ran.push("b"));
    world.timer(3, () => ran.push("never"))();
    expect(world.run()).toBe("idle");
    expect(ran).toEqual(["a", "b", "c"]);
    expect(world.now).toBe(5);
  });

  it("stops at a time, at a condition, at a number of events, and goes on from there", () => {
    const world = new World({ seed: 1 });
    let beats = 0;
    const beat = (): void => {
      beats++;
      world.timer(10, beat);
    };
    beat();
    expect(world.run({ untilMs: 35 })).toBe("time");
    expect([world.now, beats]).toEqual([35, 4]);
    expect(world.run({ until: () => beats === 10 })).toBe("condition");
    expect(world.run({ eventsMax: 5 })).toBe("events");
    expect(beats).toBe(15);
    expect(world.stats().pending).toBe(1);
  });

  it("keeps its order through a hundred thousand timers, half of them cancelled", () => {
    const world = new World({ seed: 3 });
    let last = 0;
    let ran = 0;
    for (let i = 0; i < 100_000; i++) {
      const cancel = world.timer(world.random.between(0, 1000), () => {
        if (world.now < last) throw new Error(`${world.now} after ${last}`);
        last = world.now;
        ran++;
      });
      if (i % 2 === 0) cancel();
    }
    world.run();
    expect(ran).toBe(50_000);
  });

  it("lets awaited code run to its next wait between two events", async () => {
    const world = new World({ seed: 1 });
    const sleep = (ms: number) => new Promise<void>((resolve) => void world.timer(ms, resolve));
    const steps: number[] = [];
    const program = (async () => {
      for (let i = 0; i < 3; i++) {
        await sleep(10);
        await Promise.resolve().then(() => Promise.resolve());
        steps.push(world.now);
      }
    })();
    expect(await world.runAsync({ turn: eventLoopTurn })).toBe("idle");
    await program;
    expect(steps).toEqual([10, 20, 30]);
  });

  it("refuses bad arguments by name", () => {
    const world = new World({ seed: 1 });
    expect(() => world.timer(-1, () => {})).toThrow(/delayMs .*got -1/);
    expect(() => world.run({ untilMs: Number.NaN })).toThrow(/untilMs .*got NaN/);
    expect(() => new World({ seed: Number.NaN })).toThrow(/seed/);
    expect(() => world.network.setFaults({ lossChance: 2 })).toThrow(/lossChance .*between 0 and 1, got 2/);
    expect(() => world.disk("a").setFaults({ syncMs: [2, 1] })).toThrow(/syncMs\[1\]/);
  });
});

describe("nodes", () => {
  it("hear nothing from a life before a crash", () => {
    const world = new World<string>({ seed: 1 });
    const node = world.node("a");
    const heard: string[] = [];
    node.start((_, message) => heard.push(`first ${message}`));
    node.timer(10, () => heard.push("old timer"));
    node.disk.write("f", 0, new Uint8Array(1), () => heard.push("old write"));
    node.crash();
    world.network.setFaults({ delayMinMs: 5, delayMaxMs: 5 });
    world.network.send("b", "a", "late");
    node.start((_, message) => heard.push(`second ${message}`));
    world.run();
    expect(heard).toEqual(["second late"]);
    expect(node.life).toBe(2);
  });

  it("do nothing while paused, and everything that was due when they wake, in order", () => {
    const world = new World<string>({ seed: 1 });
    const node = world.node("a");
    const did: string[] = [];
    node.start((_, message) => did.push(`${world.now} ${message}`));
    node.timer(10, () => did.push(`${world.now} timer`));
    world.network.setFaults({ delayMinMs: 20, delayMaxMs: 20 });
    world.network.send("b", "a", "message");
    node.pause(100);
    world.run();
    expect(did).toEqual(["100 timer", "100 message"]);
  });

  it("have clocks of their own", () => {
    const world = new World({ seed: 1 });
    const node = world.node("fast");
    node.start(() => {});
    node.setClockRate(1.25);
    const fired: number[] = [];
    node.timer(100, () => fired.push(world.now, node.now));
    world.run();
    expect(fired).toEqual([80, 100]);
    node.jumpClock(1000);
    expect(node.now).toBe(1100);
    expect(world.now).toBe(80);
  });
});

it("a failing seed is named, with the command that replays it", () => {
  const failing = () =>
    forEachSeed({ first: 10, count: 5, replay: (seed) => `npm test -- --seed ${seed}` }, (seed) => {
      if (seed === 12) throw new Error("two leaders");
    });
  expect(failing).toThrow(/seed 12: two leaders\nreplay: npm test -- --seed 12/);
  expect(failing).toThrow(expect.objectContaining({ code: "ERR_SIMULATION_SEED", cause: new Error("two leaders") }));
});
