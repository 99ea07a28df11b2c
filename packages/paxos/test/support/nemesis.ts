import type { Random, World } from "@evenkeel/simulation";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/** What a seed's world is like, drawn once from its seed. */
export interface Weather {
  readonly lossChance: number;
  readonly duplicateChance: number;
  readonly reorderChance: number;
  readonly lateChance: number;
  readonly delayMaxMs: number;
  /** Mean time between two strokes. */
  readonly strokeMs: number;
  readonly syncMaxMs: number;
  /** Clock rates lie within 1 - drift and 1 + drift. */
  readonly drift: number;
}

export function drawWeather(random: Random): Weather {
  const rough = random.chance(0.7);
  return {
    lossChance: rough ? random.pick([0, 0.01, 0.05, 0.2]) : 0,
    duplicateChance: rough ? random.pick([0, 0.05, 0.2]) : 0,
    reorderChance: rough ? random.pick([0, 0.1, 0.3]) : 0,
    lateChance: rough ? random.pick([0, 0.02]) : 0,
    delayMaxMs: random.pick([1, 3, 10]),
    strokeMs: random.pick([80, 150, 300]),
    syncMaxMs: random.pick([0.5, 2, 10]),
    drift: random.pick([0, 0.05, 0.1]),
  };
}

/** Strikes at random until it is told to stop; then everything is put right again. */
export class Nemesis {
  #stopped = false;

  constructor(
    readonly world: World<Uint8Array>,
    readonly replicas: readonly SimReplica[],
    readonly random: Random,
    readonly weather: Weather,
    readonly tally: Tally,
  ) {
    const { lossChance, duplicateChance, reorderChance, lateChance, delayMaxMs } = weather;
    world.network.setFaults({ lossChance, duplicateChance, reorderChance, lateChance, lateMaxMs: 900, delayMaxMs });
    for (const replica of replicas) {
      this.#skew(replica);
      replica.node.jumpClock(random.between(0, 100_000));
      replica.node.disk.setFaults({ syncMs: [0.1, weather.syncMaxMs] });
    }
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.world.network.calm();
    for (const replica of this.replicas) {
      replica.node.disk.calm();
      if (!replica.node.up) replica.start();
    }
  }

  #next(): void {
    this.world.timer(this.random.between(0, 2 * this.weather.strokeMs), () => {
      if (this.#stopped) return;
      this.#strike();
      this.#next();
    });
  }

  #strike(): void {
    const { random, replicas, world, tally } = this;
    const victim = random.chance(0.4) ? this.#someLeader() : random.pick(replicas);
    const others = replicas.filter((replica) => replica !== victim).map(({ name }) => name);
    switch (random.int(11)) {
      case 0:
      case 1:
        return this.#crash(victim);
      case 2: {
        const many = random.chance(0.5) ? replicas : random.shuffle(replicas).slice(0, 2);
        tally.add(many.length === replicas.length ? "all crashed at once" : "two crashed at once");
        for (const replica of many) this.#crash(replica);
        return;
      }
      case 3: {
        const deaf = random.chance(0.5);
        tally.add(deaf ? "one-way partitions, deaf" : "one-way partitions, mute");
        if (deaf) world.network.partition(others, victim.name);
        else world.network.partition(victim.name, others);
        return;
      }
      case 4:
        tally.add("links cut one way");
        world.network.partition(victim.name, random.pick(others));
        return;
      case 5:
        tally.add("nodes cut off");
        world.network.partitionBoth(victim.name, others);
        return;
      case 6:
      case 7:
        world.network.heal();
        return;
      case 8: {
        if (!victim.node.up) return;
        const durationMs = random.pick([20, 200, 500, 900]);
        tally.add("pauses");
        if (victim.leaseRemainingMs > 0 && durationMs > 300) tally.add("pauses beyond a lease");
        victim.node.pause(durationMs);
        return;
      }
      case 9:
        if (random.chance(0.3)) victim.node.disk.failSyncs(1);
        else {
          tally.add("slow disks");
          victim.node.disk.setFaults({ syncMs: [5, 60] });
        }
        return;
      case 10:
        if (random.chance(0.5)) {
          tally.add("hand-overs");
          if (victim.node.up && !victim.node.paused) victim.resign();
        } else this.#skew(victim);
        return;
    }
  }

  #crash(replica: SimReplica): void {
    if (!replica.node.up) return;
    this.tally.add("crashes");
    replica.crash();
    this.world.timer(this.random.pick([1, 50, 250, 700]), () => {
      if (replica.node.up) return;
      replica.node.disk.setFaults({ syncMs: [0.1, this.weather.syncMaxMs] });
      replica.start();
    });
  }

  #skew(replica: SimReplica): void {
    const { drift } = this.weather;
    if (drift === 0) return;
    this.tally.add("clocks skewed");
    replica.node.setClockRate(this.random.pick([1 - drift, 1 + drift, this.random.between(1 - drift, 1 + drift)]));
  }

  #someLeader(): SimReplica {
    return this.replicas.find((replica) => replica.core?.leading === true) ?? this.random.pick(this.replicas);
  }
}
