import type { Reaction } from "./node-state.js";
import type { Nodes } from "./nodes.js";
import { PairTable } from "./pair-table.js";

export const DELIVER = 0;
export const CRASH = 1;
export const TIMER = 2;
export const PROPOSE = 3;
export const RESIGN = 4;
export const READ = 5;
export const REOPEN = 6;
export const CLOSE = 7;
export const HANDOVER = 9;
/** The node's beats, which are a part of each tick. */
export const BEAT = 8;
export const KINDS = 16;
/** More than there are ticks. */
export const CLOCKS = 64;

/** What a node does by an event at a moment, worked out once. */
export class NightSteps {
  readonly nodes: Nodes;
  readonly #rates: readonly (readonly number[])[];
  readonly #reactions: Reaction[] = [];
  readonly #memo = new PairTable();

  constructor(nodes: Nodes, rates: readonly (readonly number[])[]) {
    this.nodes = nodes;
    this.#rates = rates;
  }

  /** A node's clock. */
  nowMs(rates: number, tick: number, node: number): number {
    return ((this.#rates[rates] as readonly number[])[node] as number) * tick;
  }

  /** Nothing where that changes nothing and says nothing. `from`: the state of a node; `arg`: of `DELIVER` the letter. */
  of(kind: number, from: number, arg: number, rates: number, tick: number): Reaction | undefined {
    const what = ((arg * this.#rates.length + rates) * CLOCKS + tick) * KINDS + kind;
    if (tick >= CLOCKS || what >= 2 ** 31) throw new Error("more ticks or letters than an event has a number for");
    const known = this.#memo.get(from, what);
    if (known >= 0) return this.#reactions[known - 1];
    const nowMs = this.nowMs(rates, tick, this.nodes.states.value(from).node);
    const reacted = this.#prompt(this.#work(kind, from, arg, nowMs), nowMs);
    const idle =
      reacted.next === from && reacted.sent.length === 0 && !reacted.notable && reacted.readable === undefined;
    this.#memo.set(from, what, idle ? 0 : this.#reactions.push(reacted));
    return idle ? undefined : reacted;
  }

  /** What is written is durable at once: one step of the node. */
  #prompt(first: Reaction, nowMs: number): Reaction {
    let made = first;
    for (let more = this.nodes.sync(made.next, nowMs); more !== undefined; more = this.nodes.sync(made.next, nowMs)) {
      const sent = [...new Set([...made.sent, ...more.sent])];
      const readable = made.readable ?? more.readable;
      made = { ...made, next: more.next, sent, readable, chosen: [...made.chosen, ...more.chosen], notable: true };
    }
    return made;
  }

  #work(kind: number, from: number, arg: number, nowMs: number): Reaction {
    const { nodes } = this;
    switch (kind) {
      case DELIVER:
        return nodes.deliver(from, arg, nowMs);
      case CRASH:
        return nodes.crash(from, nowMs);
      case TIMER:
        return nodes.tick(from, nowMs);
      case PROPOSE:
        return nodes.propose(from, arg, nowMs);
      case RESIGN:
        return nodes.resign(from, nowMs);
      case READ:
        return nodes.read(from, nowMs);
      case REOPEN:
        return nodes.reopen(from, nowMs);
      case CLOSE:
        return nodes.close(from, nowMs);
      case HANDOVER:
        return nodes.handOver(from, arg, nowMs);
      default:
        return nodes.beat(from, nowMs);
    }
  }
}
