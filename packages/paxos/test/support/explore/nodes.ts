import { Interner } from "@evenkeel/simulation";
import type {
  Ballot,
  CoreEvent,
  CoreOptions,
  Effect,
  Entry,
  Members,
  Message,
  PaxosCore,
  PersistedState,
  PersistWrite,
} from "../../../src/core/index.js";
import { type Betrayal, faithful } from "./betrayal.js";
import { Graphs } from "./graph.js";
import { opened, openedCore } from "./opened.js";

/** Later than every deadline that anything before it can have set. */
const LONG_AFTER_MS = 1_000_000;

export interface Letter {
  readonly from: number;
  readonly to: number;
  readonly message: Message;
}

interface Disk {
  /** Survives a crash. */
  readonly state: PersistedState;
  /** Asked for and not durable: a crash loses it. `token` is confirmed when it has become durable. */
  readonly pending: readonly { readonly token: number | undefined; readonly write: PersistWrite }[];
}

/** One node: its core, taken apart into integers, its disk, and what the invariants want to know of them. */
export interface NodeState {
  readonly node: number;
  readonly core: readonly number[];
  readonly disk: Disk;
  /** The ballot in which it leads, and the one in which it stands. */
  readonly leading: Ballot | undefined;
  readonly standing: Ballot | undefined;
  /** Numbers of its entries, slot 1 first; 0 for one that it holds no longer. In memory, and on disk. */
  readonly log: readonly number[];
  readonly durableLog: readonly number[];
  readonly leaseUntilMs: number;
  /** The storage replicas by its own log. */
  readonly storage: readonly string[];
  /** The ballot of the highest promise or acknowledgement that was ever said, in any life. */
  readonly spoken: Ballot;
  /** Set when what the node did is wrong by itself. */
  readonly wrong: string | undefined;
}

/** What becomes of a node by one event. */
export interface Reaction {
  readonly next: number;
  readonly sent: readonly number[];
  /** Entries reported as chosen: slot, number of the entry. */
  readonly chosen: readonly (readonly [number, number])[];
  /** Of a proposal: not taken. */
  readonly refused: boolean;
  /** The disk, or who leads, is another than before; or something is reported, or wrong. */
  readonly notable: boolean;
  /** Costs nothing of what the model allows of its kind. */
  readonly unpaid?: boolean;
}

export interface NodesOptions {
  readonly founders: readonly string[];
  /** All nodes, founders first. */
  readonly nodes: readonly string[];
  readonly logReplicas: readonly string[];
  readonly options: Partial<CoreOptions>;
  readonly timeless: boolean;
  readonly betrayal?: Betrayal;
}

export const sameBallot = (a: Ballot, b: Ballot) => a.round === b.round && a.node === b.node;
export const ballotsOrder = (a: Ballot, b: Ballot) =>
  a.round - b.round || (a.node === b.node ? 0 : a.node < b.node ? -1 : 1);
export const ballotText = (ballot: Ballot) => `${ballot.round}.${ballot.node}`;
const ZERO: Ballot = { round: 0, node: "" };

/**
 * The nodes of a group, each as a number, and what they do, worked out once for each pair of a node's state and an event by the shipped core and looked up
 * afterwards. Nodes share nothing, so that is all there is to a step of the whole.
 */
export class Nodes {
  readonly letters = new Interner<Letter>();
  /** Of each letter. */
  readonly receivers: number[] = [];
  readonly states = new Interner<NodeState>();
  readonly entries = new Interner<string>();
  /** Steps of the core that were really made. */
  worked = 0;
  readonly #core: ReturnType<typeof openedCore>;
  readonly #vessels: PaxosCore[] = [];
  readonly #graphs: Graphs;
  readonly #o: NodesOptions;
  readonly #betrayal: Betrayal;

  constructor(options: NodesOptions) {
    this.#o = options;
    this.#betrayal = options.betrayal ?? faithful;
    this.#core = openedCore(this.#betrayal.source);
    this.#graphs = new Graphs([], options.timeless);
  }

  born(node: number): number {
    const disk = { state: this.#core.EMPTY_STATE, pending: [] };
    return this.#start(node, disk, ZERO, 0);
  }

  /** The process dies, and with it what was not durable; it comes back at once. (Down for longer is the same as hearing nothing for longer.) */
  crash(from: number, nowMs: number): Reaction {
    const { node, disk, spoken } = this.states.value(from);
    const state = this.#betrayal.load(disk.state);
    const next = this.#start(node, { state, pending: [] }, spoken, this.#betrayal.bornAtMs(nowMs));
    return { next, sent: [], chosen: [], refused: false, notable: true };
  }

  deliver(from: number, letter: number, nowMs: number): Reaction {
    const { from: sender, message } = this.letters.value(letter);
    return this.#react(from, nowMs, (step) => {
      for (const [by, received] of this.#betrayal.receive(this.#o.nodes[sender] as string, message, nowMs)) {
        step({ type: "message", from: by, message: received, nowMs });
      }
    });
  }

  /** The oldest write becomes durable. */
  sync(from: number, nowMs: number): Reaction | undefined {
    const { disk } = this.states.value(from);
    const [oldest, ...pending] = disk.pending;
    if (oldest === undefined) return undefined;
    const { token } = oldest;
    return this.#react(
      from,
      nowMs,
      (step) => {
        if (token !== undefined) step({ type: "persisted", token, nowMs });
      },
      { state: folded(disk.state, oldest.write), pending },
    );
  }

  /** The timer. A follower asks around and is told by all that nobody leads: what it is told changes nobody but itself, so any answer is possible. */
  tick(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, (step) => {
      // A follower of a leader draws its wait first: then the second ring of the timer asks.
      for (const effect of [...step({ type: "tick", nowMs }), ...step({ type: "tick", nowMs })]) {
        if (effect.type !== "send" || effect.message.type !== "preVote") continue;
        const { attempt } = effect.message;
        const message = { type: "preVoteReply", attempt, granted: true, round: 0, chosenThrough: 0 } as const;
        step({ type: "message", from: effect.to, message, nowMs });
      }
    });
  }

  propose(from: number, command: number, nowMs: number): Reaction {
    const proposals = [{ id: 1, command: new Uint8Array([command]) }];
    return this.#react(from, nowMs, (step) => step({ type: "propose", proposals, nowMs }));
  }

  /** As the host does it: a leader that does not feed the coming members yet begins to; then it is asked for the change. */
  change(from: number, nowMs: number, members: Members): Reaction {
    const coming = this.#o.logReplicas.filter((node) => members.log.includes(node));
    const learners = coming.map((node) => ({ node, role: "log" as const }));
    let unpaid = false;
    const made = this.#react(from, nowMs, (step) => {
      const vessel = this.#vessels[this.states.value(from).node] as PaxosCore;
      unpaid = coming.some((node) => vessel.progressOf(node) === undefined);
      if (unpaid) step({ type: "learners", learners, nowMs });
      else step({ type: "propose", proposals: [{ id: 1, command: new Uint8Array(0), members }], nowMs });
    });
    return unpaid ? { ...made, unpaid } : made;
  }

  resign(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, (step) => step({ type: "resign", nowMs }));
  }

  #options(node: number): CoreOptions {
    const nodeId = this.#o.nodes[node] as string;
    const role = this.#o.logReplicas.includes(nodeId) ? "log" : "storage";
    const options = { nodeId, members: this.#o.founders, role, random: () => 0, ...this.#o.options } as const;
    return this.#betrayal.options(options);
  }

  #start(node: number, disk: Disk, spoken: Ballot, nowMs: number): number {
    const vessel = new this.#core.PaxosCore(this.#options(node), disk.state, nowMs);
    this.#vessels[node] = vessel;
    return this.#number(node, vessel, disk, spoken, undefined);
  }

  #react(
    from: number,
    nowMs: number,
    happen: (step: (event: CoreEvent) => readonly Effect[]) => void,
    diskBefore?: Disk,
  ): Reaction {
    this.worked++;
    const before = this.states.value(from);
    const { node } = before;
    const vessel = this.#vessels[node] as PaxosCore;
    this.#graphs.restore(vessel, before.core);
    let disk = diskBefore ?? before.disk;
    let { spoken, wrong } = before;
    const sent: number[] = [];
    const chosen: (readonly [number, number])[] = [];
    let refused = false;
    const eventMs = this.#o.timeless ? LONG_AFTER_MS : this.#betrayal.clock(nowMs);
    const step = (event: CoreEvent): readonly Effect[] => {
      let effects: readonly Effect[];
      try {
        effects = vessel.step({ ...event, nowMs: eventMs });
      } catch (error) {
        wrong ??= error instanceof Error ? error.message : String(error);
        return [];
      }
      const early: number[] = [];
      for (const effect of effects) {
        if (effect.type === "persist") {
          const parts = this.#betrayal.writes(effect.write);
          const pending = parts.map((write, i) => ({
            token: i === parts.length - 1 ? effect.token : undefined,
            write,
          }));
          disk = { ...disk, pending: [...disk.pending, ...pending] };
          if (this.#betrayal.confirmsEarly) early.push(effect.token);
        } else if (effect.type === "send") {
          if (effect.message.type === "preVote" || effect.message.type === "preVoteReply") continue;
          const to = this.#o.nodes.indexOf(effect.to);
          if (to < 0) continue;
          if (!this.#betrayal.unobserved) wrong ??= saidTooMuch(effect.message, disk.state, spoken);
          spoken = spokenWith(spoken, effect.message);
          sent.push(this.#letter(node, to, effect.message));
        } else if (effect.type === "chosen") {
          for (const entry of effect.entries) chosen.push([entry.slot, this.#entry(entry)]);
        } else if (effect.type === "rejected") refused = true;
      }
      for (const token of early) step({ type: "persisted", token, nowMs: eventMs });
      return effects;
    };
    happen(step);
    const next = this.#number(node, vessel, disk, spoken, wrong);
    const now = this.states.value(next);
    const notable =
      chosen.length > 0 || wrong !== undefined || disk.state !== before.disk.state || now.leading !== before.leading;
    return { next, sent: [...new Set(sent)], chosen, refused, notable };
  }

  #letter(from: number, to: number, message: Message): number {
    const timeless = this.#o.timeless && "sentMs" in message ? { ...message, sentMs: 0 } : message;
    const text = `${from} ${to} ${plain(timeless)}`;
    const number = this.letters.number({ from, to, message: timeless }, text);
    this.receivers[number] = to;
    return number;
  }

  #entry(entry: Entry): number {
    const text = `${entry.slot}: ${ballotText(entry.ballot)} ${entry.kind} [${entry.command}]`;
    return 1 + this.entries.number(text, text);
  }

  #number(node: number, vessel: PaxosCore, disk: Disk, spoken: Ballot, wrong: string | undefined): number {
    const core = opened(vessel);
    const { $replica: replica, $election: election, $leader: leader } = core;
    const { log } = replica;
    const shift = replica.$durable;
    if (![shift, replica.$issued, election.$token, election.$attempt].every(Number.isFinite)) {
      throw new Error("the core's fields have changed their names: see opened.ts");
    }
    // Only differences of tokens mean anything, attempts nothing at all once the answers are in, and the clock is set by the next event.
    replica.$issued -= shift;
    replica.$durable = 0;
    for (const pending of replica.$pending) pending.token -= shift;
    for (const held of replica.$held) held.token -= shift;
    if (election.$token !== 0) election.$token -= shift;
    election.$attempt = 0;
    replica.nowMs = 0;
    replica.effects = [];
    // A cache of the last message made.
    if (leader !== undefined) leader.$feed.$lastAccept = undefined;
    const pending = disk.pending.map(({ token, write }) => ({
      token: token === undefined ? undefined : token - shift,
      write,
    }));
    const moved = { state: disk.state, pending };
    const numbers = this.#graphs.save(vessel);
    const text = `${node}|${numbers}|${plain(moved)}|${ballotText(spoken)}|${wrong ?? ""}`;
    const inMemory: number[] = [];
    for (let slot = 1; slot <= log.end; slot++)
      inMemory.push(slot < log.firstSlot ? 0 : this.#entry(log.at(slot) as Entry));
    const durable: number[] = [];
    for (const entry of disk.state.entries) durable[entry.slot - 1] = this.#entry(entry);
    const state: NodeState = {
      node,
      core: numbers,
      disk: moved,
      leading: leader?.ballot,
      standing: election.$ballot as Ballot | undefined,
      log: inMemory,
      durableLog: Array.from(durable, (entry) => entry ?? 0),
      leaseUntilMs: this.#o.timeless ? Number.NEGATIVE_INFINITY : (leader?.leaseUntilMs ?? Number.NEGATIVE_INFINITY),
      storage: vessel.configuration.storage,
      spoken,
      wrong,
    };
    return this.states.number(state, text);
  }
}

/** I3 and I4: what is said of the disk is on it, and no promise is broken by saying it. */
function saidTooMuch(message: Message, disk: PersistedState, spoken: Ballot): string | undefined {
  if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return undefined;
  const { ballot } = message;
  if (ballotsOrder(disk.promised, ballot) < 0) {
    return `${message.type} in ${ballotText(ballot)} is said, durable is ${ballotText(disk.promised)}`;
  }
  if (ballotsOrder(ballot, spoken) < 0) {
    return `${message.type} in ${ballotText(ballot)} is said after ${ballotText(spoken)}: a promise was broken`;
  }
  if (message.type !== "ack" || message.acceptedThrough === 0) return undefined;
  if (ballotsOrder(disk.accepted, ballot) < 0) return `${ballotText(ballot)} is acknowledged and not durable`;
  const end = disk.entries.at(-1)?.slot ?? disk.trimmedThrough;
  return end < message.acceptedThrough
    ? `slot ${message.acceptedThrough} is acknowledged, durable is ${end}`
    : undefined;
}

function spokenWith(spoken: Ballot, message: Message): Ballot {
  if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return spoken;
  return ballotsOrder(message.ballot, spoken) > 0 ? message.ballot : spoken;
}

/** The disk after one atomic write. */
function folded(disk: PersistedState, write: PersistWrite): PersistedState {
  let { promised, accepted, chosenThrough, trimmedThrough, entries } = disk;
  let { base, configuration } = disk;
  promised = write.promised ?? promised;
  accepted = write.accepted ?? accepted;
  if (write.reset !== undefined) {
    base = write.reset;
    configuration = write.reset.configuration;
    trimmedThrough = write.reset.slot;
    chosenThrough = Math.max(chosenThrough, trimmedThrough);
    entries = [];
  }
  const { truncateFrom } = write;
  if (truncateFrom !== undefined) entries = entries.filter(({ slot }) => slot < truncateFrom);
  if (write.entries !== undefined) entries = [...entries, ...write.entries];
  const end = entries.at(-1)?.slot ?? trimmedThrough;
  const first = entries[0]?.slot ?? end + 1;
  if (first > trimmedThrough + 1 || end !== first + entries.length - 1) throw new Error("a write leaves a hole");
  chosenThrough = Math.max(chosenThrough, write.chosenThrough ?? 0);
  return {
    promised,
    accepted,
    trimmedThrough,
    chosenThrough,
    entries,
    ...(configuration === undefined ? {} : { configuration }),
    ...(base === undefined ? {} : { base }),
  };
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, held) => (held instanceof Uint8Array ? Array.from(held) : held));
}
