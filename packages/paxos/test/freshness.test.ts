import { describe, expect, it, vi } from "vitest";
import { PaxosError } from "../src/core/errors.js";
import { Freshness, type FreshnessParts } from "../src/host/freshness.js";

function told(change: Partial<FreshnessParts> = {}) {
  const table = {
    nowMs: 1000,
    applied: 10,
    leads: false,
    asked: [] as number[],
    timers: [] as (() => void)[],
    delaysMs: [] as number[],
    cancelled: 0,
  };
  const freshness = new Freshness({
    groupId: "g",
    now: () => table.nowMs,
    random: () => 0,
    clockDriftMax: 0.1,
    askEveryMs: 50,
    answerMs: 300,
    patienceMs: 700,
    waitingMax: 10,
    appliedThrough: () => table.applied,
    leads: () => table.leads,
    ask: (question) => void table.asked.push(question),
    timer: (delayMs, action) => {
      table.timers.push(action);
      table.delaysMs.push(delayMs);
      return () => void table.cancelled++;
    },
    ...change,
  });
  return Object.assign(table, { freshness });
}

describe("how old a state is", () => {
  it("counts from the question, for a clock as slow as it may be", () => {
    const one = told();
    const { asked, freshness } = one;
    expect(freshness.ageMs).toBe(Number.POSITIVE_INFINITY);
    freshness.wanted();
    one.nowMs += 90;
    freshness.answered(asked[0] as number, 10);
    expect(freshness.ageMs).toBeCloseTo(100);
    one.nowMs += 90;
    expect(freshness.ageMs).toBeCloseTo(200);
  });

  it("knows nothing from an answer that is not applied yet, to a question of another life, or to one that was answered", () => {
    const one = told();
    const { asked, freshness } = one;
    freshness.wanted();
    freshness.answered((asked[0] as number) + 1, 3);
    freshness.answered(asked[0] as number, 12);
    expect(freshness.ageMs).toBe(Number.POSITIVE_INFINITY);
    one.applied = 11;
    freshness.applied();
    expect(freshness.ageMs).toBe(Number.POSITIVE_INFINITY);
    one.applied = 12;
    freshness.applied();
    expect(freshness.ageMs).toBe(0);
    one.nowMs += 900;
    freshness.answered(asked[0] as number, 12);
    expect(freshness.ageMs).toBeCloseTo(1000);
  });

  it("comes forward although what is applied is always behind the newest answer", () => {
    const one = told();
    const { asked, freshness } = one;
    let slot = 20;
    for (let round = 0; round < 50; round++) {
      freshness.wanted();
      one.nowMs += 50;
      slot += 10;
      freshness.answered(asked.at(-1) as number, slot);
      one.applied = slot - 15;
      freshness.applied();
    }
    expect(freshness.ageMs).toBeLessThan(400);
  });

  it("is told by the oldest answer and the newest, however many are not applied yet", () => {
    const one = told();
    const { asked, freshness } = one;
    for (const slot of [20, 30, 40, 50]) {
      freshness.wanted();
      freshness.answered(asked.at(-1) as number, slot);
      one.nowMs += 90;
    }
    const ages = [40, 50].map((slot) => {
      one.applied = slot;
      freshness.applied();
      return freshness.ageMs;
    });
    expect(ages).toEqual([400, 100]);
  });

  it("is asked for once a heartbeat at most, and not at all while nobody reads", () => {
    const one = told();
    const { asked, freshness } = one;
    for (let ms = 0; ms < 500; ms += 5) {
      one.nowMs += 5;
      freshness.wanted();
    }
    expect(asked.length).toBe(10);
    expect(new Set(asked).size).toBe(10);
    one.nowMs += 10_000;
    freshness.applied();
    expect(asked.length).toBe(10);
  });

  it("goes on where it was after a sleep, and is remembered only while nothing is asked or awaited", () => {
    const one = told({ knownMs: 910 });
    const { asked, freshness } = one;
    expect([freshness.ageMs, freshness.memory]).toEqual([100, 910]);
    freshness.wanted();
    expect(freshness.memory).toBe(undefined);
    one.nowMs += 300;
    // No answer is waited for that long.
    expect(freshness.memory).toBe(910);
    freshness.wanted();
    freshness.answered(asked.at(-1) as number, 11);
    expect(freshness.memory).toBe(undefined);
    one.applied = 11;
    freshness.applied();
    expect(freshness.memory).toBe(1300);
    one.nowMs += 10;
    const giveUp = freshness.when(0, true, () => {});
    one.nowMs += 300;
    expect(freshness.memory).toBe(undefined);
    giveUp();
    expect(freshness.memory).toBe(1300);
  });

  it("is what the newest answer says, though an older one has come before it", () => {
    const one = told();
    const { asked, freshness } = one;
    freshness.when(0, true, () => {});
    one.nowMs += 10;
    freshness.leaderChanged();
    for (const question of [...asked]) freshness.answered(question, 10);
    expect(freshness.memory).toBe(1010);
  });

  it("is no older after an answer than it was known to be before", () => {
    const one = told();
    one.freshness.wanted();
    one.nowMs += 90;
    one.leads = true;
    expect(one.freshness.ageMs).toBe(0);
    one.leads = false;
    one.freshness.answered(one.asked[0] as number, 10);
    expect(one.freshness.ageMs).toBe(0);
  });
});

describe("a read that wants a state no older than so", () => {
  it("is judged by a clock that may be slow, at the call as in the answer", () => {
    const one = told();
    one.freshness.wanted();
    one.freshness.answered(one.asked[0] as number, 5);
    one.nowMs += 90;
    expect(one.freshness.ageMs).toBeCloseTo(100);
    // 95 ms by a slow clock may be more than 100: an answer to a question of then would not do.
    one.nowMs += 5;
    const done = vi.fn();
    one.freshness.when(100, false, done);
    expect(done).not.toHaveBeenCalled();
    one.freshness.answered(one.asked.at(-1) as number, 5);
    expect(done.mock.calls).toEqual([[]]);
  });

  it("may be waited for as long as it takes, or for so long", () => {
    const one = told();
    const [patient, other] = [vi.fn(), vi.fn()];
    one.freshness.when(0, true, patient);
    one.freshness.when(0, false, other);
    one.nowMs += 700;
    one.timers.at(-1)?.();
    expect([patient.mock.calls.length, other.mock.calls[0]?.[0]?.code]).toEqual([0, "ERR_PAXOS_STALE"]);
    one.nowMs += 1e6;
    one.timers.at(-1)?.();
    expect(patient).not.toHaveBeenCalled();
    one.freshness.answered(one.asked.at(-1) as number, 5);
    expect(patient.mock.calls).toEqual([[]]);
  });

  it("is asked of the next leader at once where somebody waits, and of few questions at a time an answer counts", () => {
    const one = told();
    one.freshness.leaderChanged();
    expect(one.asked).toEqual([]);
    const done = vi.fn();
    one.freshness.when(0, true, done);
    for (let leader = 0; leader < 5; leader++) one.freshness.leaderChanged();
    expect(one.asked).toEqual([0, 1, 2, 3, 4, 5]);
    one.freshness.answered(1, 5);
    expect(done).not.toHaveBeenCalled();
    one.freshness.answered(4, 5);
    expect(done).toHaveBeenCalledOnce();
    // An older one that comes late says nothing new, and nothing older.
    const ageMs = one.freshness.ageMs;
    one.nowMs += 10;
    one.freshness.answered(3, 5);
    expect(one.freshness.ageMs).toBeGreaterThan(ageMs);
  });

  it("is asked for by the next question where the one that it came behind was not answered in time", () => {
    const one = told();
    const [first, second] = [vi.fn(), vi.fn()];
    one.freshness.when(0, true, first);
    one.nowMs += 100;
    one.freshness.when(0, true, second);
    expect(one.asked.length).toBe(1);
    one.timers.at(-1)?.();
    expect(one.asked.length).toBe(1);
    one.nowMs += 200;
    one.freshness.when(0, true, () => {});
    expect(one.asked.length).toBe(2);
    one.freshness.answered(one.asked[1] as number, 10);
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
  });

  it("is answered when what was answered is applied, without another question, or when this node leads meanwhile", () => {
    const one = told();
    const [applied, led] = [vi.fn(), vi.fn()];
    one.freshness.when(0, true, applied);
    one.freshness.answered(one.asked[0] as number, 11);
    one.nowMs += 1000;
    one.timers.at(-1)?.();
    expect(one.asked.length).toBe(1);
    one.applied = 11;
    one.freshness.applied();
    expect(applied.mock.calls).toEqual([[]]);
    one.freshness.when(0, true, led);
    one.leads = true;
    one.timers.at(-1)?.();
    expect(led.mock.calls).toEqual([[]]);
  });

  it("looks again when an answer would have come, or when the first of them has waited for long enough: one timer at a time", () => {
    const one = told();
    one.freshness.when(0, false, () => {});
    for (const afterMs of [300, 300]) {
      one.nowMs += afterMs;
      one.timers.at(-1)?.();
    }
    expect(one.delaysMs).toEqual([300, 300, 100]);
    expect(one.timers.length - one.cancelled).toBe(1);
    one.freshness.end(new PaxosError("ERR_PAXOS_CLOSED", "over"));
    expect(one.timers.length - one.cancelled).toBe(0);
  });

  it("is told of the end, once, and not at all when it was given up", () => {
    const one = told();
    const [waits, gaveUp] = [vi.fn(), vi.fn()];
    one.freshness.when(0, true, waits);
    one.freshness.when(0, true, gaveUp)();
    const over = new PaxosError("ERR_PAXOS_CLOSED", "over");
    one.freshness.end(over);
    one.freshness.answered(one.asked[0] as number, 10);
    one.freshness.end(over);
    expect([waits.mock.calls, gaveUp.mock.calls]).toEqual([[[over]], []]);
  });
});
