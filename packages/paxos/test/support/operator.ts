import type { Random, World } from "@evenkeel/simulation";
import type { Configuration, MemberRole, Members } from "../../src/core/index.js";
import { stepTowards } from "../../src/core/members.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/**
 * Changes members, again and again, as somebody would who believes that machines have failed: replaces storage replicas
 * by log replicas, these by new storage replicas, and now and then asks for what must not be.
 */
export class Operator {
  readonly #world: World<Uint8Array>;
  readonly #replicas: readonly SimReplica[];
  readonly #spares: SimReplica[];
  readonly #random: Random;
  readonly #tally: Tally;
  /** Rests now and then, so that groups fall asleep that have changed, and has log replicas become storage replicas where they are. */
  readonly #aims: Random | undefined;
  /** By leader: two who both believe that they lead are asked for different things. */
  readonly #wanted = new Map<string, Members>();
  stopped = false;

  constructor(parts: {
    world: World<Uint8Array>;
    replicas: readonly SimReplica[];
    spares: readonly SimReplica[];
    random: Random;
    tally: Tally;
    aims: Random | undefined;
  }) {
    this.#aims = parts.aims;
    this.#world = parts.world;
    this.#replicas = parts.replicas;
    this.#spares = [...parts.spares];
    this.#random = parts.random;
    this.#tally = parts.tally;
    this.#next();
  }

  #next(): void {
    const restMs = this.#aims?.chance(0.03) ? this.#aims.pick([300, 800]) : 0;
    this.#world.timer(restMs + this.#random.between(10, 80), () => {
      if (this.stopped) return;
      this.#act();
      this.#next();
    });
  }

  #act(): void {
    const leaders = this.#replicas.filter(({ core, node }) => node.up && !node.paused && core?.leading === true);
    if (leaders.length === 0) return;
    this.ask(this.#random.pick(leaders));
  }

  ask(leader: SimReplica): void {
    const { core } = leader;
    if (core === undefined) return;
    const { configuration } = core;
    const wanted = this.#wanted.get(leader.name) ?? this.#plan(leader, configuration);
    if (wanted === undefined) return;
    this.#wanted.set(leader.name, wanted);
    const { storage, log } = wanted;
    const learners = [
      ...storage.map((node) => ({ node, role: "storage" as const })),
      ...log.map((node) => ({ node, role: "log" as const })),
    ].filter(({ node }) => !configuration.storage.includes(node) && !configuration.log.includes(node));
    if (this.#random.chance(0.05)) {
      // In one step, quorums or not.
      this.#tally.add("direct swaps asked for");
      leader.change(learners, wanted);
      return;
    }
    const step = stepTowards(configuration, wanted);
    if (step === undefined) {
      this.#tally.add("changes of members done");
      this.#wanted.delete(leader.name);
    } else {
      leader.change(learners, step);
      if (this.#random.chance(0.05)) {
        this.#tally.add("leaders lost while members change");
        if (log.length < configuration.log.length && storage.length > configuration.storage.length - 1)
          this.#tally.add("leaders lost while a storage replica takes a log replica's place");
        leader.crash();
      }
    }
    if (this.#random.chance(0.05)) this.#wanted.delete(leader.name);
  }

  #plan({ name }: SimReplica, { storage, log }: Configuration): Members | undefined {
    const all = [...storage, ...log];
    const failed = this.#random.pick(all.filter((node) => node !== name));
    const without = (nodes: readonly string[]) => nodes.filter((node) => node !== failed);
    const promoted = this.#aims?.chance(0.3) ? this.#replicas.find((one) => log.includes(one.name)) : undefined;
    if (promoted?.node.up === true && !promoted.node.paused) {
      this.#tally.add("promotions");
      promoted.promote();
      return { storage: [...storage, promoted.name], log: log.filter((node) => node !== promoted.name) };
    }
    const kind = this.#random.int(3);
    if (kind === 0 && all.length >= 4) {
      this.#tally.add("members taken out");
      return { storage: without(storage), log: without(log) };
    }
    if (kind === 1 && log.length === 0 && storage.length >= 3) {
      const by = this.#spare("log");
      if (by === undefined) return undefined;
      this.#tally.add("replacements by a log replica");
      return { storage: without(storage), log: [by.name] };
    }
    const by = this.#spare("storage");
    if (by === undefined) return undefined;
    this.#tally.add("storage replicas added");
    const drop = this.#random.chance(0.5) ? [] : log;
    return { storage: [...storage, by.name], log: drop };
  }

  /** A node that was never a member, started now. */
  #spare(role: MemberRole): SimReplica | undefined {
    const index = this.#spares.findIndex((spare) => spare.role === role);
    if (index < 0) return undefined;
    const [spare] = this.#spares.splice(index, 1);
    spare?.start();
    return spare;
  }
}
