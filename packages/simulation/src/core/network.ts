import { checkedNumber, checkOptions } from "./errors.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

export interface NetworkFaults {
  /** Chance that a message is lost, 0 to 1. */
  readonly lossChance: number;
  /** Chance that a message arrives twice, the second time with a delay of its own and outside the order of its link. */
  readonly duplicateChance: number;
  /** Chance that a message may overtake those sent before it. The others keep the order of their link, as on one TCP connection. */
  readonly reorderChance: number;
  /** Every message takes from `delayMinMs` to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Chance that a message is held up to `lateMaxMs` longer and out of order: it may arrive in another life of its receiver. */
  readonly lateChance: number;
  readonly lateMaxMs: number;
}

export type Deliver<Message> = (from: string, message: Message) => void;

/** How often each thing happened: a test that wants to have seen a fault checks here that it did. */
export interface NetworkCounters {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  late: number;
  /** Dropped by a partition, when sent or when they would have arrived. */
  cut: number;
  /** Arrived where nobody was attached. */
  unreachable: number;
}

/** One way between two nodes. */
interface Link {
  /** Its own, where they differ from the network's. */
  faults: NetworkFaults | undefined;
  cut: boolean;
  /** When its last message in order arrives. */
  lastArrivalMs: number;
}

const CALM: NetworkFaults = {
  lossChance: 0,
  duplicateChance: 0,
  reorderChance: 0,
  delayMinMs: 0.1,
  delayMaxMs: 1,
  lateChance: 0,
  lateMaxMs: 1000,
};

/**
 * Carries messages by reference: a receiver must not change what it gets (hand in copies where the code under test might).
 *
 * Two nodes are joined by two links, one each way; each has its own faults and may be cut alone, because the failures that hurt are
 * the one-way ones.
 */
export class SimNetwork<Message = unknown> {
  readonly counters: NetworkCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    late: 0,
    cut: 0,
    unreachable: 0,
  };
  #faults: NetworkFaults = CALM;
  /** By who sends, then by who receives. */
  readonly #links = new Map<string, Map<string, Link>>();
  readonly #nodes = new Map<string, Deliver<Message>>();

  constructor(
    readonly scheduler: Scheduler,
    readonly random: Random,
  ) {}

  get faults(): NetworkFaults {
    return this.#faults;
  }

  /** Changes what is given and leaves the rest; with `link`, only for messages from one node to another. */
  setFaults(change: Partial<NetworkFaults>, link?: { readonly from: string; readonly to: string }): void {
    const own = link === undefined ? undefined : this.#link(link.from, link.to);
    const next = checkedFaults({ ...(own?.faults ?? this.#faults), ...checkOptions("setFaults", change, CALM) });
    if (own === undefined) this.#faults = next;
    else own.faults = next;
  }

  /** No faults any more, on any link, and no partition. Messages under way still arrive as they were going to. */
  calm(): void {
    this.#faults = CALM;
    for (const link of this.#all()) link.faults = undefined;
    this.heal();
  }

  /** Replaces what was attached under this name. */
  attach(node: string, deliver: Deliver<Message>): void {
    this.#nodes.set(node, deliver);
  }

  /** Messages to it are counted as unreachable, also those that are already under way. */
  detach(node: string): void {
    this.#nodes.delete(node);
  }

  /** Sends by reference, with whatever faults the link has; who is not attached when it arrives does not hear of it. */
  send(from: string, to: string, message: Message): void {
    this.counters.sent++;
    const link = this.#link(from, to);
    const faults = link.faults ?? this.#faults;
    // One draw for each question, asked or not: the stream stays in step when a chance changes.
    const lost = this.random.chance(faults.lossChance);
    const duplicated = this.random.chance(faults.duplicateChance);
    const reordered = this.random.chance(faults.reorderChance);
    const late = this.random.chance(faults.lateChance);
    if (link.cut) {
      this.counters.cut++;
      return;
    }
    if (lost) {
      this.counters.lost++;
      return;
    }
    let arrivalMs = this.scheduler.now + this.random.between(faults.delayMinMs, faults.delayMaxMs);
    if (late) {
      this.counters.late++;
      arrivalMs += this.random.between(0, faults.lateMaxMs);
    } else {
      arrivalMs = this.#inOrder(link, arrivalMs, reordered);
    }
    this.#arrive(from, to, link, message, arrivalMs);
    if (duplicated) {
      this.counters.duplicated++;
      const againMs = this.scheduler.now + this.random.between(faults.delayMinMs, 2 * faults.delayMaxMs);
      this.#arrive(from, to, link, message, againMs);
    }
  }

  /** Cuts the way from every one of `from` to every one of `to`, and leaves the way back. Messages under way are lost too. */
  partition(from: string | readonly string[], to: string | readonly string[]): void {
    for (const a of listed(from)) for (const b of listed(to)) if (a !== b) this.#link(a, b).cut = true;
  }

  /** Cuts both ways between the two sides. */
  partitionBoth(a: string | readonly string[], b: string | readonly string[]): void {
    this.partition(a, b);
    this.partition(b, a);
  }

  /** Mends the way from `from` to `to`; without arguments, everything. */
  heal(from?: string | readonly string[], to?: string | readonly string[]): void {
    if (from === undefined || to === undefined) {
      for (const link of this.#all()) link.cut = false;
      return;
    }
    for (const a of listed(from)) for (const b of listed(to)) this.#link(a, b).cut = false;
  }

  /** Whether a partition stands between them, in this direction. */
  isCut(from: string, to: string): boolean {
    return this.#link(from, to).cut;
  }

  #inOrder(link: Link, arrivalMs: number, reordered: boolean): number {
    if (reordered) {
      if (arrivalMs < link.lastArrivalMs) this.counters.reordered++;
      return arrivalMs;
    }
    link.lastArrivalMs = Math.max(arrivalMs, link.lastArrivalMs);
    return link.lastArrivalMs;
  }

  #arrive(from: string, to: string, link: Link, message: Message, arrivalMs: number): void {
    this.scheduler.timer(Math.max(0, arrivalMs - this.scheduler.now), () => {
      if (link.cut) {
        this.counters.cut++;
        return;
      }
      const deliver = this.#nodes.get(to);
      if (deliver === undefined) {
        this.counters.unreachable++;
        return;
      }
      this.counters.delivered++;
      deliver(from, message);
    });
  }

  #link(from: string, to: string): Link {
    let ways = this.#links.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.#links.set(from, ways);
    }
    let link = ways.get(to);
    if (link === undefined) {
      link = { faults: undefined, cut: false, lastArrivalMs: 0 };
      ways.set(to, link);
    }
    return link;
  }

  *#all(): Iterable<Link> {
    for (const ways of this.#links.values()) yield* ways.values();
  }
}

function listed(nodes: string | readonly string[]): readonly string[] {
  return typeof nodes === "string" ? [nodes] : nodes;
}

function checkedFaults(faults: NetworkFaults): NetworkFaults {
  checkedNumber("lossChance", faults.lossChance, 0, 1);
  checkedNumber("duplicateChance", faults.duplicateChance, 0, 1);
  checkedNumber("reorderChance", faults.reorderChance, 0, 1);
  checkedNumber("lateChance", faults.lateChance, 0, 1);
  checkedNumber("delayMinMs", faults.delayMinMs, 0);
  checkedNumber("delayMaxMs", faults.delayMaxMs, faults.delayMinMs);
  checkedNumber("lateMaxMs", faults.lateMaxMs, 0);
  return faults;
}
