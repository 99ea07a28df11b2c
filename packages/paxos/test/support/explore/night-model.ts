import type { ExploreModel } from "@evenkeel/simulation";
import type { CoreOptions } from "../../../src/core/index.js";
import type { Betrayal } from "./betrayal.js";
import { Books } from "./books.js";
import { Calm } from "./calm.js";
import { ballotText, sameBallot } from "./disks.js";
import { holdsLease, oneLease } from "./leases.js";
import { canNeverMatter, insert, letterText } from "./letters.js";
import {
  BEAT,
  CLOCKS,
  CLOSE,
  CRASH,
  DELIVER,
  HANDOVER,
  KINDS,
  NightSteps,
  PROPOSE,
  READ,
  REOPEN,
  RESIGN,
  TIMER,
} from "./night-steps.js";
import { type NodeState, type Reaction, roleText } from "./node-state.js";
import { Nodes } from "./nodes.js";
import { PairTable } from "./pair-table.js";

export interface NightOptions {
  /** How often each node may stand. */
  readonly stands: readonly number[];
  /** Each node's rate, in units of its clock a tick: each line is a beginning. */
  readonly rates: readonly (readonly number[])[];
  /** Ticks after the prelude. */
  readonly ticksMax: number;
  readonly options: Partial<CoreOptions> & { readonly leaseMs: number; readonly heartbeatMs: number };
  /** Most of each, in all. Processes that die and come back; groups closed on one node, for good or to be opened again; reigns given up, or given to another; commands; reads. */
  readonly crashes?: number;
  readonly closes?: number;
  readonly reopens?: number;
  readonly resigns?: number;
  readonly handovers?: number;
  readonly proposals?: number;
  readonly reads?: number;
  /** Timers of leaders; links that fail, one way, of those that may ("ab": from a to b; all by default); ticks in which one node stands still. */
  readonly rounds?: number;
  readonly cuts?: number;
  readonly links?: readonly string[];
  readonly stills?: number;
  /** What happens first, see `GroupModelOptions`; and what of all that was said then may yet arrive. */
  readonly prelude: readonly string[];
  readonly late?: readonly string[];
  readonly betrayal?: Betrayal;
}

type Night = readonly number[];

const TIME = 10;
const CUT = 11;
const HEAL = 12;

const names = ["a", "b", "c"];
const count = names.length;
/** "ab" for the link from a to b. */
const linkName = (link: number) => `${names[Math.floor(link / count)]}${names[link % count]}`;
const budgets = [
  "crashes",
  "closes",
  "reopens",
  "resigns",
  "handovers",
  "proposals",
  "reads",
  "rounds",
  "cuts",
  "stills",
] as const;
type Budget = (typeof budgets)[number];

const RATES = 0;
const NOW = 1;
const GHOST = 2;
/** A bit for each link that has failed. */
const LINKS = 3;
/** How much was reported when the read was asked for, and one more; 0 while there is none. */
const MARK = 4;
const STALE = 1000;
const BUDGETS = 5;
const STANDS = BUDGETS + budgets.length;
const NODES = STANDS + count;
const LETTERS = NODES + count;

/**
 * A group that sleeps on the bonds of its nodes, as a model for `explore`: shipped cores and shipped bonds. One time for all goes on in ticks, each clock at a rate of its own; disks are prompt. In each tick every
 * node that does not stand still sends its beats; over a link that is well they are heard in the same tick, over another one at any later moment, again, or never. What the cores say to one another arrives
 * at any moment, in any order, again or never, as in `groupModel`; their timers go off when they are due, or later.
 */
export function nightModel(
  o: NightOptions,
): ExploreModel<Night, number> & { readonly nodes: Nodes; readonly calm: Calm } {
  const { options, rates, betrayal } = o;
  const more = betrayal === undefined ? {} : { betrayal };
  const nodes = new Nodes({
    founders: names,
    nodes: names,
    logReplicas: [],
    timeless: false,
    bonds: true,
    options,
    ...more,
  });
  const reactions = new NightSteps(nodes, rates);
  const books = new Books(nodes, names, true, true);
  const calm = new Calm(reactions);
  let ticksMax = CLOCKS;

  const one = (state: Night, node: number): NodeState => nodes.states.value(state[NODES + node] as number);
  const react = (state: Night, kind: number, node: number, arg = 0) =>
    reactions.of(kind, state[NODES + node] as number, arg, state[RATES] as number, state[NOW] as number);
  const nowMs = (state: Night, node: number) => reactions.nowMs(state[RATES] as number, state[NOW] as number, node);
  const left = (state: Night, budget: Budget) => state[BUDGETS + budgets.indexOf(budget)] as number;
  const linkBit = (from: number, to: number) => 1 << (from * count + to);

  const spentMemo = new PairTable();
  function isSpent(letter: number, receiver: number): boolean {
    let spent = spentMemo.get(receiver, letter);
    if (spent < 0) {
      const { message } = nodes.letters.value(letter);
      const state = nodes.states.value(receiver);
      spent = state.closed ? (message.type === "beat" ? 0 : 1) : canNeverMatter(message, state, false) ? 1 : 0;
      spentMemo.set(receiver, letter, spent);
    }
    return spent === 1;
  }

  function after(state: Night, node: number, made: Reaction, sent: readonly number[] = made.sent): number[] {
    const next = state.slice(0, LETTERS);
    next[NODES + node] = made.next;
    for (let i = LETTERS; i < state.length; i++) {
      const letter = state[i] as number;
      if (nodes.receivers[letter] === node && isSpent(letter, made.next)) continue;
      next.push(letter);
    }
    for (const letter of sent) {
      if (!isSpent(letter, next[NODES + (nodes.receivers[letter] as number)] as number)) insert(next, letter, LETTERS);
    }
    if (made.notable) next[GHOST] = books.after(next[GHOST] as number, next, NODES, node, made);
    const mark = next[MARK] as number;
    if (made.readable !== undefined && mark > 0) next[MARK] = made.readable < mark - 1 ? STALE : 0;
    return next;
  }

  function withoutOlder(state: number[], late: readonly number[]): number[] {
    const runs = late.map((letter) => nodes.runs[letter]);
    const isOlder = (letter: number) => nodes.runs[letter] !== undefined && runs.includes(nodes.runs[letter]);
    return state.filter((part, at) => at < LETTERS || !isOlder(part));
  }

  /** Time goes on; whoever does not stand still beats, and what can be heard of it is. */
  function tick(state: Night, still: number): number[] {
    let next = state.slice();
    next[NOW] = (next[NOW] as number) + 1;
    for (let node = 0; node < count; node++) {
      if (node === still) continue;
      const made = react(next, BEAT, node);
      if (made === undefined) continue;
      const heard = (letter: number) => {
        const to = nodes.receivers[letter] as number;
        return nodes.runs[letter] !== undefined && to !== still && ((next[LINKS] as number) & linkBit(node, to)) === 0;
      };
      const atOnce = made.sent.filter(heard);
      const late = made.sent.filter((letter) => !atOnce.includes(letter));
      next = after(withoutOlder(next, late), node, made, late);
      for (const letter of atOnce) {
        const to = nodes.receivers[letter] as number;
        const hears = react(next, DELIVER, to, letter);
        if (hears !== undefined) next = after(next, to, hears);
      }
    }
    return next;
  }

  function steps(state: Night, to: (action: number, next: Night) => void): void {
    if (books.value(state[GHOST] as number).wrong !== undefined || state[MARK] === STALE) return;
    for (let i = LETTERS; i < state.length; i++) {
      const letter = state[i] as number;
      const made = react(state, DELIVER, nodes.receivers[letter] as number, letter);
      if (made !== undefined) to(DELIVER + KINDS * letter, after(state, nodes.receivers[letter] as number, made));
    }
    for (let node = 0; node < count; node++) {
      const { leading, closed, spoken } = one(state, node);
      const attempt = (kind: number, budget: Budget, arg = 0, shown = node) => {
        if (left(state, budget) === 0) return;
        const made = react(state, kind, node, arg);
        if (made === undefined || made.refused) return;
        const next = after(state, node, made);
        next[BUDGETS + budgets.indexOf(budget)] = left(state, budget) - 1;
        if (kind === READ && made.readable === undefined) next[MARK] = 1 + books.value(state[GHOST] as number).reported;
        to(kind + KINDS * shown, next);
      };
      if (closed) continue;
      if (spoken.round > 0) {
        attempt(CRASH, "crashes");
        attempt(CLOSE, "closes");
        attempt(REOPEN, "reopens");
      }
      if (leading !== undefined) {
        attempt(RESIGN, "resigns");
        attempt(PROPOSE, "proposals", left(state, "proposals"));
        for (let heir = 0; heir < count; heir++) if (heir !== node) attempt(HANDOVER, "handovers", heir, heir);
        attempt(READ, "reads");
        attempt(TIMER, "rounds");
      } else if ((state[STANDS + node] as number) > 0) stand(state, node, to);
    }
    for (let link = 0; link < count * count; link++) {
      const bit = 1 << link;
      const next = state.slice();
      if (link % (count + 1) === 0) continue;
      next[LINKS] = (state[LINKS] as number) ^ bit;
      if (((state[LINKS] as number) & bit) !== 0) to(HEAL + KINDS * link, next);
      else if (left(state, "cuts") > 0 && (o.links === undefined || o.links.includes(linkName(link)))) {
        next[BUDGETS + budgets.indexOf("cuts")] = left(state, "cuts") - 1;
        to(CUT + KINDS * link, next);
      }
    }
    if ((state[NOW] as number) >= ticksMax) return;
    to(TIME + KINDS * count, tick(state, -1));
    if (left(state, "stills") === 0) return;
    for (let still = 0; still < count; still++) {
      const next = tick(state, still);
      next[BUDGETS + budgets.indexOf("stills")] = left(state, "stills") - 1;
      to(TIME + KINDS * still, next);
    }
  }

  function stand(state: Night, node: number, to: (action: number, next: Night) => void): void {
    const made = react(state, TIMER, node);
    if (made === undefined) return;
    const next = after(state, node, made);
    const [before, { standing }] = [one(state, node).standing, one(next, node)];
    const stands = standing !== undefined && !(before && sameBallot(before, standing));
    if (stands) next[STANDS + node] = (next[STANDS + node] as number) - 1;
    to(TIMER + KINDS * node, next);
  }

  const holds = (state: Night, node: number) => holdsLease(one(state, node), nowMs(state, node));

  const leases = (state: Night): boolean | string =>
    oneLease(
      names,
      (node) => one(state, node),
      (node) => nowMs(state, node),
    );

  /** What was reported anywhere is held by everybody who may answer a read from its lease; and the read that was asked for saw what had been reported before. */
  function freshReads(state: Night): boolean | string {
    if (state[MARK] === STALE) return "a read was answered without what had been reported before it";
    const { entries, reported } = books.value(state[GHOST] as number);
    for (let i = 0; i < count; i++) {
      const { ready, log } = one(state, i);
      if (!ready || !holds(state, i)) continue;
      for (const [index, { entry }] of entries.slice(0, reported).entries()) {
        if (log[index] === 0 || log[index] === entry) continue;
        return `${names[i]} may answer reads, and lacks ${nodes.entries.value(entry - 1)}`;
      }
    }
    return true;
  }

  function show(action: number): string {
    const [kind, arg] = [action % KINDS, Math.floor(action / KINDS)];
    const name = names[arg] as string;
    switch (kind) {
      case DELIVER:
        return letterText(names, nodes.letters.value(arg));
      case CRASH:
        return `${name} crashes and comes back`;
      case TIMER:
        return `${name}: the timer`;
      case PROPOSE:
        return `${name} is asked for a command`;
      case RESIGN:
        return `${name} gives up leading`;
      case HANDOVER:
        return `${name} is to take over`;
      case READ:
        return `${name} is read`;
      case REOPEN:
        return `the group is closed on ${name} and opened again`;
      case CLOSE:
        return `the group is closed on ${name}`;
      case CUT:
      case HEAL: {
        const link = `${names[Math.floor(arg / count)]} -> ${names[arg % count]}`;
        return kind === CUT ? `${link} fails` : `${link} is well again`;
      }
      default:
        return arg === count ? "time passes" : `time passes, ${name} stands still`;
    }
  }

  function showState(state: Night): string {
    const parts = names.map((name, node) => {
      const found = one(state, node);
      const { leading, asleep, follows, closed, leaseUntilMs, wakeAtMs, disk } = found;
      const more = [
        `at ${nowMs(state, node)}`,
        closed ? "closed" : asleep ? "asleep" : `due at ${wakeAtMs}`,
        ...(follows === undefined ? [] : [`follows ${follows}`]),
        ...(leading === undefined ? [] : [`lease until ${leaseUntilMs}`]),
        `promised ${ballotText(disk.state.promised)}`,
      ];
      return `${name}${roleText(found)} {${more.join(", ")}}`;
    });
    return parts.join(" ");
  }

  const initial = rates.map((_, i) => {
    const head: number[] = [i, 0, books.empty, 0, 0];
    const allowed = budgets.map((budget) => (budget === "rounds" || budget === "proposals" ? 9 : 0));
    const born = names.map((_, node) => nodes.born(node));
    let state: Night = [...head, ...allowed, 9, 9, 9, ...born];
    for (const wanted of o.prelude) {
      const found: Night[] = [];
      steps(state, (action, next) => {
        if (found.length === 0 && show(action).startsWith(wanted)) found.push(next);
      });
      const [next] = found;
      if (next === undefined) throw new Error(`"${wanted}" cannot happen after ${showState(state)}`);
      state = next;
    }
    const isLate = (letter: number) => {
      const text = letterText(names, nodes.letters.value(letter));
      return o.late?.some((late) => text.startsWith(late)) ?? true;
    };
    const letters = state.slice(LETTERS).filter(isLate);
    const own = budgets.map((budget) => o[budget] ?? 0);
    return [...state.slice(0, BUDGETS), ...own, ...o.stands, ...state.slice(NODES, LETTERS), ...letters];
  });
  ticksMax = o.ticksMax + Math.max(...initial.map((state) => state[NOW] as number));

  const all = (state: Night, is: (node: NodeState) => boolean) => names.every((_, node) => is(one(state, node)));
  const sleeps = (state: Night) => all(state, ({ asleep }) => asleep);
  const deposed = (state: Night) => one(state, 0).leading === undefined;
  return {
    nodes,
    calm,
    initial,
    steps,
    encode: (state) => state,
    decode: (numbers) => numbers,
    showAction: show,
    showState,
    invariants: {
      "one value a slot, chosen for ever, promises kept": (state) => books.value(state[GHOST] as number).wrong ?? true,
      "one lease at a time": leases,
      "no stale read": freshReads,
      // Time can go on from every state; so each has a way to one of the last tick, and from there on if there is one from those.
      "somebody leads again": (state) => {
        if ((state[NOW] as number) < ticksMax) return true;
        const [a, b, c] = state.slice(NODES, LETTERS) as [number, number, number];
        return calm.comes([a, b, c], state[RATES] as number, state[NOW] as number);
      },
    },
    goals: {
      "all sleep": sleeps,
      "a lease runs while all sleep": (state) => sleeps(state) && names.some((_, node) => holds(state, node)),
      "another leads": (state) => one(state, 1).leading !== undefined || one(state, 2).leading !== undefined,
      "another holds a lease": (state) => deposed(state) && (holds(state, 1) || holds(state, 2)),
    },
  };
}
