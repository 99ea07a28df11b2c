import {
  type Ballot,
  compareBallots,
  type Entry,
  type Message,
  type PersistWrite,
  sameBallot,
} from "../../src/core/index.js";
import type { SimReplica } from "./replica.js";

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
  readonly chosen: Entry[] = [];
  /** Highest ballot that each node has answered in, over all its lives. */
  readonly #spoken = new Map<string, Ballot>();

  /** I1, I2: one value a slot, whoever reports it and whenever; and a quorum has it on disk. */
  onChosen(by: string, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const known = this.chosen[entry.slot - 1];
      if (known === undefined) {
        if (entry.slot !== this.chosen.length + 1)
          throw new Violation(`${by} reports slot ${entry.slot} before the one below`);
        const holders = this.replicas.filter((replica) => {
          const held = replica.storage.durable.at(entry.slot);
          return held !== undefined && sameBallot(held.ballot, entry.ballot);
        });
        if (holders.length * 2 <= this.replicas.length) {
          throw new Violation(`${by} reports slot ${entry.slot} as chosen, durable on ${holders.length} only`);
        }
        this.chosen.push(entry);
      } else if (!sameBallot(known.ballot, entry.ballot) || Buffer.compare(known.command, entry.command) !== 0) {
        throw new Violation(`slot ${entry.slot}: ${text(known.ballot)} chosen, ${by} reports ${text(entry.ballot)}`);
      }
    }
  }

  /** I3: what a node says to others is on its disk; I4: and never falls back behind what it said before. */
  onSend(replica: SimReplica, message: Message): void {
    if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return;
    const { durable } = replica.storage;
    const { name } = replica;
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

  /** I5: no acceptor gives up a chosen entry that it holds. */
  onWrite(replica: SimReplica, write: PersistWrite): void {
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

  /**
   * I6: one lease at a time, and no higher ballot begins to lead while it runs. Judged now, by the holder's own clock.
   * (A lower one may: a candidate that slept through everything, whose ballot is over before its first heartbeat.)
   */
  onLeading(leader: SimReplica, ballot: Ballot): void {
    for (const other of this.replicas) {
      if (other.leaseRemainingMs > 0 && compareBallots(other.core?.accepted ?? ballot, ballot) < 0) {
        throw new Violation(
          `${leader.name} begins to lead while ${other.name} holds a lease for ${other.leaseRemainingMs} ms`,
        );
      }
    }
  }

  afterStep(): void {
    let holders = 0;
    for (const replica of this.replicas) if (replica.leaseRemainingMs > 0) holders++;
    if (holders > 1) throw new Violation("two leases run at once");
  }
}
