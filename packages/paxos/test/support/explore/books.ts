import { Interner } from "@evenkeel/simulation";
import type { Ballot, Entry } from "../../../src/core/index.js";
import { ballotText, sameBallot } from "./disks.js";
import type { NodeState, Reaction } from "./node-state.js";
import type { Nodes } from "./nodes.js";
import { PairNumbers, PairTable } from "./pair-table.js";

/** What is chosen, seen from outside, and in which ballot it was when it was first seen. */
export interface Chosen {
  /** The first thing that must not be. */
  readonly wrong?: string;
  /** So many slots were reported to somebody, where that is asked for. */
  readonly reported: number;
  readonly entries: readonly { readonly entry: number; readonly ballot: Ballot }[];
}

/** Keeps the books of what is chosen, as a part of the state, and checks what is done and reported against them. */
export class Books {
  readonly #pages = new Interner<Chosen>();
  readonly #nodes: Nodes;
  readonly #names: readonly string[];
  readonly #fixed: boolean;
  readonly #counts: boolean;
  readonly #judge: ((entries: readonly Entry[]) => string | undefined) | undefined;
  /** What a node's disk says, as a number; by the number of the node's state. */
  readonly #disks: number[] = [];
  readonly #diskTexts = new Interner<string>();
  readonly #pairs = new PairNumbers();
  readonly #reactions = new Map<Reaction, number>();
  readonly #memo = new PairTable();
  readonly empty: number;

  /** `fixed`: the members never change, so a quorum is a majority of all. `counts`: what was reported is a part of the state. `judge`: what is wrong with this log, once it is chosen. */
  constructor(
    nodes: Nodes,
    names: readonly string[],
    fixed: boolean,
    counts = false,
    judge?: (entries: readonly Entry[]) => string | undefined,
  ) {
    this.#judge = judge;
    this.#counts = counts;
    this.#nodes = nodes;
    this.#names = names;
    this.#fixed = fixed;
    this.empty = this.#number({ reported: 0, entries: [] });
  }

  value(page: number): Chosen {
    return this.#pages.value(page);
  }

  /** The page after `node` has become what `made` says. From index `from` on `state` has the numbers of all nodes as they are now. Worked out once for what the disks say. */
  after(page: number, state: readonly number[], from: number, node: number, made: Reaction): number {
    let disks = page;
    for (let i = 0; i < this.#names.length; i++) {
      const number = state[from + i] as number;
      disks = this.#pairs.number(disks, this.#disks[number] ?? this.#diskOf(number));
    }
    let reaction = this.#reactions.get(made);
    if (reaction === undefined) {
      reaction = this.#reactions.size;
      this.#reactions.set(made, reaction);
    }
    const known = this.#memo.get(disks, reaction);
    if (known >= 0) return known;
    const next = this.#turned(page, (i) => this.#nodes.states.value(state[from + i] as number), node, made);
    this.#memo.set(disks, reaction, next);
    return next;
  }

  #diskOf(number: number): number {
    const { disk, durableLog } = this.#nodes.states.value(number);
    const { accepted, base } = disk.state;
    const text = `${ballotText(accepted)} ${durableLog}${base === undefined ? "" : ` behind ${base.slot} ${ballotText(base.ballot)}`}`;
    const known = this.#diskTexts.number(text, text);
    this.#disks[number] = known;
    return known;
  }

  #turned(page: number, at: (node: number) => NodeState, node: number, made: Reaction): number {
    const one = at(node);
    const name = this.#names[node] as string;
    let chosen = this.value(page);
    if (one.wrong !== undefined) chosen = { ...chosen, wrong: `${name}: ${one.wrong}` };
    if (this.#fixed) chosen = this.#seenOnDisks(chosen, at);
    const { base } = one.disk.state;
    if (base !== undefined && made.notable) {
      const known = chosen.entries[base.slot - 1];
      const entry = known && (this.#nodes.entryOf[known.entry - 1] as Entry);
      if (entry === undefined || !sameBallot(entry.ballot, base.ballot)) {
        chosen = {
          ...chosen,
          wrong: `${name} begins its log behind ${base.slot} of ${ballotText(base.ballot)}, which is not chosen`,
        };
      }
    }
    for (const [slot, entry] of made.chosen) {
      if (this.#fixed && !this.#onQuorum(at, slot, entry, chosen)) {
        chosen = { ...chosen, wrong: `${name} reports slot ${slot}, which no quorum has on disk` };
        // Where members change, a leader reports first: its disk is not behind in those groups. So this is the ballot in which it was chosen.
      } else chosen = this.#with(chosen, slot, entry, one.disk.state.accepted, `${name} reports`);
      if (this.#counts && slot > chosen.reported) chosen = { ...chosen, reported: slot };
    }
    for (let slot = 1; slot <= Math.min(one.chosenThrough, one.log.length); slot++) {
      const held = one.log[slot - 1] as number;
      if (held === 0 || held === chosen.entries[slot - 1]?.entry) continue;
      chosen = { ...chosen, wrong: `${name} takes ${this.#nodes.entries.value(held - 1)} for chosen, and it is not` };
    }
    if (one.leading !== undefined && !one.storage.includes(name)) {
      chosen = { ...chosen, wrong: `${name} leads and is no storage replica` };
    }
    return this.#number(chosen);
  }

  #number(chosen: Chosen): number {
    const entries = chosen.entries.map(({ entry, ballot }) => `${entry}@${ballotText(ballot)}`);
    return this.#pages.number(chosen, `${chosen.wrong ?? ""}|${chosen.reported}|${entries}`);
  }

  #with(chosen: Chosen, slot: number, entry: number, ballot: Ballot, who: string): Chosen {
    const known = chosen.entries[slot - 1];
    if (known?.entry === entry) return chosen;
    const { entries } = this.#nodes;
    if (known !== undefined) {
      return { ...chosen, wrong: `${entries.value(known.entry - 1)} is chosen, ${who} ${entries.value(entry - 1)}` };
    }
    if (slot !== chosen.entries.length + 1) return { ...chosen, wrong: `${who} slot ${slot} before the one below` };
    const all = [...chosen.entries, { entry, ballot }];
    const wrong = chosen.wrong ?? this.#judge?.(all.map((one) => this.#nodes.entryOf[one.entry - 1] as Entry));
    return { ...chosen, entries: all, ...(wrong === undefined ? {} : { wrong }) };
  }

  /** A slot is chosen when a majority has accepted it in one ballot, on disk, whether anybody knows it or not. */
  #seenOnDisks(before: Chosen, at: (node: number) => NodeState): Chosen {
    let chosen = before;
    const all = this.#names.map((_, node) => at(node));
    for (const { disk, durableLog } of all) {
      const { accepted } = disk.state;
      if (accepted.round === 0) continue;
      const others = all.filter((other) => sameBallot(other.disk.state.accepted, accepted));
      for (const [index, entry] of durableLog.entries()) {
        // What was let go of here was known as chosen, and is in the books.
        if (entry === 0) continue;
        const holders = others.filter((other) => has(other, index + 1, entry, chosen)).length;
        if (2 * holders <= all.length) break;
        chosen = this.#with(chosen, index + 1, entry, accepted, `a quorum in ${ballotText(accepted)} holds`);
      }
    }
    return chosen;
  }

  #onQuorum(at: (node: number) => NodeState, slot: number, entry: number, chosen: Chosen): boolean {
    const holders = this.#names.filter((_, node) => has(at(node), slot, entry, chosen)).length;
    return 2 * holders > this.#names.length;
  }
}

/** On its disk, as an entry or, once it was chosen, as a part of its state. */
function has({ durableLog, disk }: NodeState, slot: number, entry: number, chosen: Chosen): boolean {
  if (slot > disk.state.trimmedThrough) return durableLog[slot - 1] === entry;
  return chosen.entries[slot - 1]?.entry === entry;
}
