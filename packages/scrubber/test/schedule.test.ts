import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, it } from "vitest";
import {
  type Entry,
  type PassReport,
  type PassRunOptions,
  type ScheduleClock,
  Scrubber,
  ScrubSchedule,
  type ScrubUnit,
} from "../src/index.js";
import { bytes, many, spoiled, text, trio } from "./support/sources.js";

/** Time that passes only while somebody sleeps. */
class StagedClock implements ScheduleClock {
  ms = 1_000_000;
  wallOffsetMs = 1_700_000_000_000;
  /** What a timer is late by. */
  lagMs = 0;
  slept: number[] = [];

  nowMs(): number {
    return this.ms;
  }

  wallMs(): number {
    return this.ms + this.wallOffsetMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    this.slept.push(ms);
    this.ms += ms + this.lagMs;
  }
}

/** Runs until the condition holds; the schedule's time goes on by itself. */
async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 1_000_000) throw new Error("it never came");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function unitOf(name: string, count: number, log: string[] = []) {
  const sources = trio(many(count), undefined, { stepBytes: 1_000 });
  const unit: ScrubUnit = {
    name,
    pass: (options) => {
      log.push(name);
      return sources.scrubber.pass(options);
    },
  };
  return { ...sources, unit };
}

const memoryState = () => {
  const state = {
    text: undefined as string | undefined,
    load: async () => state.text,
    save: async (saved: string) => {
      state.text = saved;
    },
  };
  return state;
};

const hour = 3_600_000;

it("compares every unit once a period, evenly, whatever else happens, and says what it found", async () => {
  const clock = new StagedClock();
  const log: string[] = [];
  const units = [unitOf("small", 50, log), unitOf("large", 1_000, log), unitOf("other", 200, log)];
  const reports: [string, PassReport][] = [];
  await using schedule = new ScrubSchedule({
    units: () => units.map(({ unit }) => unit),
    fullPassEveryMs: hour,
    clock,
    onReport: (unit, report) => void reports.push([unit, report]),
  });
  const published: unknown[] = [];
  const listen = (message: unknown): void => void published.push(message);
  subscribe("evenkeel:scrubber:pass", listen);
  await until(() => schedule.stats().rounds === 2);
  unsubscribe("evenkeel:scrubber:pass", listen);
  expect(published).toEqual(reports.map(([unit, report]) => ({ unit, report })));
  units[1]?.b.store.put(bytes("00000500"), bytes("rot"));
  const begun = clock.ms;
  await until(() => schedule.stats().rounds === 4);
  expect(clock.ms - begun).toBeGreaterThan(1.7 * hour);
  expect(clock.ms - begun).toBeLessThan(2.3 * hour);
  expect(log.length).toBe(12);
  for (let round = 0; round < 4; round++) expect(new Set(log.slice(round * 3, round * 3 + 3)).size).toBe(3);
  expect(reports.flatMap(([unit, { divergences }]) => divergences.map(({ key }) => `${unit} ${text(key)}`))).toEqual([
    "large 00000500",
    "large 00000500",
  ]);
  expect(schedule.stats()).toMatchObject({ passes: 12, incomplete: 0, divergences: 2, unreadable: 0 });
  expect(schedule.stats().oldestMs).toBeLessThan(2 * hour);
});

it("spreads a round over its period instead of hurrying through it", async () => {
  const clock = new StagedClock();
  const { unit } = unitOf("one", 2_000);
  await using schedule = new ScrubSchedule({ units: () => [unit], fullPassEveryMs: hour, clock });
  await until(() => schedule.stats().rounds === 1);
  const begun = clock.ms;
  const seen: number[] = [];
  await until(() => {
    const { progress = 0, rounds } = schedule.stats();
    if (rounds === 1 && progress > seen.length / 10) seen.push((clock.ms - begun) / hour);
    return rounds === 2;
  });
  expect(seen.length).toBeGreaterThanOrEqual(9);
  // A tenth of the work for each 0.08 of the period: from the second round on the pace is known.
  expect((seen.at(-1) as number) - (seen[1] as number)).toBeGreaterThan(0.5);
});

it("tells how many bytes a second it compares, and that these are none when it waits for the next round", async () => {
  const clock = new StagedClock();
  const { unit } = unitOf("one", 20_000);
  await using schedule = new ScrubSchedule({ units: () => [unit], fullPassEveryMs: hour, clock });
  await until(() => schedule.stats().rounds === 1);
  const { bytes: whole } = schedule.stats();
  const planned = (whole * 1000) / (0.8 * hour);
  for (const share of [0.3, 0.6]) {
    await until(() => (schedule.stats().progress ?? 0) > share && schedule.stats().unit !== undefined);
    expect(schedule.stats().bytesPerSecond / planned).toBeGreaterThan(0.6);
    expect(schedule.stats().bytesPerSecond / planned).toBeLessThan(1.5);
  }
  await until(() => schedule.stats().rounds === 2);
  const ended = clock.ms;
  await until(() => clock.ms > ended + 0.1 * hour);
  expect(schedule.stats().rounds, "it still waits").toBe(2);
  expect(schedule.stats().bytesPerSecond).toBeLessThan(planned / 10);
});

it("on the smallest bucket it still makes progress, tells its age, and never asks for more than fits", async () => {
  const clock = new StagedClock();
  const { unit } = unitOf("one", 300);
  const asked: number[] = [];
  await using schedule = new ScrubSchedule({
    units: () => [unit],
    fullPassEveryMs: 1_000,
    clock,
    bucket: {
      capacity: 64,
      take: async (count) => {
        asked.push(count);
        clock.ms += count * 100;
      },
    },
  });
  const ages: number[] = [];
  await until(() => {
    ages.push(schedule.stats().oldestMs);
    return schedule.stats().passes === 1;
  });
  expect(Math.max(...asked)).toBe(64);
  expect(Math.max(...ages)).toBeGreaterThan(300_000);
  expect(schedule.stats().oldestMs).toBeLessThanOrEqual(Math.max(...ages));
});

it("gives way to a busy foreground and to late timers, but makes a step all the same", async () => {
  for (const disturb of [
    (clock: StagedClock) => ({ busy: () => 1, clock }),
    (clock: StagedClock) => {
      clock.lagMs = 200;
      return { clock };
    },
  ]) {
    const clock = new StagedClock();
    const { unit } = unitOf("one", 200);
    await using schedule = new ScrubSchedule({
      units: () => [unit],
      fullPassEveryMs: 1_000,
      firstBytesPerSecond: 1e12,
      yieldMsMax: 700,
      ...disturb(clock),
    });
    await until(() => schedule.stats().passes === 1);
    const steps = clock.slept.filter((ms) => ms === 700);
    expect(steps.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...clock.slept.slice(0, 4))).toBeLessThanOrEqual(700);
  }
});

it("without any limit it leaves most of the time to others", async () => {
  const clock = new StagedClock();
  const sources = trio(many(500), undefined, { stepBytes: 1_000 });
  let steps = 0;
  const unit: ScrubUnit = {
    name: "one",
    pass: (options) =>
      sources.scrubber.pass({
        ...options,
        onStep: async (step) => {
          steps++;
          clock.ms += 10; // a step's work
          await options.onStep?.(step);
        },
      }),
  };
  const begun = clock.ms;
  await using schedule = new ScrubSchedule({
    units: () => [unit],
    fullPassEveryMs: 1,
    firstBytesPerSecond: 1e12,
    dutyMax: 0.2,
    clock,
  });
  await until(() => schedule.stats().passes === 1);
  expect(steps).toBeGreaterThan(5);
  expect(clock.ms - begun).toBeGreaterThanOrEqual((steps - 1) * 50);
});

it("goes on where it was after a restart, with its ages, and begins anew when what it saved has rotted", async () => {
  const state = memoryState();
  const clock = new StagedClock();
  const { unit, scrubber } = unitOf("one", 1_000);
  const options = { units: () => [unit], fullPassEveryMs: hour, clock, state, saveEveryMs: 1e12 };
  const first = new ScrubSchedule(options);
  await until(() => (text(first.stats().through) ?? "") > "00000400");
  await first.close();
  const stopped = text(first.stats().through) as string;
  await scrubber.close();

  const again = unitOf("one", 1_000);
  const froms: (string | undefined)[] = [];
  const resumed: ScrubUnit = {
    name: "one",
    pass: (given) => {
      froms.push(text(given.from));
      return again.scrubber.pass(given);
    },
  };
  clock.ms += hour;
  const second = new ScrubSchedule({ ...options, units: () => [resumed] });
  await until(() => second.stats().passes === 1);
  expect(froms).toEqual([stopped]);
  // The pass counts from when it began, before the restart.
  expect(second.stats().oldestMs).toBeGreaterThan(hour);
  await second.close();

  state.text = state.text?.replace("one", "two");
  const third = new ScrubSchedule({ ...options, units: () => [resumed] });
  await until(() => third.stats().passes === 1);
  expect(froms[1]).toBeUndefined();
  await third.close();
});

it("a unit that fails does not keep the others waiting, and units come and go", async () => {
  const clock = new StagedClock();
  const log: string[] = [];
  const good = unitOf("good", 50, log);
  const errors: string[] = [];
  const bad: ScrubUnit = { name: "bad", pass: async () => Promise.reject(new Error("no route")) };
  let units: readonly ScrubUnit[] = [bad, good.unit];
  await using schedule = new ScrubSchedule({
    units: () => {
      if (errors.length === 3) throw new Error("the control plane is away");
      return units;
    },
    fullPassEveryMs: hour,
    clock,
    onError: (unit, error) => void errors.push(`${unit}: ${(error as Error).message}`),
  });
  await until(() => schedule.stats().passes === 2);
  expect(errors[0]).toBe("bad: no route");
  expect(schedule.stats().oldestMs).toBeGreaterThan(0.9 * hour);
  await until(() => errors.length > 3);
  expect(errors[3]).toBe("undefined: the control plane is away");
  const late = unitOf("late", 50, log);
  units = [good.unit, late.unit];
  await until(() => log.includes("late"));
  await until(() => schedule.stats().rounds > 4);
  expect(schedule.stats().oldestMs).toBeLessThan(2.1 * hour);
});

it("an interrupted pass goes on where it was; a replica that is behind makes it incomplete and nothing worse", async () => {
  const clock = new StagedClock();
  const sources = trio(many(400), undefined, { stepBytes: 1_000 });
  const froms: (string | undefined)[] = [];
  let failing = true;
  const unit: ScrubUnit = {
    name: "one",
    pass: (options) => {
      froms.push(text(options.from));
      return sources.scrubber.pass({
        ...options,
        onStep: async (step) => {
          await options.onStep?.(step);
          if (failing && (text(step.through) ?? "") > "00000200") throw new Error("the leader went away");
        },
      });
    },
  };
  await using schedule = new ScrubSchedule({ units: () => [unit], fullPassEveryMs: 10_000, clock, onError: () => {} });
  await until(() => schedule.stats().incomplete === 1);
  failing = false;
  await until(() => schedule.stats().passes === 1);
  expect(froms[0]).toBeUndefined();
  expect(froms[1]).toMatch(/^000002/);
  sources.c.position = 0;
  await until(() => schedule.stats().incomplete === 2);
  expect(schedule.stats().divergences).toBe(0);
});

it("counts what was found: keys that differ, and ranges that cannot be read", async () => {
  const { a, b, c } = trio(many(100));
  a.store.delete(bytes("00000001"));
  const broken = spoiled(c, (snapshot) => ({
    entries: function* (range) {
      for (const entry of snapshot.entries(range) as Iterable<Entry>) {
        if (text(entry.key) === "00000050") throw new Error("page 17");
        yield entry;
      }
    },
    digests: () => Promise.reject(new Error("page 17")),
  }));
  const scrubber = new Scrubber({ replicas: [a, b, broken], position: () => 1 });
  const units = [{ name: "one", pass: (options: PassRunOptions) => scrubber.pass(options) }];
  await using schedule = new ScrubSchedule({ units: () => units, fullPassEveryMs: hour, clock: new StagedClock() });
  await until(() => schedule.stats().passes === 1);
  expect(schedule.stats()).toMatchObject({ divergences: 1, unreadable: 1 });
});

it("many units that are each smaller than a step are all compared in their period, evenly", async () => {
  const clock = new StagedClock();
  const begun: number[] = [];
  const units = Array.from({ length: 40 }, (_, i) => {
    const { unit, scrubber } = unitOf(`p${i}`, 20);
    return {
      ...unit,
      // What a pass asks for before it knows how little there is.
      pass: (options: Parameters<ScrubUnit["pass"]>[0]) => {
        begun.push(clock.ms);
        return scrubber.pass({ ...options, take: () => options.take?.(1024 * 1024) });
      },
    };
  });
  await using schedule = new ScrubSchedule({ units: () => units, fullPassEveryMs: hour, clock });
  await until(() => schedule.stats().rounds === 3);
  for (const round of [1, 2]) {
    const times = begun.slice(round * 40, round * 40 + 40);
    const spread = (times.at(-1) as number) - (times[0] as number);
    expect(spread).toBeGreaterThan(hour * 0.6);
    expect(spread).toBeLessThan(hour * 0.85);
    expect((times[20] as number) - (times[0] as number)).toBeLessThan(spread * 0.6);
  }
});

it("what was found before a restart in the middle of the pass is found again by its rest, and told once", async () => {
  const clock = new StagedClock();
  const state = memoryState();
  const one = unitOf("p1", 1_000);
  const reports: PassReport[] = [];
  const open = (onStep: () => void) =>
    new ScrubSchedule({
      units: () => [
        {
          name: "p1",
          pass: (options) =>
            one.scrubber.pass({
              ...options,
              onStep: async (step) => {
                await options.onStep?.(step);
                onStep();
              },
            }),
        },
      ],
      fullPassEveryMs: hour,
      clock,
      state,
      saveEveryMs: 0,
      onReport: (_, report) => void reports.push(report),
    });
  one.c.store.put(bytes("00000100"), bytes("rot"));
  let steps = 0;
  const first = open(() => steps++);
  await until(() => steps === 8);
  await first.close();
  expect(reports).toEqual([]);
  await using _second = open(() => steps++);
  await until(() => reports.length === 1);
  expect(reports[0]?.divergences.map(({ key }) => text(key))).toEqual(["00000100"]);
  expect(reports[0]?.keys, "what agreed before it was not compared again").toBeLessThan(1_000);
});

it("units that cannot be listed for a while lose nobody its turn", async () => {
  const clock = new StagedClock();
  const log: string[] = [];
  const units = [unitOf("p1", 50, log), unitOf("p2", 50, log)];
  let asked = 0;
  const told: unknown[] = [];
  await using schedule = new ScrubSchedule({
    units: () => {
      if (++asked % 3 === 0) throw new Error("nobody answers");
      return units.map(({ unit }) => unit);
    },
    fullPassEveryMs: hour,
    clock,
    onError: (_, error) => told.push((error as Error).message),
  });
  await until(() => schedule.stats().rounds === 3);
  expect(log).toEqual(["p1", "p2", "p1", "p2", "p1", "p2"]);
  expect(told).toContain("nobody answers");
});

it("stops at once when it is closed, and refuses bad arguments by name", async () => {
  const { unit } = unitOf("one", 50);
  const schedule = new ScrubSchedule({ units: () => [unit], fullPassEveryMs: hour });
  await schedule.close();
  await schedule.close();
  expect(() => new ScrubSchedule({ units: () => [], fullPassEveryMs: 0 })).toThrow(/fullPassEveryMs .*got 0/);
  expect(() => new ScrubSchedule({ units: () => [], fullPassEveryMs: 1, dutyMax: 2 })).toThrow(/dutyMax .*got 2/);
  expect(new Scrubber({ replicas: [unitOf("x", 1).a, unitOf("y", 1).b], position: () => 1 }).stats().running).toBe(
    false,
  );
});
