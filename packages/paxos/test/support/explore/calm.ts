import { BEAT, CLOSE, DELIVER, type NightSteps, PROPOSE, TIMER } from "./night-steps.js";
import type { NodeState } from "./node-state.js";
import { PairNumbers, PairTable } from "./pair-table.js";

/** In which this must be settled. */
const ticksMax = 40;
const lettersMax = 1000;
const NOBODY = -1;

/**
 * Whether a group comes to be led and served again when all goes well from here on: what was under way is lost, every link is well, nobody stands still, timers go off when they are due, one
 * node after the other. Asked with all nodes; and for each node that leads or is taken for the leader, without it, and with the group closed there while its process lives on and beats. Breadth-first search
 * knows no "eventually"; but if a way out leads from every state, there is none in which a group could sleep for ever.
 */
export class Calm {
  readonly #steps: NightSteps;
  readonly #pairs = new PairNumbers();
  readonly #all = new PairNumbers();
  readonly #verdicts = new PairTable();
  /** Ticks that were really gone through. */
  walked = 0;

  constructor(steps: NightSteps) {
    this.#steps = steps;
  }

  /** True, or what does not come. `all`: the states of the nodes. */
  comes(all: readonly [number, number, number], rates: number, tick: number): boolean | string {
    const nodes = all.map((node) => this.#steps.nodes.states.value(node));
    const ways: [number, boolean][] = [[nodes.findIndex(({ closed }) => closed), true]];
    if (ways[0]?.[0] === NOBODY) {
      for (const [node, { leading, closed }] of nodes.entries()) {
        const name = nameOf(node);
        if (closed || (leading === undefined && nodes.every(({ follows }) => follows !== name))) continue;
        ways.push([node, false], [node, true]);
      }
    }
    for (const [gone, closes] of ways) {
      if (this.#ends(all, rates, tick, gone, closes)) continue;
      const how =
        gone === NOBODY ? "with all nodes" : closes ? `with ${nameOf(gone)} closed` : `without ${nameOf(gone)}`;
      return `${how} the group is not led again within ${ticksMax} ticks`;
    }
    return true;
  }

  #ends(all: readonly number[], rates: number, from: number, gone: number, closes: boolean): boolean {
    const nodes = [...all];
    if (gone !== NOBODY && closes) this.#happen(nodes, CLOSE, gone, 0, rates, from, gone, []);
    const way = (gone + 1) * 2 + (closes ? 1 : 0);
    const seen: [number, number][] = [];
    let good = false;
    for (let tick = from; tick <= from + ticksMax && !good; tick++) {
      const [tuple, key] = [this.#number(nodes), (tick * 16 + rates) * 8 + way];
      const known = this.#verdicts.get(tuple, key);
      if (known >= 0) {
        good = known === 1;
        break;
      }
      seen.push([tuple, key]);
      good = this.#isServed(nodes, rates, tick, gone);
      if (!good) this.walked++;
      if (!good) this.#goOn(nodes, rates, tick + 1, gone, closes);
    }
    for (const [tuple, key] of seen) this.#verdicts.set(tuple, key, good ? 1 : 0);
    return good;
  }

  #goOn(nodes: number[], rates: number, tick: number, gone: number, beats: boolean): void {
    for (let node = 0; node < nodes.length; node++) {
      if (node !== gone || beats) this.#settle(nodes, BEAT, node, 0, rates, tick, beats ? NOBODY : gone);
    }
    for (let node = 0; node < nodes.length; node++) {
      if (node === gone) continue;
      if (this.#state(nodes, node).wakeAtMs > this.#steps.nowMs(rates, tick, node)) continue;
      this.#settle(nodes, TIMER, node, 0, rates, tick, beats ? NOBODY : gone);
    }
  }

  /** One leads, all others follow it, and it has a command chosen and reported. */
  #isServed(nodes: readonly number[], rates: number, tick: number, gone: number): boolean {
    for (let leader = 0; leader < nodes.length; leader++) {
      if (leader === gone || !this.#state(nodes, leader).ready) continue;
      const follows = (_: number, node: number) =>
        node === gone || node === leader || this.#state(nodes, node).follows === nameOf(leader);
      return nodes.every(follows) && this.#settle([...nodes], PROPOSE, leader, 9, rates, tick, gone).has(leader);
    }
    return false;
  }

  /** Something happens at one node, and all that is said thereupon arrives at once. Returns who reported a command as chosen. */
  #settle(
    nodes: number[],
    kind: number,
    node: number,
    arg: number,
    rates: number,
    tick: number,
    mute: number,
  ): Set<number> {
    const letters: number[] = [];
    const reporting = new Set<number>();
    if (this.#happen(nodes, kind, node, arg, rates, tick, mute, letters)) reporting.add(node);
    for (let at = 0; at < letters.length && at < lettersMax; at++) {
      const to = this.#steps.nodes.receivers[letters[at] as number] as number;
      if (this.#happen(nodes, DELIVER, to, letters[at] as number, rates, tick, mute, letters)) reporting.add(to);
    }
    return reporting;
  }

  #happen(
    nodes: number[],
    kind: number,
    node: number,
    arg: number,
    rates: number,
    tick: number,
    mute: number,
    letters: number[],
  ): boolean {
    if (node === mute && kind !== CLOSE) return false;
    const made = this.#steps.of(kind, nodes[node] as number, arg, rates, tick);
    if (made === undefined) return false;
    nodes[node] = made.next;
    letters.push(...made.sent);
    return made.chosen.length > 0;
  }

  #state(nodes: readonly number[], node: number): NodeState {
    return this.#steps.nodes.states.value(nodes[node] as number);
  }

  #number([a, b, c]: readonly number[]): number {
    return this.#all.number(this.#pairs.number(a as number, b as number), c as number);
  }
}

const nameOf = (node: number) => "abc"[node] as string;
