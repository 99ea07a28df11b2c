import { describe, expect, it } from "vitest";
import { assertHolds, type ExploreModel, explore, Interner } from "../src/index.js";
import { textbookPaxos } from "./support/textbook-paxos.js";

/** Two-phase commit (Gray and Lamport): the managers' states, the coordinator's, whom it has heard, and what was said. */
interface Commit {
  readonly managers: readonly ("working" | "prepared" | "committed" | "aborted")[];
  readonly coordinator: "waiting" | "committed" | "aborted";
  readonly heard: readonly boolean[];
  readonly said: readonly boolean[];
}

function twoPhaseCommit(count: number): ExploreModel<Commit> {
  const none = Array.from({ length: count }, () => false);
  const put = <T>(list: readonly T[], at: number, value: T) => list.map((held, i) => (i === at ? value : held));
  return {
    initial: [{ managers: none.map(() => "working"), coordinator: "waiting", heard: none, said: none }],
    steps(state, to) {
      const { managers, coordinator, heard, said } = state;
      if (coordinator === "waiting") {
        if (heard.every(Boolean)) to("decide to commit", { ...state, coordinator: "committed" });
        to("decide to abort", { ...state, coordinator: "aborted" });
      }
      for (const [i, manager] of managers.entries()) {
        const become = (name: Commit["managers"][number]) => ({ ...state, managers: put(managers, i, name) });
        if (coordinator === "waiting" && said[i]) to(`hear ${i}`, { ...state, heard: put(heard, i, true) });
        if (manager === "working") {
          to(`${i} prepares`, { ...become("prepared"), said: put(said, i, true) });
          to(`${i} aborts`, become("aborted"));
        }
        if (coordinator !== "waiting") to(`${i} obeys`, become(coordinator));
      }
    },
    invariants: {
      "all or none": ({ managers }) => !(managers.includes("committed") && managers.includes("aborted")),
    },
    goals: {
      committed: ({ managers }) => managers.every((manager) => manager === "committed"),
      aborted: ({ managers }) => managers.every((manager) => manager === "aborted"),
    },
  };
}

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => [...rest.slice(0, at), count - 1, ...rest.slice(at)]),
  );
}

const renamed =
  (order: readonly number[]) =>
  (state: Commit): Commit => ({
    ...state,
    managers: order.map((i) => state.managers[i] as Commit["managers"][number]),
    heard: order.map((i) => state.heard[i] as boolean),
    said: order.map((i) => state.said[i] as boolean),
  });

/** Two processes, each with a flag; who finds the other's flag down goes in. Where they stand, then the flags. */
type Mutex = readonly [at: readonly number[], flags: readonly boolean[]];
const mutex = (raisesFirst: boolean): ExploreModel<Mutex> => ({
  initial: [
    [
      [0, 0],
      [false, false],
    ],
  ],
  steps([at, flags], to) {
    for (const me of [0, 1]) {
      const moved = (place: number) => at.map((held, i) => (i === me ? place : held));
      const flagged = (up: boolean) => flags.map((held, i) => (i === me ? up : held));
      const free = flags[1 - me] === false;
      if (raisesFirst) {
        if (at[me] === 0) to(`${me} raises its flag`, [moved(1), flagged(true)]);
        if (at[me] === 1 && free) to(`${me} enters`, [moved(2), flags]);
      } else {
        if (at[me] === 0 && free) to(`${me} finds no flag`, [moved(1), flags]);
        if (at[me] === 1) to(`${me} enters`, [moved(2), flagged(true)]);
      }
      if (at[me] === 2) to(`${me} leaves`, [moved(0), flagged(false)]);
    }
  },
  invariants: { "one at a time": ([at]) => !(at[0] === 2 && at[1] === 2) },
});

describe("counts that are known", () => {
  it("two-phase commit: 288 states with three managers, 8,832 with five", () => {
    expect(assertHolds(twoPhaseCommit(3))).toMatchObject({ verdict: "holds", states: 288, unmet: [] });
    expect(assertHolds(twoPhaseCommit(5))).toMatchObject({ verdict: "holds", states: 8832, unmet: [] });
  });

  it("single-decree Paxos: 16,668 states with two clients", () => {
    const model = textbookPaxos(2);
    const explored = assertHolds(model);
    expect(explored).toMatchObject({ verdict: "holds", states: 16_668, met: { "a value is read": 8 } });
    const again = explore(textbookPaxos(2));
    expect(again).toEqual(explored);
  });

  it("single-decree Paxos: 1,194,428 states with three clients", { timeout: 120_000 }, () => {
    const explored = assertHolds(textbookPaxos(3), { statesMax: 2_000_000 });
    expect(explored).toMatchObject({ verdict: "holds", states: 1_194_428 });
    expect(explored.bytesMax).toBeLessThan(100 * 2 ** 20);
    expect(explored.collisionChance).toBeLessThan(1e-6);
  });
});

describe("symmetric states", () => {
  it("are merged: as many are left as there are orbits, by permutations and by a canonical form alike", () => {
    const model = twoPhaseCommit(4);
    const seen = new Set<string>();
    const collecting = (state: Commit) => seen.add(JSON.stringify(state)).size > 0;
    explore({ ...model, invariants: { collecting } });
    const orders = permutations(4);
    const orbit = (state: Commit) => orders.map((order) => JSON.stringify(renamed(order)(state))).sort()[0] as string;
    const orbits = new Set([...seen].map((text) => orbit(JSON.parse(text) as Commit))).size;
    expect(orbits).toBeLessThan(seen.size / 5);

    const bySymmetries = explore({ ...model, symmetries: orders.map(renamed) });
    expect(bySymmetries).toMatchObject({ verdict: "holds", states: orbits, unmet: [] });
    const canonical = (state: Commit) => {
      const keys = state.managers.map((manager, i) => `${manager}${state.heard[i]}${state.said[i]}`);
      return renamed(keys.map((_, i) => i).sort((a, b) => ((keys[a] as string) < (keys[b] as string) ? -1 : 1)))(state);
    };
    expect(explore({ ...model, canonical })).toMatchObject({ verdict: "holds", states: orbits, unmet: [] });
  });

  it("give a trace that is one run, each step following on the one before", () => {
    const broken: ExploreModel<Commit> = {
      ...twoPhaseCommit(3),
      symmetries: permutations(3).map(renamed),
      invariants: { "nobody commits": ({ managers }) => !managers.includes("committed") },
    };
    const explored = explore(broken);
    if (explored.verdict !== "violation") throw new Error(explored.verdict);
    let state = explored.path.initial;
    for (const step of explored.path.steps) {
      const next: string[] = [];
      broken.steps(state, (action, after) => next.push(JSON.stringify([action, after])));
      expect(next).toContain(JSON.stringify([step.action, step.state]));
      state = step.state;
    }
    expect(state.managers).toContain("committed");
  });
});

describe("a violation", () => {
  it("comes with the shortest way to it, readable", () => {
    const explored = explore(mutex(false));
    expect(explored).toMatchObject({ verdict: "violation", invariant: "one at a time" });
    expect(
      explored.verdict === "violation" && explored.trace,
    ).toBe(`"one at a time" does not hold, after 4 steps (there is no shorter way):
     [[0, 0], [false, false]]
  1. 0 finds no flag
     [[1, 0], [false, false]]
  2. 1 finds no flag
     [[1, 1], [false, false]]
  3. 0 enters
     [[2, 1], [true, false]]
  4. 1 enters
     [[2, 2], [true, true]]`);
    expect(() => assertHolds(mutex(false))).toThrow(/"one at a time" does not hold, after 4 steps/);
  });

  it("may be of a step, between states that are well known", () => {
    const counter: ExploreModel<number> = {
      initial: [0],
      steps: (n, to) => {
        to("up", (n + 1) % 4);
      },
      stepInvariants: { "never down": (before, _, after) => after > before || `${before} to ${after}` },
    };
    const explored = explore(counter);
    expect(explored).toMatchObject({ verdict: "violation", invariant: "never down" });
    expect(explored.verdict === "violation" && explored.path.steps.map(({ state }) => state)).toEqual([1, 2, 3, 0]);
    expect(explored.verdict === "violation" && explored.trace).toContain('"never down" does not hold (3 to 0)');
  });

  it("may be the beginning itself", () => {
    const explored = explore<number>({ initial: [1, 2], steps: () => {}, invariants: { "not two": (n) => n !== 2 } });
    expect(explored.verdict === "violation" && explored.path).toEqual({ initial: 2, steps: [] });
  });

  it("is a deadlock where that is asked for", () => {
    expect(explore(mutex(true))).toMatchObject({ verdict: "holds" });
    const explored = explore(mutex(true), { deadlocks: true });
    expect(explored).toMatchObject({ verdict: "violation", invariant: "deadlock" });
    expect(explored.verdict === "violation" && explored.path.steps).toHaveLength(2);
    const isDone = ([, flags]: Mutex) => flags.every(Boolean);
    expect(explore({ ...mutex(true), isDone }, { deadlocks: true })).toMatchObject({ verdict: "holds" });
  });
});

describe("bounds", () => {
  const endless: ExploreModel<readonly number[]> = {
    initial: [[0, 0]],
    steps([a = 0, b = 0], to) {
      to("left", [a + 1, b]);
      to("right", [a, b + 1]);
    },
    encode: (state) => state,
    decode: (numbers) => numbers,
    invariants: { small: ([a = 0, b = 0]) => a + b < 400 },
    goals: { far: ([a]) => a === 20, "never met": () => false },
  };

  it("are told, with how far it looked; never taken for a proof", () => {
    const explored = explore(endless, { statesMax: 5000 });
    expect(explored).toMatchObject({ verdict: "bound", bound: "statesMax", met: { far: 20 }, unmet: ["never met"] });
    // All states within d steps are (d + 1)(d + 2) / 2.
    expect(((explored.depth + 1) * (explored.depth + 2)) / 2).toBeLessThanOrEqual(5000);
    expect(((explored.depth + 3) * (explored.depth + 2)) / 2).toBeGreaterThanOrEqual(5000);
    expect(() => assertHolds(endless, { statesMax: 5000 })).toThrow(/statesMax reached after 5000 states/);
    expect(explore(endless, { depthMax: 9 })).toMatchObject({
      verdict: "bound",
      bound: "depthMax",
      states: 55,
      depth: 9,
    });
    expect(explore(endless, { statesMax: 200_000, frontierBytesMax: 0 })).toMatchObject({
      verdict: "bound",
      bound: "frontierBytesMax",
    });
  });

  it("are not in the way of what ends by itself, and `within` ends it", () => {
    const within = ([a = 0, b = 0]: readonly number[]) => a + b < 9;
    expect(explore({ ...endless, within })).toMatchObject({ verdict: "holds", states: 55 });
  });

  it("stop the search once every goal is met, if asked", () => {
    const { goals, ...rest } = endless;
    const only = {
      ...rest,
      goals: { far: (goals as NonNullable<typeof goals>).far as (s: readonly number[]) => boolean },
    };
    expect(explore(only, { untilGoals: true })).toMatchObject({ verdict: "goals", met: { far: 20 } });
  });

  it("say on the way how far it is", () => {
    const seen: number[] = [];
    let ms = 0;
    explore(endless, {
      statesMax: 3000,
      progressEvery: 1000,
      now: () => (ms += 500),
      onProgress: ({ states, statesPerSecond }) => {
        seen.push(states);
        expect(statesPerSecond).toBeGreaterThan(0);
      },
    });
    expect(seen).toEqual([1000, 2000, 3000]);
  });
});

describe("models", () => {
  it("that give other steps the second time are told so", () => {
    let times = 0;
    const fickle: ExploreModel<number> = {
      initial: [0],
      steps: (n, to) => {
        if (times++ < 3) to("up", n + 1);
      },
      invariants: { low: (n) => n < 3 },
    };
    expect(() => explore(fickle)).toThrow(expect.objectContaining({ code: "ERR_SIMULATION_MODEL" }));
  });

  it("with wrong parts are refused with the part's name", () => {
    const model: ExploreModel<number> = { initial: [0], steps: () => {} };
    expect(() => explore({ ...model, initial: [] })).toThrow(/model.initial/);
    expect(() => explore({ ...model, encode: (n) => [n] })).toThrow(/model.decode/);
    expect(() => explore({ ...model, encode: () => [-1], decode: () => 0 })).toThrow(/encode/);
    expect(() => explore({ ...model, canonical: (n) => n, symmetries: [] })).toThrow(/model.symmetries/);
    expect(() => explore(model, { statesMax: 0 })).toThrow(/statesMax/);
  });

  it("number their parts with an interner", () => {
    const interner = new Interner<{ readonly a: number; readonly b: readonly string[] }>();
    const number = interner.number({ a: 1, b: ["x"] });
    expect(interner.number({ b: ["x"], a: 1 })).toBe(number);
    expect(interner.number({ a: 2, b: ["x"] })).not.toBe(number);
    expect(interner.value(number)).toEqual({ a: 1, b: ["x"] });
    expect(interner.size).toBe(2);
  });
});
