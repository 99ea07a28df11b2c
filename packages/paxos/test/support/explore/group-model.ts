import type { ExploreModel } from "@evenkeel/simulation";
import { type CoreOptions, decodeConfiguration, type Entry, type Members } from "../../../src/core/index.js";
import { type Betrayal, faithful } from "./betrayal.js";
import { Books } from "./books.js";
import { clientsWrong, isCommand } from "./client-book.js";
import { ballotsOrder, ballotText, type Disk, sameBallot } from "./disks.js";
import {
  actionText,
  CHANGE,
  CRASH,
  DELIVER,
  INSTALL,
  KINDS,
  LOSE,
  PROPOSE,
  READ,
  RESIGN,
  SYNC,
  TEAR,
  TICK,
  TIME,
  TRIM,
} from "./group-steps.js";
import { oneLease } from "./leases.js";
import { canNeverMatter, insert } from "./letters.js";
import { type Reaction, roleText } from "./node-state.js";
import { Nodes } from "./nodes.js";
import { PairTable } from "./pair-table.js";

export interface GroupModelOptions {
  readonly founders?: readonly string[];
  readonly logReplicas?: readonly string[];
  /** Storage replicas that begin when no founder can tell whether they begin: logs are known by their marks. */
  readonly newcomers?: readonly string[];
  /** How often one of them may lose its disk, in all. */
  readonly losses?: number;
  /** Whose log may come back once without its newest promise. */
  readonly tears?: string;
  /** How often each node may stand. */
  readonly stands: readonly number[];
  /** Most proposals, crashes, rounds of heartbeats beyond those of an election, resignations, in all. */
  readonly proposals?: number;
  readonly crashes?: number;
  readonly beats?: number;
  readonly resigns?: number;
  /** Proposals are a client's: the first one registers it, each other one asks for the same command, again. */
  readonly client?: boolean;
  /** Most reads, one at a time. Each asks a quorum. */
  readonly reads?: number;
  /** How often replicas let go of their logs. Then states are handed over to who lacks what is gone. */
  readonly trims?: number;
  /** Who asks around before it stands is told where the logs of others begin. */
  readonly asks?: boolean;
  /** Changes of members that a leader may be asked for, in this order. */
  readonly changes?: readonly Members[];
  /** Refusals arrive. False: they are lost, as any message may be; then what a deposed ballot has said can be forgotten early. */
  readonly nacks?: boolean;
  /** Most nodes that have writes under way at once; what a further one writes is durable at once. Default: all. */
  readonly lagging?: number;
  /** Clocks: each node's rate, in units of time a tick, and how many ticks there are. Without it time means nothing: see ARCHITECTURE.md. */
  readonly clocks?: { readonly rates: readonly (readonly number[])[]; readonly ticksMax: number };
  readonly options?: Partial<CoreOptions>;
  readonly betrayal?: Betrayal;
  /** What happens first, so that the search begins where it is interesting. Each must be possible. */
  readonly prelude?: readonly string[];
}

type State = readonly number[];

/** More than there are ticks. */
const CLOCKS = 64;
/** In a prelude: all that is written becomes durable. */
export const SETTLE = "all becomes durable";
/** A read has been answered without what had been reported before it was asked for. */
const STALE = 1000;
const WRITTEN = (text: string) => text.endsWith(": a write becomes durable");

/**
 * The group as a model for `explore`: the shipped cores, their disks and what they have said to one another. A state is: clock rates, time, what is left of each budget,
 * what is chosen, a number for each node, and the letters that may yet arrive, sorted.
 *
 * Letters are never used up: whatever was sent may arrive, again and in any order, or never. So there is no step that loses or doubles one.
 */
export function groupModel(o: GroupModelOptions): ExploreModel<State, number> & { readonly nodes: Nodes } {
  const founders = o.founders ?? ["a", "b", "c"];
  const logReplicas = o.logReplicas ?? [];
  const newcomers = o.newcomers ?? [];
  const names = [...founders, ...logReplicas, ...newcomers];
  const count = names.length;
  const timeless = o.clocks === undefined;
  const rates = o.clocks?.rates ?? [names.map(() => 0)];
  const nodes = new Nodes({
    founders,
    nodes: names,
    logReplicas,
    ...(o.newcomers === undefined ? {} : { newcomers }),
    timeless,
    options: o.options ?? {},
    states: o.trims !== undefined,
    asks: o.asks === true,
    tears: o.tears,
    ...(o.betrayal === undefined ? {} : { betrayal: o.betrayal }),
  });
  const lagging = o.lagging ?? count;
  const nacks = o.nacks ?? false;
  const changes = o.changes ?? [];
  const reads = o.reads ?? 0;
  const judge = (entries: readonly Entry[]) => clientsWrong(entries, o.betrayal ?? faithful);
  const books = new Books(nodes, names, changes.length === 0, reads > 0, o.client ? judge : undefined);

  const RATES = 0;
  const NOW = 1;
  const CRASHES = 2;
  const PROPOSALS = 3;
  const BEATS = 4;
  const RESIGNS = 5;
  const CHANGES = 6;
  const GHOST = 7;
  /** With reads only: how many are left, and how much was reported when the last one was asked for, and one more; 0 while there is none. */
  const READS = 8;
  const MARK = 9;
  const TRIMS = reads > 0 ? 10 : 8;
  const LOSSES = o.trims === undefined ? TRIMS : TRIMS + 1;
  const TEARS = o.losses === undefined ? LOSSES : LOSSES + 1;
  const STANDS = o.tears === undefined ? TEARS : TEARS + 1;
  const NODES = STANDS + count;
  const LETTERS = NODES + count;

  const nowOf = (state: State, node: number) =>
    timeless ? 0 : ((rates[state[RATES] as number] as readonly number[])[node] as number) * (state[NOW] as number);

  const reactions: Reaction[] = [];
  const memo = new PairTable();
  /** What `node` does; nothing where that changes nothing and says nothing. */
  function reaction(state: State, kind: number, node: number, arg: number): Reaction | undefined {
    const from = state[NODES + node] as number;
    const clock = timeless ? 0 : (state[RATES] as number) * CLOCKS + (state[NOW] as number);
    const what = (arg * (timeless ? 1 : CLOCKS * rates.length) + clock) * KINDS + kind;
    const known = memo.get(from, what);
    if (known >= 0) return reactions[known - 1];
    const nowMs = nowOf(state, node);
    const first = work(kind, from, arg, nowMs);
    const reacted = first === undefined || lagging > 0 ? first : promptly(first, nowMs);
    const changes =
      reacted !== undefined &&
      (reacted.next !== from || reacted.sent.length > 0 || reacted.notable || reacted.readable !== undefined);
    const idle = !changes;
    memo.set(from, what, idle ? 0 : reactions.push(reacted));
    return idle ? undefined : reacted;
  }

  /** With disks that are never behind, an event and the writes that it leads to are one step of the node. */
  function promptly(first: Reaction, nowMs: number): Reaction {
    let made = first;
    for (let more = nodes.sync(made.next, nowMs); more !== undefined; more = nodes.sync(made.next, nowMs)) {
      const sent = [...new Set([...made.sent, ...more.sent])];
      const readable = made.readable ?? more.readable;
      made = { ...made, next: more.next, sent, readable, chosen: [...made.chosen, ...more.chosen], notable: true };
    }
    return made;
  }

  function work(kind: number, from: number, arg: number, nowMs: number): Reaction | undefined {
    switch (kind) {
      case DELIVER:
        return nodes.deliver(from, arg, nowMs);
      case SYNC:
        return nodes.sync(from, nowMs);
      case CRASH:
        return nodes.crash(from, nowMs);
      case TICK:
        return nodes.tick(from, nowMs);
      case PROPOSE:
        return o.client ? nodes.request(from, arg === o.proposals, nowMs) : nodes.propose(from, arg, nowMs);
      case READ:
        return nodes.read(from, nowMs);
      case TRIM:
        return nodes.trim(from, nowMs);
      case INSTALL:
        return nodes.install(from, nowMs);
      case RESIGN:
        return nodes.resign(from, nowMs);
      case LOSE:
        return nodes.lose(from, nowMs);
      case TEAR:
        return nodes.tear(from, nowMs);
      default:
        return nodes.change(from, nowMs, changes[arg] as Members);
    }
  }

  const spentMemo = new PairTable();
  function isSpent(letter: number, receiver: number): boolean {
    let spent = spentMemo.get(receiver, letter);
    if (spent < 0) {
      spent = canNeverMatter(nodes.letters.value(letter).message, nodes.states.value(receiver), nacks) ? 1 : 0;
      spentMemo.set(receiver, letter, spent);
    }
    return spent === 1;
  }

  /** The state after `node` has become `made.next`: letters that can no longer matter go, new ones come, what is chosen is looked at. */
  function after(state: State, node: number, made: Reaction): number[] {
    const next = state.slice();
    next[NODES + node] = made.next;
    if (state[NODES + node] !== made.next) {
      let kept = LETTERS;
      for (let i = LETTERS; i < next.length; i++) {
        const letter = next[i] as number;
        if (nodes.receivers[letter] === node && isSpent(letter, made.next)) continue;
        next[kept++] = letter;
      }
      if (kept < next.length) next.length = kept;
    }
    for (const letter of made.sent) {
      const to = nodes.receivers[letter] as number;
      if (!isSpent(letter, next[NODES + to] as number)) insert(next, letter, LETTERS);
    }
    if (made.notable) next[GHOST] = books.after(next[GHOST] as number, next, NODES, node, made);
    if (reads > 0 && made.readable !== undefined && (next[MARK] as number) > 0)
      next[MARK] = made.readable < (next[MARK] as number) - 1 ? STALE : 0;
    return next;
  }

  function lags(state: State): number {
    let lag = 0;
    for (let i = 0; i < count; i++) if (isLagging(state[NODES + i] as number)) lag++;
    return lag;
  }

  function isLagging(node: number): boolean {
    return nodes.states.value(node).disk.pending.length > 0;
  }

  /** With a bound of how many disks may lag, the one too many writes at once. */
  function settled(before: State, node: number, made: Reaction): number[] {
    let next = after(before, node, made);
    if (lagging >= count || lagging === 0) return next;
    while (lags(next) > lagging && isLagging(next[NODES + node] as number)) {
      const more = reaction(next, SYNC, node, 0);
      if (more === undefined) break;
      next = after(next, node, more);
    }
    return next;
  }

  function steps(state: State, to: (action: number, next: State) => void): void {
    if (books.value(state[GHOST] as number).wrong !== undefined) return;
    for (let i = LETTERS; i < state.length; i++) {
      const letter = state[i] as number;
      const node = nodes.receivers[letter] as number;
      const made = reaction(state, DELIVER, node, letter);
      if (made !== undefined) to(DELIVER + KINDS * letter, settled(state, node, made));
    }
    for (let node = 0; node < count; node++) {
      const one = nodes.states.value(state[NODES + node] as number);
      if (one.disk.pending.length > 0) attempt(state, SYNC, node, 0, undefined, to);
      if ((state[CRASHES] as number) > 0 && one.spoken.round > 0) attempt(state, CRASH, node, 0, CRASHES, to);
      if (o.losses !== undefined && (state[LOSSES] as number) > 0 && newcomers.includes(names[node] as string))
        attempt(state, LOSE, node, 0, LOSSES, to);
      if (o.tears === names[node] && (state[TEARS] as number) > 0) attempt(state, TEAR, node, 0, TEARS, to);
      if (one.install !== undefined) attempt(state, INSTALL, node, 0, undefined, to);
      if (o.trims !== undefined && (state[TRIMS] as number) > 0) attempt(state, TRIM, node, 0, TRIMS, to);
      if (one.leading !== undefined) {
        const proposals = state[PROPOSALS] as number;
        if (proposals > 0) attempt(state, PROPOSE, node, proposals, PROPOSALS, to);
        if ((state[BEATS] as number) > 0) attempt(state, TICK, node, 0, BEATS, to);
        if (reads > 0 && (state[READS] as number) > 0 && state[MARK] === 0) {
          const marked = state.slice();
          marked[MARK] = 1 + books.value(state[GHOST] as number).reported;
          attempt(marked, READ, node, 0, READS, to);
        }
        if ((state[RESIGNS] as number) > 0) attempt(state, RESIGN, node, 0, RESIGNS, to);
        const left = state[CHANGES] as number;
        if (left > 0) attempt(state, CHANGE, node, changes.length - left, CHANGES, to);
      } else if ((state[STANDS + node] as number) > 0 || one.doubt?.open === true) {
        const made = reaction(state, TICK, node, 0);
        if (made === undefined) continue;
        const next = settled(state, node, made);
        const { standing } = nodes.states.value(made.next);
        const stands = standing !== undefined && !(one.standing && sameBallot(one.standing, standing));
        if (stands) next[STANDS + node] = (next[STANDS + node] as number) - 1;
        to(TICK + KINDS * node, next);
      }
    }
    if (o.clocks !== undefined && (state[NOW] as number) < o.clocks.ticksMax) {
      const next = state.slice();
      next[NOW] = (next[NOW] as number) + 1;
      to(TIME, next);
    }
  }

  function attempt(
    state: State,
    kind: number,
    node: number,
    arg: number,
    budget: number | undefined,
    to: (action: number, next: State) => void,
  ): void {
    const made = reaction(state, kind, node, arg);
    if (made === undefined || made.refused) return;
    const next = settled(state, node, made);
    if (budget !== undefined && made.unpaid !== true) next[budget] = (next[budget] as number) - 1;
    to(kind + KINDS * node, next);
  }

  function leadersLack(state: State): boolean | string {
    const { entries } = books.value(state[GHOST] as number);
    if (entries.length === 0) return true;
    for (let i = 0; i < count; i++) {
      const { leading, log } = nodes.states.value(state[NODES + i] as number);
      if (leading === undefined) continue;
      for (const [index, { entry, ballot }] of entries.entries()) {
        if (ballotsOrder(leading, ballot) <= 0 || log[index] === 0 || log[index] === entry) continue;
        return `${names[i]} leads in ${ballotText(leading)} without ${nodes.entries.value(entry - 1)}`;
      }
    }
    return true;
  }

  const leases = (state: State): boolean | string =>
    oneLease(
      names,
      (node) => nodes.states.value(state[NODES + node] as number),
      (node) => nowOf(state, node),
    );

  const show = (action: number): string => actionText(action, names, nodes);

  function showState(state: State): string {
    const ghost = books.value(state[GHOST] as number);
    const parts = names.map((name, i) => {
      const node = nodes.states.value(state[NODES + i] as number);
      const { disk, log } = node;
      const { promised, accepted, entries } = disk.state;
      const held = entries.map((entry) => ballotText(entry.ballot)).join(" ");
      const more = disk.pending.length > 0 ? `, ${disk.pending.length} not durable, log end ${log.length}` : "";
      return `${name}${roleText(node)} {promised ${ballotText(promised)}, accepted ${ballotText(accepted)}, log [${held}]${more}}`;
    });
    const chosen = ghost.entries.map(({ entry }) => nodes.entries.value(entry - 1)).join("; ");
    return `${parts.join(" ")}${chosen === "" ? "" : ` chosen: ${chosen}`}`;
  }

  const initial = rates.map((_, i) => {
    const head = [i, 0, o.crashes ?? 0, o.proposals ?? 0, o.beats ?? 0, o.resigns ?? 0, changes.length, books.empty];
    if (reads > 0) head.push(reads, 0);
    if (o.trims !== undefined) head.push(o.trims);
    if (o.losses !== undefined) head.push(o.losses);
    if (o.tears !== undefined) head.push(1);
    return [...head, ...names.map((_, node) => o.stands[node] ?? 0), ...names.map((_, node) => nodes.born(node))];
  });

  const leadersIn = (state: State) =>
    names.filter((_, i) => nodes.states.value(state[NODES + i] as number).leading !== undefined).length;
  const chosenIn = (state: State) => books.value(state[GHOST] as number).entries;
  const requestsIn = (state: State) =>
    chosenIn(state).filter(({ entry }) => isCommand(nodes.entryOf[entry - 1] as Entry));
  /** By all logs. */
  const marksOf = (state: State, name: string) =>
    new Set(
      names.flatMap((_, i) => {
        const { disk } = nodes.states.value(state[NODES + i] as number);
        const entries = disk.state.entries.filter(({ kind }) => kind === "config");
        const newest = entries.at(-1);
        const marks = newest === undefined ? undefined : decodeConfiguration(newest.command, newest.slot).marks;
        return marks?.find(([node]) => node === name)?.[1] ?? [];
      }),
    );
  const inStates = (state: State, holds: (disk: Disk) => boolean) =>
    names.some((_, i) => holds(nodes.states.value(state[NODES + i] as number).disk));
  const clocked = o.clocks !== undefined;
  return {
    nodes,
    initial: o.prelude === undefined ? initial : initial.map((state) => played(state, o.prelude as readonly string[])),
    steps,
    encode: (state) => state,
    decode: (numbers) => numbers,
    showAction: show,
    showState,
    invariants: {
      "one value a slot, chosen for ever, promises kept": (state) => books.value(state[GHOST] as number).wrong ?? true,
      "a leader holds what is chosen": leadersLack,
      ...(clocked ? { "one lease at a time": leases } : {}),
      ...(reads > 0 ? { "no stale read": (state: State) => state[MARK] !== STALE } : {}),
    },
    goals: {
      "two lead at once": (state) => leadersIn(state) > 1,
      "chosen in two ballots": (state) => new Set(chosenIn(state).map(({ ballot }) => ballotText(ballot))).size > 1,
      ...(o.proposals && !o.client
        ? {
            "a command is chosen": (state) =>
              chosenIn(state).some(({ entry }) => nodes.entries.value(entry - 1).includes("command")),
          }
        : {}),
      ...(o.client
        ? {
            "a request is chosen in two reigns": (state: State) =>
              new Set(requestsIn(state).map(({ ballot }) => ballotText(ballot))).size > 1,
          }
        : {}),
      ...(reads > 0
        ? { "a read is answered": (state: State) => state[MARK] === 0 && (state[READS] as number) < reads }
        : {}),
      ...(changes.length > 0
        ? {
            "the members have changed, as often as asked": (state: State) =>
              chosenIn(state).filter(({ entry }) => nodes.entries.value(entry - 1).includes("config")).length ===
              changes.length,
          }
        : {}),
      ...(o.losses === undefined
        ? {}
        : {
            "a newcomer leads": (state: State) =>
              newcomers.some((name) => nodes.states.value(state[NODES + names.indexOf(name)] as number).leading),
            "two lives of one name are members in two logs": (state: State) =>
              newcomers.some((name) => marksOf(state, name).size > 1),
          }),
      ...(o.trims === undefined
        ? {}
        : {
            "a state is taken over": (state: State) =>
              inStates(state, ({ note, state: log }) => log.base?.slot === note?.slot && note !== undefined),
            ...(o.crashes
              ? {
                  "a start finds the state machine ahead of its log": (state: State) =>
                    inStates(state, (disk) => disk.interrupted === true),
                }
              : {}),
          }),
      ...(o.tears === undefined
        ? {}
        : {
            // The last of them had promised itself more.
            "one in doubt is in none any more without a word of who has left": (state: State) => {
              const { doubt, disk } = nodes.states.value(state[NODES + names.indexOf(o.tears ?? "")] as number);
              return state[TEARS] === 0 && doubt === undefined && disk.state.promised.node !== names.at(-1);
            },
          }),
      ...(o.asks === true
        ? {
            "one that holds it is told that it is chosen": (state: State) =>
              state.slice(LETTERS).some((letter) => {
                const { to, message } = nodes.letters.value(letter);
                if (message.type !== "promised" || message.ballot.round > 0) return false;
                const held = nodes.states.value(state[NODES + to] as number).log[message.chosenThrough - 1] ?? 0;
                const entry = nodes.entryOf[held - 1];
                return entry !== undefined && sameBallot(entry.ballot, message.chosenBallot);
              }),
          }
        : {}),
      ...(clocked
        ? {
            "a lease runs": (state: State) =>
              names.some((_, i) => nodes.states.value(state[NODES + i] as number).leaseUntilMs > nowOf(state, i)),
          }
        : {}),
    },
  };

  function played(from: State, prelude: readonly string[]): State {
    let state = from;
    for (const wanted of prelude) {
      if (wanted === SETTLE) {
        for (let next = taken(state, WRITTEN); next !== undefined; next = taken(state, WRITTEN)) state = next;
        continue;
      }
      const next = taken(state, (text) => text.startsWith(wanted));
      if (next === undefined) throw new Error(`"${wanted}" cannot happen after ${showState(state)}`);
      state = next;
    }
    return state;
  }

  function taken(state: State, fits: (text: string) => boolean): State | undefined {
    let found: State | undefined;
    steps(state, (action, next) => {
      if (found === undefined && fits(show(action))) found = next;
    });
    return found;
  }
}
