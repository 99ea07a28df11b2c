import type { Random, World } from "@evenkeel/simulation";
import type { Observer } from "./observer.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

export interface NewcomerLossParts {
  readonly world: World<Uint8Array>;
  /** Nodes that are no founders. */
  readonly spares: readonly SimReplica[];
  readonly observer: Observer;
  readonly random: Random;
  readonly tally: Tally;
}

/**
 * A newcomer's disk is replaced by an empty one: while it is being fed, when one leader has made it a member and nobody else knows, or long after. It comes back under its name, which no
 * founder need have heard of. Either somebody finds it out, or it is taken for what it is: one whose log was born just now.
 */
export function loseNewcomer({ world, spares, observer, random, tally }: NewcomerLossParts): void {
  const [soon, patient] = [random.chance(0.6), random.between(5, 400)];
  const next = () => {
    const { storage, log } = observer.configurationAt(Number.MAX_SAFE_INTEGER);
    const isMember = ({ name }: SimReplica) => storage.includes(name) || log.includes(name);
    const begun = spares.filter(
      ({ node, core, behind, receiving }) => node.up && core !== undefined && !behind && !receiving,
    );
    // What it alone holds beside a log replica is not to be lost with it, nor a quorum.
    const spared = begun.filter((one) =>
      isMember(one) ? one.role === "log" || log.length === 0 : soon && one.core?.leader !== undefined,
    );
    const victim = storage.length + log.length > 2 ? random.shuffle(spared)[0] : undefined;
    if (victim === undefined) {
      world.timer(random.between(5, 60), next);
      return;
    }
    tally.add(isMember(victim) ? "newcomers emptied, members" : "newcomers emptied, on their way");
    victim.gone = true;
    victim.loseDisks();
    observer.onAnother(victim.name);
    world.timer(random.pick([1, 50, 300]), () => {
      if (!victim.node.up) victim.start();
    });
  };
  world.timer(patient, next);
}
