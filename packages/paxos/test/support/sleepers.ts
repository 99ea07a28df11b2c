import { Random } from "@evenkeel/simulation";
import {
  type BondEffect,
  type BondMessage,
  type BondOptions,
  Bonds,
  type CoreEvent,
  type CoreOptions,
  type Effect,
  EMPTY_STATE,
  type Message,
  PaxosCore,
  type PersistedState,
  pack,
  Unpacker,
  unpack,
  Words,
} from "../../src/core/index.js";
import { Violation } from "./observer.js";
import { Folded } from "./storage.js";
import type { Tally } from "./tally.js";

/** Where the sleep of a group can be betrayed. */
export interface SleepMutation {
  readonly bonds?: (options: BondOptions, nowMs: number) => Bonds;
  /** Of one node: what its core hears of a message. */
  readonly hears?: () => (from: string, message: Message) => Message;
  /** Sleeps on when the node that it sleeps under is gone. */
  readonly sleepsOn?: boolean;
  /** Does not tell who sleeps in its reign that it is over. */
  readonly releasesNobody?: boolean;
  /** How what was packed is read. */
  readonly unpacker?: typeof Unpacker;
  /** Opens a group again, in the same life of the process, on the bonds on which it slept. */
  readonly keepsBonds?: boolean;
}

const names = ["a", "b", "c"];
const tuning = { leaseMs: 300, heartbeatMs: 50, electionJitterMs: 30, voteTimeoutMs: 60, sleepAfterMs: 0 };

type Letter =
  | { readonly kind: "core"; readonly from: string; readonly to: string; readonly message: Message }
  | { readonly kind: "bond"; readonly from: string; readonly to: string; readonly message: BondMessage };

export class Sleeper {
  readonly disk = new Folded();
  core: PaxosCore;
  bonds: Bonds;
  /** Of this node's clock. */
  rate = 1;
  stillUntilMs = 0;
  readonly words = new Words();
  random = () => this.world.random.next();
  /** The group is closed on this node, which lives on. */
  left = false;
  hears: (from: string, message: Message) => Message;

  constructor(
    readonly world: Sleepers,
    readonly name: string,
  ) {
    this.hears = world.mutation.hears?.() ?? ((_, message) => message);
    this.bonds = this.newBonds();
    this.core = this.#newCore(EMPTY_STATE);
  }

  get nowMs(): number {
    return 1000 + this.world.nowMs * this.rate;
  }

  newBonds(): Bonds {
    const { random, mutation } = this.world;
    const options = { ...tuning, life: random.int(2 ** 31), quorumLostMs: 2 * tuning.leaseMs };
    const bonds = mutation.bonds?.(options, this.nowMs) ?? new Bonds(options, this.nowMs);
    for (const name of names) if (name !== this.name) bonds.know(name);
    return bonds;
  }

  get options(): CoreOptions {
    const { tailBytesMax } = this.world;
    return { nodeId: this.name, members: names, ...tuning, tailBytesMax, random: () => this.random() };
  }

  #newCore(state: PersistedState): PaxosCore {
    return new PaxosCore(this.options, state, this.nowMs, this.bonds);
  }

  /** The same core, as far as anybody can tell; undefined when it cannot be packed. */
  repacked(): PaxosCore | undefined {
    const bytes = pack(this.core, this.words);
    if (bytes === undefined) return undefined;
    const Kind = this.world.mutation.unpacker ?? Unpacker;
    return unpack(this.options, new Kind(this.words, bytes), this.bonds);
  }

  /** The process dies and comes back. */
  restart(): void {
    this.bonds = this.newBonds();
    this.core = this.#newCore(this.disk.state());
  }

  /** Only the group is closed here. */
  leave(): void {
    this.step({ type: "resign", nowMs: this.nowMs });
    this.left = true;
  }

  rejoin(): void {
    this.leave();
    this.left = false;
    if (this.world.mutation.keepsBonds !== true) {
      for (const name of names) this.carryOutBonds(this.bonds.breakWith(name));
    }
    this.core = this.#newCore(this.disk.state());
  }

  step(event: CoreEvent): void {
    const { world } = this;
    if (this.left) return;
    const slept = this.core.asleep;
    const effects: Effect[] = [];
    for (let next: CoreEvent | undefined = event; next !== undefined; ) {
      let token = 0;
      for (const effect of this.core.step(next)) {
        effects.push(effect);
        if (effect.type !== "persist") continue;
        this.disk.apply(effect.write);
        token = effect.token;
      }
      next = token === 0 ? undefined : { type: "persisted", token, nowMs: this.nowMs };
    }
    if (this.core.asleep && !slept)
      world.tally.add(this.core.leading ? "leaders fell asleep" : "followers fell asleep");
    if (!this.core.asleep && slept) {
      world.tally.add(`woken by ${event.type === "message" ? event.message.type : event.type}`);
    }
    if (world.packs && this.core.asleep) {
      const repacked = this.repacked();
      world.tally.add(
        repacked === undefined ? "could not be packed" : `packed as ${repacked.leading ? "leader" : "follower"}`,
      );
      if (repacked !== undefined) this.core = repacked;
    }
    for (const effect of effects) {
      if (effect.type === "send") {
        world.post({ kind: "core", from: this.name, to: effect.to, message: effect.message });
      } else if (effect.type === "ship") {
        const entries = this.disk.entries.slice(effect.fromSlot - 1, effect.throughSlot);
        world.tally.add("shipped from the log");
        world.post({ kind: "core", from: this.name, to: effect.to, message: { type: "learn", entries } });
      } else if (effect.type === "release" && world.mutation.releasesNobody !== true) {
        this.bonds.release(effect.to, { group: "g", ballot: effect.ballot });
      }
    }
  }

  carryOutBonds(effects: readonly BondEffect[]): void {
    const { world, core } = this;
    for (const effect of effects) {
      if (effect.type === "send") {
        world.post({ kind: "bond", from: this.name, to: effect.to, message: effect.message });
      } else if (effect.type === "released") {
        const message = { type: "resign", ballot: effect.ballot } as const;
        if (core.asleep) world.tally.add("sleepers told that a reign is over");
        this.step({ type: "message", from: effect.node, message, nowMs: this.nowMs });
      } else if (core.asleep && (effect.type === "changed" ? core.leading : core.leader === effect.node)) {
        if (effect.type === "lost" && world.mutation.sleepsOn === true) continue;
        world.tally.add(effect.type === "changed" ? "bonds changed under a sleeping leader" : "bonds lost in sleep");
        this.step({ type: "wake", nowMs: this.nowMs });
      }
    }
  }

  receive(letter: Letter): void {
    const { nowMs } = this;
    if (letter.kind === "bond") this.carryOutBonds(this.bonds.receive(letter.from, letter.message, nowMs));
    else this.step({ type: "message", from: letter.from, message: this.hears(letter.from, letter.message), nowMs });
  }

  tick(): void {
    const { nowMs } = this;
    this.carryOutBonds(this.bonds.tick(nowMs));
    if (!this.left && nowMs >= this.core.wakeAtMs) this.step({ type: "tick", nowMs });
  }
}

/**
 * Three cores of one group that sleeps whenever it can, with their bonds, in a world that takes links away and gives them back: much smaller than that of `scenario.ts`, so that
 * thousands of nights go by in a second. Throws when two hold a lease at once, or when nobody leads long after everything is well again.
 */
export class Sleepers {
  nowMs = 0;
  readonly random: Random;
  /** Whether whoever sleeps is packed, and unpacked for each event. */
  readonly packs: boolean;
  readonly tailBytesMax: number;
  readonly #nodes: Sleeper[];
  readonly #cut = new Set<string>();
  #letters: { readonly atMs: number; readonly letter: Letter }[] = [];
  #calm = false;

  constructor(
    seed: number,
    readonly tally: Tally,
    readonly mutation: SleepMutation = {},
  ) {
    this.random = new Random(seed);
    this.packs = mutation.unpacker !== undefined || seed % 2 === 1;
    this.tailBytesMax = seed % 4 === 1 ? 4096 : 0;
    this.#nodes = names.map((name) => new Sleeper(this, name));
    const drift = this.random.chance(0.7) ? 0.1 : 0;
    for (const node of this.#nodes) node.rate = this.random.pick([1 - drift, 1, 1 + drift]);
  }

  post(letter: Letter): void {
    const { random } = this;
    if (this.#cut.has(letter.from + letter.to) || (!this.#calm && random.chance(0.03))) return;
    const delay = () =>
      this.nowMs + (random.chance(this.#calm ? 0 : 0.1) ? random.between(20, 700) : random.between(0.1, 8));
    this.#letters.push({ atMs: delay(), letter });
    if (!this.#calm && random.chance(0.2)) this.#letters.push({ atMs: delay(), letter });
  }

  get nodes(): readonly Sleeper[] {
    return this.#nodes;
  }

  /** Bad weather until then. */
  stormUntil(nightMs: number): void {
    while (this.nowMs < nightMs) {
      if (this.random.chance(0.03)) this.#strike();
      this.#moment();
    }
  }

  run(nightMs: number): void {
    this.stormUntil(nightMs);
    this.#calm = true;
    this.#cut.clear();
    this.#until("everybody sleeps", () => this.#nodes.every(({ core }) => core.asleep));
    // The group that sleeps best must notice that its leader is gone, be it with its node or without a word that anybody hears.
    const gone = this.#nodes.find(({ core }) => core.leading) as Sleeper;
    if (this.random.chance(0.5)) {
      this.#cutOff(gone);
      gone.leave();
      this.#cut.clear();
    } else this.#cutOff(gone);
    this.#until("another leads", () => this.#nodes.some((node) => node !== gone && node.core.ready));
  }

  #cutOff(one: Sleeper): void {
    for (const { name } of this.#nodes) this.#cut.add(one.name + name).add(name + one.name);
  }

  #until(what: string, done: () => boolean): void {
    const untilMs = this.nowMs + 5000;
    while (!done()) {
      if (this.nowMs > untilMs) throw new Violation(`not within 5 s: ${what}`);
      this.#moment();
    }
  }

  #moment(): void {
    this.nowMs += 5;
    const due = this.#letters.filter(({ atMs }) => atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    this.#letters = this.#letters.filter(({ atMs }) => atMs > this.nowMs);
    for (const { atMs, letter } of due) {
      const to = this.#nodes.find(({ name }) => name === letter.to) as Sleeper;
      if (to.stillUntilMs > this.nowMs) {
        this.#letters.push({ atMs: Math.max(atMs, to.stillUntilMs), letter });
        continue;
      }
      to.receive(letter);
      this.#check();
    }
    for (const node of this.#nodes) {
      if (node.stillUntilMs > this.nowMs) continue;
      node.tick();
      this.#check();
    }
  }

  #check(): void {
    const holders = this.#nodes.filter(({ core, nowMs }) => core.leaseRemainingMs(nowMs) > 0);
    if (holders.length > 1) throw new Violation(`two leases at once: ${holders.map(({ name }) => name)}`);
    if (holders[0]?.core.asleep) this.tally.add("moments of leases while all sleep");
  }

  #strike(): void {
    const { random } = this;
    const [one, other] = random.shuffle(this.#nodes) as [Sleeper, Sleeper];
    const pair = one.name + other.name;
    switch (random.int(9)) {
      case 0:
        this.#cut.add(pair);
        return;
      case 1:
        this.#cut.add(pair).add(other.name + one.name);
        return;
      case 2:
        this.#cutOff(one);
        return;
      case 3:
      case 4:
        this.#cut.delete(pair);
        return;
      case 5:
        this.#cut.clear();
        return;
      case 6:
        one.stillUntilMs = this.nowMs + random.pick([50, 350, 700]);
        return;
      case 7:
        return random.pick([
          () => one.restart(),
          () => {
            // The moment at which a forgotten grant would hurt: its leader still hears from this node, and a third one does not.
            const leader = this.#nodes.find(({ name }) => name === one.core.leader);
            one.rejoin();
            const third = this.#nodes.find((node) => node !== one && node !== leader) as Sleeper;
            if (leader !== undefined) this.#cut.add(leader.name + third.name).add(third.name + leader.name);
          },
          () => one.step({ type: "resign", nowMs: one.nowMs }),
          () => {},
        ])();
      case 8: {
        const proposals = [{ id: 1, command: new Uint8Array(1) }];
        one.step(
          random.chance(0.5)
            ? { type: "propose", proposals, nowMs: one.nowMs }
            : { type: "read", id: 2, nowMs: one.nowMs },
        );
        return;
      }
    }
  }
}
