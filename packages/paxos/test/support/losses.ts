import type { Random, World } from "@evenkeel/simulation";
import { isMute } from "../../src/host/births.js";
import type { Observer } from "./observer.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/** How a node comes to be lost for good. */
export const losses = ["emptied", "misdirected", "rotten"] as const;
export type Loss = (typeof losses)[number];

export interface LossesParts {
  readonly world: World<Uint8Array>;
  readonly founders: readonly SimReplica[];
  readonly observer: Observer;
  readonly random: Random;
  readonly tally: Tally;
  /** Undefined: none, but reads fail now and then all the same. */
  readonly loss: Loss | undefined;
}

/**
 * What disks do beside being slow, full or failing a sync: a read fails and succeeds the next time; a write lands where another record stands; a record rots; a whole disk is replaced by an
 * empty one. The latter three cost a node its name, so they befall one founder of a world, once all others have voted: see "Births" of ARCHITECTURE.md.
 */
export class Losses {
  readonly #parts: LossesParts;
  stopped = false;

  constructor(parts: LossesParts) {
    this.#parts = parts;
    this.#later(parts.random.between(200, 1500), () => this.#lose());
    this.#failReads();
  }

  #later(delayMs: number, action: () => void): void {
    this.#parts.world.timer(delayMs, () => {
      if (!this.stopped) action();
    });
  }

  #failReads(): void {
    const { random, founders } = this.#parts;
    this.#later(random.between(20, 400), () => {
      const { disk } = random.pick(founders).node;
      disk.setFaults({ readFailChance: random.pick([0.2, 0.6]) });
      this.#later(random.between(50, 300), () => disk.setFaults({ readFailChance: 0 }));
      this.#failReads();
    });
  }

  #lose(): void {
    const { loss, random, tally } = this.#parts;
    if (loss === undefined) return;
    const victim = this.#victim();
    if (victim === undefined) {
      this.#later(20, () => this.#lose());
      return;
    }
    victim.gone = true;
    tally.add(`disks ${loss}`);
    if (loss === "emptied") {
      victim.loseDisks();
      this.#later(random.pick([1, 50, 300]), () => {
        // Somebody else may have started it meanwhile.
        if (!victim.node.up) victim.start();
      });
    } else if (loss === "rotten") victim.storage.rot(random);
    else this.#misdirect(victim);
    if (loss !== "emptied" && random.chance(0.5)) this.#later(random.between(1, 200), () => restart(victim));
  }

  /** Somebody whom the others can spare: they have all voted, nobody waits for a state, and nobody has been lost before. */
  #victim(): SimReplica | undefined {
    const { founders, observer, random } = this.#parts;
    const { storage, log } = observer.configurationAt(Number.MAX_SAFE_INTEGER);
    const members = observer.replicas.filter(({ name }) => storage.includes(name) || log.includes(name));
    const everybody = new Set([...founders, ...members]);
    const trimmedThrough = Math.max(...members.map((member) => member.trimmedThrough));
    for (const { name, behind, receiving, storage: disk } of everybody) {
      // Who waits for a founder to tell it whether it begins would wait for ever.
      if (behind || receiving || isMute(disk.durable)) return undefined;
      if (log.includes(name) && disk.written.end < trimmedThrough) return undefined;
    }
    const spared = random.shuffle(founders.filter((founder) => members.includes(founder)));
    return (random.chance(0.4) && spared.find(({ core }) => core?.leading === true)) || spared[0];
  }

  #misdirect({ node }: SimReplica): void {
    const before = node.disk.counters.misdirected;
    node.disk.setFaults({ misdirectChance: 0.5 });
    const look = () => {
      if (node.disk.counters.misdirected === before) this.#later(5, look);
      else node.disk.setFaults({ misdirectChance: 0 });
    };
    look();
  }
}

function restart(victim: SimReplica): void {
  victim.crash();
  victim.start();
}
