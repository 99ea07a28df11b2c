import type { Random, World } from "@evenkeel/simulation";
import type { Nemesis } from "./nemesis.js";
import type { Operator } from "./operator.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/** `clockDriftMax` of the simulated groups. */
const driftMax = 0.1;

export interface MomentsParts {
  readonly world: World<Uint8Array>;
  readonly replicas: readonly SimReplica[];
  readonly nemesis: Nemesis;
  readonly operator: Operator | undefined;
  readonly random: Random;
  readonly tally: Tally;
  /** Whether leases are read from: then a clock may jump only where that cuts a lease short. */
  readonly leaseReads: boolean;
}

/**
 * What strikes at random seldom strikes when it hurts most. This one looks at what the replicas are about, and interferes while a snapshot is on its way or being taken over,
 * members change, the group sleeps, or somebody lags; and now and then has a clock jump.
 */
export class Moments {
  readonly #parts: MomentsParts;
  stopped = false;

  constructor(parts: MomentsParts) {
    this.#parts = parts;
    this.#later();
  }

  #later(): void {
    this.#parts.world.timer(this.#parts.random.between(1, 8), () => {
      if (this.stopped) return;
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    const { random, replicas } = this.#parts;
    const awake = replicas.filter(({ node }) => node.up && !node.paused);
    const leader = random.shuffle(awake).find(({ core }) => core?.leading === true);
    if (leader?.core === undefined) return;
    const { core } = leader;
    const receiver = awake.find(({ receiving }) => receiving);
    if (receiver !== undefined && random.chance(0.06)) this.#during("a snapshot", leader, receiver);
    else if (core.configuration.slot > core.chosenThrough && random.chance(0.15)) this.#during("a change", leader);
    else if (core.asleep && random.chance(0.15)) this.#during("sleep", leader);
    else if (random.chance(0.004)) this.#during("work", leader);
  }

  #during(what: string, leader: SimReplica, victim = leader): void {
    const { random, tally, replicas, nemesis } = this.#parts;
    const did = (action: string) => tally.add(`during ${what}: ${action}`);
    const rest = replicas.filter((replica) => replica !== leader).map(({ name }) => name);
    const others = replicas.filter((replica) => replica !== leader && replica.node.up);
    switch (random.int(10)) {
      case 0:
        did("leader crashes");
        return nemesis.crash(leader, random.pick([1, 50, 400]));
      case 1:
        if (victim === leader) return;
        did("receiver crashes");
        return nemesis.crash(victim, random.pick([1, 50]));
      case 2:
        did("everybody lets go of the log");
        for (const replica of replicas) if (replica.role === "storage") replica.trim(replica.machine.appliedThrough);
        return;
      case 3: {
        const lagging = [...others].sort((a, b) => a.storage.written.end - b.storage.written.end);
        const heir = random.chance(0.5) ? lagging[0] : random.shuffle(others)[0];
        if (heir === undefined) return;
        did("hand-over");
        return leader.handOver(heir.name);
      }
      case 4:
        did("leader cut off");
        return nemesis.isolate(leader, rest);
      case 5:
        did("leader cut off, its clock as slow and the others' as fast as is allowed");
        for (const replica of replicas) replica.node.setClockRate(replica === leader ? 1 - driftMax : 1 + driftMax);
        return nemesis.isolate(leader, rest);
      case 6:
        did("leader asked for another change, or the same again");
        return this.#parts.operator?.ask(leader);
      case 7: {
        const { disk } = (random.chance(0.5) ? leader : victim).node;
        const full = random.chance(0.5);
        did(full ? "a disk is full" : "a disk stands still");
        if (full) disk.setFaults({ capacityBytes: disk.usedBytes() + 64 * random.int(3) });
        else disk.setFaults({ syncMs: [350, 900] });
        this.#parts.world.timer(random.pick([50, 500]), () => {
          if (this.stopped) return;
          disk.setFaults(
            full ? { capacityBytes: Number.POSITIVE_INFINITY } : { syncMs: [0.1, nemesis.weather.syncMaxMs] },
          );
        });
        return;
      }
      case 8:
        did("leader suspended");
        return leader.node.pause(random.pick([50, 400]));
      default:
        return this.#jump(leader, did);
    }
  }

  #jump(leader: SimReplica, did: (action: string) => void): void {
    const { random, replicas, leaseReads } = this.#parts;
    did("a clock jumps");
    // A leader's clock that is ahead ends its lease early. An acceptor's would end what it has granted, and only those may be that wrong who do not build on it.
    const whose = leaseReads ? leader : random.pick(replicas);
    whose.node.jumpClock(random.pick([50, 290, 1000]));
    if (!leaseReads && random.chance(0.3)) whose.node.setClockRate(random.pick([0.001, 5]));
  }
}
