import { maxMinFair } from "../src/core/allocation.js";
import type { LimitOptions } from "../src/index.js";
import { jainIndex, type Measures, Meter } from "./measure.js";
import { poisson, seeded } from "./random.js";
import type { SimulatedMember, System } from "./systems.js";
import { SimulatedTime } from "./time.js";

export interface Scenario {
  readonly name: string;
  readonly members: number;
  readonly seconds: number;
  /** What comes to each of `members` in a second, as a part of the limit. */
  readonly demand: (member: number, members: number, second: number) => number;
  /** Called at every whole second. */
  readonly event?: (second: number, world: World) => void;
  /** The most that a second may overshoot here. */
  readonly overshootMax: number;
  readonly useMin?: number;
  readonly jainMin?: number;
}

/** What events may do to the world. */
export interface World {
  readonly system: System;
  join(count: number): void;
  kill(count: number): void;
}

const LIMIT: LimitOptions = { ratePerSecond: 10_000, burstSeconds: 1 };
const TICK_MS = 10;
/** Learning, and the first settlements, are not what a scenario is about. */
const WARM_SECONDS = 15;

const uniform = () => (_member: number, members: number) => 1.2 / members;

const zipf =
  (exponent = 1.1) =>
  (member: number, members: number) => {
    let sum = 0;
    for (let rank = 1; rank <= members; rank += 1) sum += rank ** -exponent;
    return (1.2 * (member + 1) ** -exponent) / sum;
  };

/** One member has nine tenths of the limit to serve, the others together a twentieth; every five seconds it is another. */
const movingHotSpot = (member: number, members: number, second: number) =>
  (Math.floor(second / 5) * 7) % members === member ? 0.9 : 0.05 / (members - 1);

export const scenarios: readonly Scenario[] = [
  ...[4, 40, 400].map((members) => ({
    name: `uniform, ${members} members`,
    members,
    seconds: 60,
    demand: uniform(),
    overshootMax: 0.01,
    useMin: 0.98,
    jainMin: 0.99,
  })),
  ...[4, 40, 400].map((members) => ({
    name: `Zipf, ${members} members`,
    members,
    seconds: 60,
    demand: zipf(),
    overshootMax: 0.01,
    useMin: 0.98,
    jainMin: 0.99,
  })),
  ...[4, 40, 400].map((members) => ({
    name: `moving hot spot, ${members} members`,
    members,
    seconds: 75,
    demand: movingHotSpot,
    overshootMax: 0.01,
    useMin: 0.95,
  })),
  {
    name: "members dying and joining, Zipf, 40",
    members: 40,
    seconds: 75,
    demand: zipf(),
    event: (second, world) => {
      if (second < WARM_SECONDS || second % 5 !== 0) return;
      world.kill(4);
      world.join(4);
    },
    overshootMax: 0.05,
  },
  {
    name: "4 members become 400, uniform",
    members: 4,
    seconds: 60,
    demand: uniform(),
    event: (second, world) => {
      if (second === 20) world.join(396);
    },
    overshootMax: 0.05,
    useMin: 0.98,
  },
  {
    name: "coordinator restarts empty every 20 s, Zipf, 40",
    members: 40,
    seconds: 95,
    demand: zipf(),
    event: (second, world) => {
      if (second >= 20 && second % 20 === 0) world.system.restart();
    },
    overshootMax: 0.01,
    useMin: 0.98,
  },
  {
    name: "coordinator restarts empty every 20 s, each of 20 wants all",
    members: 20,
    seconds: 95,
    demand: () => 1,
    event: (second, world) => {
      if (second >= 20 && second % 20 === 0) world.system.restart();
    },
    overshootMax: 0.01,
    useMin: 0.98,
    jainMin: 0.99,
  },
  {
    name: "failovers lose the last second, moving hot spot, 40",
    members: 40,
    seconds: 95,
    demand: movingHotSpot,
    event: (second, world) => {
      if (second >= 22 && second % 30 === 22) world.system.failOver();
    },
    overshootMax: 0.01,
  },
  {
    name: "coordinator away for 30 s, Zipf, 40",
    members: 40,
    seconds: 95,
    demand: zipf(),
    event: (second, world) => {
      if (second === 20) world.system.away(true);
      if (second === 50) world.system.away(false);
    },
    overshootMax: 0.01,
  },
  {
    name: "coordinator away for 30 s, moving hot spot, 400",
    members: 400,
    seconds: 95,
    demand: movingHotSpot,
    event: (second, world) => {
      if (second === 20) world.system.away(true);
      if (second === 50) world.system.away(false);
    },
    overshootMax: 0.01,
  },
];

interface Living {
  readonly member: SimulatedMember;
  admitted: number;
  ideal: number;
}

export async function play(
  scenario: Scenario,
  make: (limit: LimitOptions, time: SimulatedTime, random: () => number) => System,
  seed: number,
): Promise<Measures> {
  const time = new SimulatedTime();
  const random = seeded(seed);
  const system = make(LIMIT, time, random);
  const meter = new Meter(LIMIT, TICK_MS);
  let living: Living[] = [];
  const join = (count: number) => {
    for (let i = 0; i < count; i += 1) living.push({ member: system.join(), admitted: 0, ideal: 0 });
  };
  const world: World = {
    system,
    join,
    kill(count) {
      for (let i = 0; i < count; i += 1) {
        const victim = Math.floor(random() * living.length);
        living[victim]?.member.kill();
        living = living.filter((_, index) => index !== victim);
      }
    },
  };
  join(scenario.members);
  for (let second = 0; second < scenario.seconds; second += 1) {
    scenario.event?.(second, world);
    const counts = second >= WARM_SECONDS;
    const demands = living.map((_, index) => scenario.demand(index, living.length, second) * LIMIT.ratePerSecond);
    const total = demands.reduce((sum, demand) => sum + demand, 0);
    const ideal = maxMinFair(
      LIMIT.ratePerSecond,
      demands.map((wantedPerSecond) => ({ wantedPerSecond, weight: 1, guaranteedPerSecond: 0 })),
    );
    for (let tick = 0; tick < 1000 / TICK_MS; tick += 1) {
      let admitted = 0;
      for (let index = 0; index < living.length; index += 1) {
        const one = living[index] as Living;
        let got = 0;
        for (let left = poisson(((demands[index] as number) * TICK_MS) / 1000, random); left > 0; left -= 1) {
          if (one.member.tryTake()) got += 1;
        }
        admitted += got;
        if (!counts) continue;
        one.admitted += got;
        one.ideal += ((ideal[index] as number) * TICK_MS) / 1000;
      }
      meter.tick(admitted, total, counts);
      await time.pass(TICK_MS);
    }
  }
  return {
    overshoot1s: meter.overshoot(1000),
    overshoot10s: meter.overshoot(10_000),
    use: meter.use(),
    jain: jainIndex(living.filter(({ ideal }) => ideal > 0).map(({ admitted, ideal }) => admitted / ideal)),
    messagesPerSecond: system.messages() / scenario.seconds,
    perSecond: meter.perSecond(),
  };
}
