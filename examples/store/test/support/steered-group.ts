import type { Replica } from "../../src/storage-node/replica.js";

interface Submitted {
  readonly slot: number;
  readonly command: Uint8Array;
  readonly resolve: (slot: number) => void;
  readonly reject: (error: Error) => void;
}

export const paxosError = (code: string) => Object.assign(new Error(code), { code });

/** A leader's group whose slots are chosen when the test says so, in order. */
export class SteeredGroup {
  readonly submitted: Submitted[] = [];
  reads = 0;
  round = 1;
  leaseHolds = true;
  full = false;
  readonly #replica: Replica;
  #next = 1;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  leadership() {
    return this.status();
  }

  status() {
    return {
      ready: true,
      leader: "a1",
      ballot: { round: this.round, node: "a1" },
      appliedThrough: this.#replica.appliedThrough,
    };
  }

  submit(command: Uint8Array) {
    if (this.full) throw paxosError("ERR_PAXOS_OVERLOADED");
    const slot = this.#next++;
    const done = new Promise<number>((resolve, reject) => this.submitted.push({ slot, command, resolve, reject }));
    done.catch(() => undefined);
    return { slot, ballot: this.status().ballot, done };
  }

  async read<T>(fn: () => T): Promise<T> {
    this.reads++;
    if (!this.leaseHolds) throw paxosError("ERR_PAXOS_NOT_LEADER");
    return fn();
  }

  async *entries({ from, through }: { from: number; through: number }) {
    for (const { slot, command } of this.#chosen)
      if (slot >= from && slot <= through) yield { slot, command, kind: "command" };
  }

  readonly #chosen: Submitted[] = [];

  /** Once all that was asked for has been submitted. */
  async choose(): Promise<void> {
    await gathered();
    for (const entry of this.submitted.splice(0)) {
      this.#chosen.push(entry);
      entry.resolve(this.#replica.apply(entry));
    }
  }

  /** Another node leads now; what was not chosen never will be. This one leads again in a later round, from the same slot. */
  async loseLeadership(): Promise<void> {
    await gathered();
    this.loseLeadershipAtOnce();
  }

  loseLeadershipAtOnce(): void {
    const lost = this.submitted.splice(0);
    this.#next -= lost.length;
    this.round++;
    for (const { reject } of lost) reject(paxosError("ERR_PAXOS_UNKNOWN_OUTCOME"));
  }
}

export const gathered = () => new Promise<void>((resolve) => setImmediate(resolve));
