import type { Random, World } from "@evenkeel/simulation";
import { type Observer, Violation } from "./observer.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/** How long a simulated replica lets a read wait, by its own clock. */
export const patienceMs = 600;

export interface LocalReaderOptions {
  readonly world: World<Uint8Array>;
  readonly replicas: readonly SimReplica[];
  readonly observer: Observer;
  readonly tally: Tally;
  readonly random: Random;
}

/**
 * I15. Reads replicas' own states, here and there, and holds each answer against a model: the value is what the log makes of it at the slot that is told; what is told of its age is no less than the
 * truth; what is older than was allowed is refused, not before the replica has had its time, and nothing else is.
 */
export class LocalReader {
  readonly #options: LocalReaderOptions;
  stopped = false;
  succeeded = 0;

  constructor(options: LocalReaderOptions) {
    this.#options = options;
    this.#later();
  }

  #later(): void {
    this.#options.world.timer(this.#options.random.between(2, 40), () => {
      if (this.stopped) return;
      this.#read();
      this.#later();
    });
  }

  #read(): void {
    const { random, replicas, world, tally, observer } = this.#options;
    const replica = random.pick(replicas.filter(({ role }) => role === "storage"));
    const { freshness, node } = replica;
    if (!node.up || node.paused || freshness === undefined) return;
    const maxStaleMs = random.pick([undefined, 0, 30, 300]);
    const calledMs = world.now;
    const localMs = node.now;
    const look = () => {
      const { ageMs } = freshness;
      observer.onState(replica);
      this.#check(replica, world.now - ageMs, `${ageMs} ms`);
      if (maxStaleMs !== undefined) this.#check(replica, calledMs - maxStaleMs, `within ${maxStaleMs} ms of its call`);
      if (ageMs > 0 && Number.isFinite(ageMs)) tally.add("reads of a state with an age");
    };
    freshness.wanted();
    if (maxStaleMs === undefined) {
      look();
      return;
    }
    const patient = random.chance(0.3);
    freshness.when(maxStaleMs, patient, (error) => {
      if (error !== undefined) {
        if (error.code === "ERR_PAXOS_STALE") {
          const waitedMs = node.now - localMs;
          if (patient || waitedMs < patienceMs - 1e-6)
            throw new Violation(`${replica.name} refuses a read after ${waitedMs} ms`);
          if (freshness.ageMs <= maxStaleMs)
            throw new Violation(`${replica.name} refuses a read, and is ${freshness.ageMs} ms old`);
        }
        tally.add(`bounded reads refused, ${error.code}`);
        return;
      }
      this.succeeded++;
      tally.add(world.now > calledMs ? "bounded reads that waited" : "bounded reads at once");
      look();
    });
  }

  #check(replica: SimReplica, beforeMs: number, how: string): void {
    const slot = this.#options.observer.acknowledgedBefore(beforeMs);
    const { appliedThrough } = replica.machine;
    if (slot <= appliedThrough) return;
    throw new Violation(
      `${replica.name} has applied ${appliedThrough} and takes it for ${how} old, slot ${slot} had been acknowledged by then`,
    );
  }
}
