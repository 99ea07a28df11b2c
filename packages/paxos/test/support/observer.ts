import {
  type Ballot,
  type Configuration,
  compareBallots,
  decodeConfiguration,
  decodeRequest,
  type Entry,
  type Message,
  type PersistWrite,
  type Promised,
  sameBallot,
} from "../../src/core/index.js";
import { type Betrayal, Machine } from "./machine.js";
import type { SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

/** Thrown where the run leaves what the protocol promises. */
export class Violation extends Error {
  override readonly name = "Violation";
}

const text = (ballot: Ballot) => `${ballot.round}.${ballot.node}`;

/**
 * Sees every node at once, as no node can, and checks after each step what must hold at every moment. ARCHITECTURE.md
 * numbers these invariants.
 */
export class Observer {
  readonly replicas: SimReplica[] = [];
  /** Those that are chosen, oldest first. */
  readonly configurations: Configuration[];
  readonly chosen: Entry[] = [];
  /** Highest ballot that each node has answered in, over all its lives. */
  readonly #spoken = new Map<string, Ballot>();

  /** Slots that a client was answered for, when, in true time, and the highest of those so far. */
  readonly #acknowledged: { readonly atMs: number; readonly through: number }[] = [];

  onAcknowledged(slot: number, atMs: number): void {
    const through = Math.max(slot, this.#acknowledged.at(-1)?.through ?? 0);
    this.#acknowledged.push({ atMs, through });
  }

  /** The highest slot that had been acknowledged before this moment. */
  acknowledgedBefore(atMs: number): number {
    return this.#acknowledged.findLast((one) => one.atMs < atMs)?.through ?? 0;
  }

  readonly #tally: Tally | undefined;
  /** When, in true time, the lease of each ends that was seen last, if its clock goes on as it does. */
  readonly #leaseEndsMs = new Map<string, number>();
  /** In which reign each was chosen last. */
  readonly #requests = new Map<string, Ballot>();

  /** What every state machine must be, slot by slot; index 0 is before slot 1. */
  readonly #reference: Machine;
  readonly #states: string[];

  /** I14: a state machine is what the log makes of it, at the slot at which it says it is: old or new, never a mixture. */
  onState(replica: SimReplica): void {
    const { appliedThrough } = replica.machine;
    if (replica.role === "storage" && replica.machine.fingerprint() !== this.#states[appliedThrough]) {
      throw new Violation(`${replica.name} has a state at slot ${appliedThrough} that never was`);
    }
  }

  /** `betrayal`: what all state machines have in common, so that what comes of it must show elsewhere. */
  constructor(founders: readonly string[], betrayal: Betrayal = {}, tally?: Tally) {
    this.#tally = tally;
    this.#reference = new Machine(betrayal);
    this.#states = [this.#reference.fingerprint()];
    this.configurations = [{ slot: 0, storage: founders, log: [], departed: [] }];
  }

  /**
   * A log replica may not begin behind what one storage replica alone holds. So where the other one is gone for good, what a log replica lacks must not be let go of, or the group stands still until
   * its node is joined as a storage replica: of a real log hundreds of megabytes are kept for it.
   */
  mustKeep(throughSlot: number): boolean {
    if (!this.replicas.some(({ gone }) => gone)) return false;
    const { log } = this.configurationAt(Number.MAX_SAFE_INTEGER);
    return this.replicas.some(({ name, storage }) => log.includes(name) && storage.written.end < throughSlot);
  }

  /** The chosen configuration in force at this slot. */
  configurationAt(slot: number): Configuration {
    return this.configurations.findLast((one) => one.slot <= slot) as Configuration;
  }

  /** I1, I2: one value a slot, whoever reports it and whenever; and a quorum has it on disk. */
  onChosen(by: string, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const known = this.chosen[entry.slot - 1];
      if (known === undefined) {
        if (entry.slot !== this.chosen.length + 1)
          throw new Violation(`${by} reports slot ${entry.slot} before the one below`);
        // A slot below a change of members may be counted by the new ones already: their quorums meet the old.
        const holders = this.replicas.filter((replica) => replica.holds(entry)).map(({ name }) => name);
        const decides = (one: Configuration | undefined) => one !== undefined && isQuorumOf(one, holders);
        if (
          !decides(this.configurationAt(entry.slot)) &&
          !this.replicas.some(({ core }) => decides(core?.configuration))
        ) {
          throw new Violation(`${by} reports slot ${entry.slot} as chosen, durable on ${holders} only`);
        }
        this.chosen.push(entry);
        this.#reference.apply(entry);
        if (entry.kind === "once") this.#noteRequest(entry);
        this.#states.push(this.#reference.fingerprint());
        if (entry.kind === "config") this.#onConfiguration(decodeConfiguration(entry.command, entry.slot));
      } else if (!sameBallot(known.ballot, entry.ballot) || !sameBytes(known.command, entry.command)) {
        throw new Violation(`slot ${entry.slot}: ${text(known.ballot)} chosen, ${by} reports ${text(entry.ballot)}`);
      }
    }
  }

  /** Attempts of one request that are in the log, each under its own leader. */
  #noteRequest({ command, ballot }: Entry): void {
    const request = decodeRequest(command);
    if (request.op === "register") return;
    const key = `${request.client} ${request.sequence}`;
    const before = this.#requests.get(key);
    this.#requests.set(key, ballot);
    if (before === undefined) return;
    this.#tally?.add("requests chosen twice");
    if (!sameBallot(before, ballot)) this.#tally?.add("requests chosen in two reigns");
  }

  /** I10: the quorums of two configurations that follow on one another meet. */
  #onConfiguration(next: Configuration): void {
    const before = this.configurations.at(-1) as Configuration;
    if (!meet(before, next)) throw new Violation(`quorums need not meet: ${show(before)}, then ${show(next)}`);
    this.configurations.push(next);
  }

  /** I3: what a node says to others is on its disk; I4: and never falls back behind what it said before. */
  onSend(replica: SimReplica, message: Message): void {
    if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return;
    const { durable } = replica.storage;
    const { name } = replica;
    if (message.type === "promised" && message.ballot.round === 0) {
      // It promises nothing.
      this.#isChosen(name, message);
      return;
    }
    if (compareBallots(durable.promised, message.ballot) < 0) {
      throw new Violation(
        `${name} sends ${message.type} in ${text(message.ballot)}, durable is ${text(durable.promised)}`,
      );
    }
    if (message.type === "ack" && message.acceptedThrough > 0) {
      if (!sameBallot(durable.accepted, message.ballot) && compareBallots(durable.accepted, message.ballot) < 0) {
        throw new Violation(`${name} acknowledges ${text(message.ballot)}, durable is ${text(durable.accepted)}`);
      }
      if (durable.end < message.acceptedThrough) {
        throw new Violation(`${name} acknowledges slot ${message.acceptedThrough}, durable is ${durable.end}`);
      }
    }
    const spoken = this.#spoken.get(name);
    if (spoken !== undefined && compareBallots(message.ballot, spoken) < 0) {
      throw new Violation(`${name} answers in ${text(message.ballot)} after ${text(spoken)}: a promise was broken`);
    }
    this.#spoken.set(name, message.ballot);
  }

  #isChosen(name: string, { chosenThrough, chosenBallot }: Promised): void {
    const entry = this.chosen[chosenThrough - 1];
    if (chosenBallot.round === 0 || (entry !== undefined && sameBallot(entry.ballot, chosenBallot))) return;
    throw new Violation(`${name} says that ${text(chosenBallot)} was chosen in slot ${chosenThrough}`);
  }

  /**
   * A node has lost its last write. If that was the promise to itself, before it asked anybody for theirs, nobody ever counts on it: the ballot is its own, and
   * in its next life it stands in no such ballot unless it has promised it again.
   */
  onForgotten(name: string): void {
    if (this.#spoken.get(name)?.node === name) this.#spoken.delete(name);
  }

  /** Another disk bears this name from now on: what it says, it says as another acceptor. */
  onAnother(name: string): void {
    this.#spoken.delete(name);
  }

  /**
   * I5: no acceptor gives up a chosen entry that it holds, unless its state has come past it, or it is a log replica and two
   * storage replicas hold it (I12).
   */
  onWrite(replica: SimReplica, write: PersistWrite): void {
    if (write.reset !== undefined) {
      const { slot } = write.reset;
      if (replica.role === "log") this.onLogReplicaForgets(replica, slot);
      else if (replica.checkpoint.appliedThrough < slot) {
        throw new Violation(`${replica.name} begins its log at ${slot}, its state machine is at less`);
      }
    }
    if (write.truncateFrom === undefined) return;
    const { written } = replica.storage;
    for (let slot = write.truncateFrom; slot <= written.end; slot++) {
      const chosen = this.chosen[slot - 1];
      if (chosen === undefined) return;
      if (sameBallot((written.at(slot) as Entry).ballot, chosen.ballot)) {
        throw new Violation(`${replica.name} cuts slot ${slot}, which is chosen`);
      }
    }
  }

  /** I12: what a log replica lets go of, two storage replicas hold durably. */
  onLogReplicaForgets(replica: SimReplica, throughSlot: number): void {
    const entry = this.chosen[throughSlot - 1];
    if (entry === undefined) throw new Violation(`${replica.name} lets go of slot ${throughSlot}, which is not chosen`);
    const holders = this.replicas.filter((other) => other.role === "storage" && other.hadState && other.holds(entry));
    if (holders.length < 2) {
      throw new Violation(`${replica.name} lets go of slot ${throughSlot}, held by ${holders.map(({ name }) => name)}`);
    }
  }

  /** I11: who leads is a storage replica of its own configuration, and has not left. */
  #mayLead(leader: SimReplica): void {
    const { core } = leader;
    if (core === undefined) return;
    if (leader.role === "log") throw new Violation(`${leader.name} leads, and is a log replica`);
    if (leader.behind) throw new Violation(`${leader.name} leads, and has no state`);
    if (!core.configuration.storage.includes(leader.name)) {
      throw new Violation(`${leader.name} leads, and is no storage replica of ${show(core.configuration)}`);
    }
    if (this.configurationAt(Number.MAX_SAFE_INTEGER).departed.includes(leader.name) && leader.ready) {
      throw new Violation(`${leader.name} leads, and has left`);
    }
  }

  /** I13: two replicas that know the same slots as chosen know the same members. */
  #knowsMembers(replica: SimReplica): void {
    const { core } = replica;
    if (core === undefined || core.configuration === replica.configurationSeen) return;
    replica.configurationSeen = core.configuration;
    const { slot } = core.configuration;
    if (slot > core.chosenThrough) return;
    const agreed = this.configurationAt(core.chosenThrough);
    if (agreed.slot !== slot || show(agreed) !== show(core.configuration)) {
      throw new Violation(
        `${replica.name} knows ${show(core.configuration)} at ${core.chosenThrough}, chosen is ${show(agreed)}`,
      );
    }
  }

  /**
   * I6: one lease at a time, and no higher ballot begins to lead while it runs. Judged now, by the holder's own clock.
   * (A lower one may: a candidate that slept through everything, whose ballot is over before its first heartbeat.)
   */
  onLeading(leader: SimReplica, ballot: Ballot): void {
    this.#mayLead(leader);
    const nowMs = leader.node.scheduler.now;
    for (const [name, endMs] of this.#leaseEndsMs) {
      const sinceMs = nowMs - endMs;
      if (name === leader.name || sinceMs < 0) continue;
      if (sinceMs < 15) this.#tally?.add("led within 15 ms of the end of another's lease");
    }
    for (const other of this.replicas) {
      if (other.leaseRemainingMs > 0 && compareBallots(other.core?.accepted ?? ballot, ballot) < 0) {
        throw new Violation(
          `${leader.name} begins to lead while ${other.name} holds a lease for ${other.leaseRemainingMs} ms`,
        );
      }
    }
  }

  afterStep(stepped: SimReplica): void {
    this.#knowsMembers(stepped);
    let holders = 0;
    for (const replica of this.replicas) {
      const leftMs = replica.leaseRemainingMs;
      if (leftMs <= 0) continue;
      holders++;
      this.#leaseEndsMs.set(replica.name, replica.node.scheduler.now + leftMs / replica.node.clockRate);
    }
    if (holders > 1) throw new Violation("two leases run at once");
  }
}

/** Most are the very same object, or a few bytes. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0;
}

function isQuorumOf({ storage, log }: Configuration, nodes: readonly string[]): boolean {
  let held = 0;
  for (const node of nodes) if (storage.includes(node) || log.includes(node)) held++;
  return held * 2 > storage.length + log.length;
}

function show({ slot, storage, log }: Configuration): string {
  return `${slot}: [${storage}] + [${log}]`;
}

/** By trying them all: the observer does not trust the rule that it checks. */
function meet(a: Configuration, b: Configuration): boolean {
  const nodes = [...new Set([...a.storage, ...a.log, ...b.storage, ...b.log])];
  for (let mask = 0; mask < 1 << nodes.length; mask++) {
    const inside = nodes.filter((_, i) => mask & (1 << i));
    const outside = nodes.filter((_, i) => !(mask & (1 << i)));
    if (isQuorumOf(a, inside) && isQuorumOf(b, outside)) return false;
  }
  return true;
}
