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
      replica.node.disk.setFaults({ syncMs: [0.1, weather.syncMaxMs], readMs: [0.05, 0.5] });
    }
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.world.network.calm();
    for (const replica of this.replicas) {
      replica.node.disk.calm();
      this.#mendClock(replica);
      if (!replica.node.up && replica.born) replica.start();
    }
  }

  /** Beyond what the group is told of clocks nothing is promised of when it is served again. One that all but stands still would ring no timer in hours: its machine is restarted. */
  #mendClock(replica: SimReplica): void {
    const { node } = replica;
    const { clockRate } = node;
    if (Math.abs(clockRate - 1) < 0.11) return;
    node.setClockRate(1);
    if (clockRate < 0.1) replica.crash();
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
    const victim = random.chance(0.5) ? this.#someLeader() : random.pick(replicas);
    const others = replicas.filter((replica) => replica !== victim).map(({ name }) => name);
    switch (random.int(10)) {
      case 0:
        return this.crash(victim);
      case 1: {
        const many = random.chance(0.5) ? replicas : random.shuffle(replicas).slice(0, 2);
        tally.add(many.length === replicas.length ? "all crashed at once" : "two crashed at once");
        for (const replica of many) this.crash(replica);
        return;
      }
      case 2:
        if (random.chance(0.5)) {
          tally.add("one-way partitions, deaf");
          return this.#cut(others, [victim.name]);
        }
        tally.add("one-way partitions, mute");
        return this.#cut([victim.name], others);
      case 3:
        tally.add("links cut one way");
        return this.#cut([victim.name], [random.pick(others)]);
      case 4:
        return this.isolate(victim, others);
      case 5: {
        if (!victim.node.up) return;
        const durationMs = random.pick([20, 200, 500, 900]);
        tally.add("pauses");
        if (victim.leaseRemainingMs > 0 && durationMs > 300) tally.add("pauses beyond a lease");
        victim.node.pause(durationMs);
        return;
      }
      case 6:
        if (random.chance(0.3)) {
          victim.node.disk.failSyncs(1);
          return;
        }
        tally.add("slow disks");
        victim.node.disk.setFaults({ syncMs: [5, 60] });
        return this.#afterwards(() => victim.node.disk.setFaults({ syncMs: [0.1, this.weather.syncMaxMs] }));
      case 7:
        if (random.chance(0.5)) return this.#skew(victim);
        tally.add("hand-overs");
        if (!victim.node.up || victim.node.paused) return;
        if (random.chance(0.5)) victim.resign();
        else victim.handOver(random.pick(others));
        return;
      case 8:
        // The moment at which a forgotten grant would hurt.
        tally.add("leaders cut off while a follower restarts");
        this.isolate(victim, others);
        return this.crash(random.pick(replicas.filter((replica) => replica !== victim)), random.pick([1, 20]));
      case 9: {
        // The moment at which a lease counted from the answers would hurt.
        tally.add("answers slow, then none");
        const slow = (delayMinMs: number, delayMaxMs: number) => {
          for (const from of others) world.network.setFaults({ delayMinMs, delayMaxMs }, { from, to: victim.name });
        };
        slow(60, 200);
        world.timer(random.between(100, 400), () => {
          if (this.#stopped) return;
          slow(0.1, this.weather.delayMaxMs);
          this.isolate(victim, others);
        });
        return;
      }
    }
  }

  isolate(victim: SimReplica, others: readonly string[]): void {
    this.tally.add("nodes cut off");
    this.#cut([victim.name], others);
    if (this.random.chance(0.5)) this.#cut(others, [victim.name]);
  }

  #cut(from: readonly string[], to: readonly string[]): void {
    this.world.network.partition(from, to);
    this.#afterwards(() => this.world.network.heal(from, to));
  }

  /** Most troubles pass, or the replicas would spend their lives without a leader and prove nothing. */
  #afterwards(mend: () => void): void {
    this.world.timer(this.random.pick([50, 400, 700]), () => {
      if (!this.#stopped) mend();
    });
  }

  crash(replica: SimReplica, downMs = this.random.pick([1, 50, 250, 700])): void {
    if (!replica.node.up) return;
    this.tally.add("crashes");
    replica.crash();
    this.world.timer(downMs, () => {
      if (replica.node.up || !replica.born) return;
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
