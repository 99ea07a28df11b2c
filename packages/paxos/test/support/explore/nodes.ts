import { Interner } from "@evenkeel/simulation";
import {
  type Ballot,
  type Bonds,
  type CoreEvent,
  type CoreOptions,
  type Effect,
  type Entry,
  encodeRequest,
  type Members,
  type Message,
  type PaxosCore,
  type PersistedState,
  type PersistWrite,
} from "../../../src/core/index.js";
import { type Betrayal, faithful } from "./betrayal.js";
import { type Beat, carryOutBonds, runOf } from "./bonded.js";
import { ballotText, type Disk, folded, plain, saidTooMuch, spokenWith } from "./disks.js";
import { Graphs } from "./graph.js";
import { type BirthLetter, type Host, knocked, markAt, newborn } from "./newborn.js";
import type { Letter, NodeState, Reaction } from "./node-state.js";
import { opened, openedCore } from "./opened.js";
import { type Install, restarted, type SnapshotLetter, trimmedLog } from "./states.js";

/** Who registers right behind the first leader's first entry. */
const firstClient = 2;
/** Later than every deadline that anything before it can have set. */
const LONG_AFTER_MS = 1_000_000;

export interface NodesOptions {
  readonly founders: readonly string[];
  /** All nodes, founders first. */
  readonly nodes: readonly string[];
  readonly logReplicas: readonly string[];
  /** Storage replicas that begin when nobody is left who could tell whether they begin. Then all logs are known by their marks. */
  readonly newcomers?: readonly string[];
  readonly options: Partial<CoreOptions>;
  readonly timeless: boolean;
  /** The nodes keep bonds, on which the group may sleep. */
  readonly bonds?: boolean;
  /** States are handed over, and logs let go of. */
  readonly states?: boolean;
  /** Who asks around is heard, and may be told where another's log begins. */
  readonly asks?: boolean;
  /** Whose log may come back without its newest promise. */
  readonly tears?: string | undefined;
  readonly betrayal?: Betrayal;
}

interface Doing {
  /** One event, and what the core wants done. */
  step(event: CoreEvent): readonly Effect[];
  readonly vessel: PaxosCore;
  /** What changes beside the core, before it is told. */
  become(next: { readonly disk?: Disk; readonly install?: Install | undefined }): void;
  /** Another host speaks of births. */
  told(from: string, message: BirthLetter): void;
  /** What the bonds want done. */
  carryOut(effects: ReturnType<Bonds["tick"]>): void;
}

/** What a node is beside its core. */
interface Beside {
  readonly install?: Install | undefined;
  readonly disk: Disk;
  readonly spoken: Ballot;
  readonly wrong: string | undefined;
  readonly closed: boolean;
  readonly host?: Host | undefined;
}

const ZERO: Ballot = { round: 0, node: "" };

/**
 * The nodes of a group, each as a number, and what they do, worked out once for each pair of a node's state and an event by the shipped core and looked up
 * afterwards. Nodes share nothing, so that is all there is to a step of the whole.
 */
export class Nodes {
  readonly letters = new Interner<Letter>();
  /** Of each letter. */
  readonly receivers: number[] = [];
  /** Of each that is a beat, the run of beats that it belongs to: one link, one life, one bond echoed. */
  readonly runs: (string | undefined)[] = [];
  readonly states = new Interner<NodeState>();
  readonly entries = new Interner<string>();
  /** By the number of an entry, less 1. */
  readonly entryOf: Entry[] = [];
  /** Steps of the core that were really made. */
  worked = 0;
  readonly #core: ReturnType<typeof openedCore>;
  readonly #vessels: PaxosCore[] = [];
  readonly #graphs: Graphs;
  readonly #disks = new Interner<string>();
  readonly #diskTexts = new WeakMap<PersistedState, string>();
  readonly #o: NodesOptions;
  readonly #betrayal: Betrayal;

  constructor(options: NodesOptions) {
    this.#o = options;
    this.#betrayal = options.betrayal ?? faithful;
    this.#core = openedCore(this.#betrayal.source);
    this.#graphs = new Graphs([], options.timeless);
  }

  born(node: number): number {
    const disk = { state: this.#core.EMPTY_STATE, pending: [], ...(this.#o.states ? { machine: 0 } : {}) };
    return this.#start(node, disk, ZERO, 0, 100 * node + 1, undefined, this.#newborn(node, 1));
  }

  #newborn(node: number, life: number): Host | undefined {
    return this.#o.newcomers === undefined ? undefined : newborn(this.#o.nodes[node] as string, life);
  }

  /** Its disk is replaced by an empty one, and it comes back under its name. */
  lose(from: number, nowMs: number): Reaction {
    const { node, life } = this.states.value(from);
    const disk = { state: this.#core.EMPTY_STATE, pending: [] };
    const next = this.#start(node, disk, ZERO, nowMs, life + 1, undefined, this.#newborn(node, 2));
    return { next, sent: [], chosen: [], readable: undefined, refused: false, notable: true };
  }

  /** The process dies, and with it what was not durable; it comes back at once. (Down for longer is the same as hearing nothing for longer.) */
  crash(from: number, nowMs: number): Reaction {
    const { node, disk, spoken, life, host } = this.states.value(from);
    const found = { ...disk, state: this.#betrayal.load(disk.state) };
    const again = restarted(found, this.#betrayal.keepsLog === true);
    const born = this.#betrayal.bornAtMs(nowMs);
    const next = this.#start(
      node,
      again.disk,
      spoken,
      born,
      this.#betrayal.sameLife ? life : life + 1,
      again.wrong,
      host,
    );
    return { next, sent: [], chosen: [], readable: undefined, refused: false, notable: true };
  }

  deliver(from: number, letter: number, nowMs: number): Reaction {
    const { from: sender, message } = this.letters.value(letter);
    const name = this.#o.nodes[sender] as string;
    if (message.type === "snapshot") return this.#offered(from, nowMs, message);
    return this.#react(from, nowMs, ({ step, vessel, carryOut, told }) => {
      if (message.type === "knock" || message.type === "known") {
        told(name, message);
        return;
      }
      if (message.type === "beat") {
        carryOut((opened(vessel).$replica.bonds as Bonds).receive(name, message, nowMs));
        return;
      }
      for (const [by, received] of this.#betrayal.receive(name, message, nowMs)) {
        step({ type: "message", from: by, message: received, nowMs });
      }
    });
  }

  /** The oldest write becomes durable. */
  sync(from: number, nowMs: number): Reaction | undefined {
    const { disk, node } = this.states.value(from);
    const [oldest, ...pending] = disk.pending;
    if (oldest === undefined) return undefined;
    const { token } = oldest;
    return this.#react(
      from,
      nowMs,
      ({ step }) => {
        if (token !== undefined) step({ type: "persisted", token, nowMs });
      },
      { ...disk, state: folded(disk.state, oldest.write), pending, ...this.#beside(node, disk, oldest.write) },
    );
  }

  #beside(node: number, { state }: Disk, { promised, ...more }: PersistWrite): Pick<Disk, "before"> {
    if (this.#o.tears !== this.#o.nodes[node]) return {};
    return { before: promised !== undefined && Object.keys(more).length === 0 ? state : undefined };
  }

  /** Its log comes back without its newest promise. */
  tear(from: number, nowMs: number): Reaction | undefined {
    const { node, life, disk } = this.states.value(from);
    const { before: state } = disk;
    if (state === undefined) return undefined;
    const next = this.#start(node, { state, pending: [] }, state.promised, nowMs, life + 1, undefined, undefined, true);
    return { next, sent: [], chosen: [], readable: undefined, refused: false, notable: true };
  }

  /** The timer. A follower asks around and is told by all that nobody leads: what it is told changes nobody but itself, so any answer is possible. */
  tick(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, ({ step }) => {
      // A follower of a leader draws its wait first: then the second ring of the timer asks.
      for (const effect of [...step({ type: "tick", nowMs }), ...step({ type: "tick", nowMs })]) {
        if (effect.type !== "send" || effect.message.type !== "preVote") continue;
        const { attempt } = effect.message;
        const message = { type: "preVoteReply", attempt, granted: true, round: 0, chosenThrough: 0 } as const;
        step({ type: "message", from: effect.to, message, nowMs });
      }
    });
  }

  /** Noted in the log, or dropped: another one is being taken over, or what it brings is there. */
  #offered(from: number, nowMs: number, { position }: SnapshotLetter): Reaction {
    const { install, disk } = this.states.value(from);
    return this.#react(from, nowMs, ({ step, vessel, become }) => {
      if (install !== undefined || position.slot <= vessel.chosenThrough || disk.pending.length > 0) return;
      become({ disk: { ...disk, note: position }, install: { position, switched: false } });
      if (this.#betrayal.switchesLate) step({ type: "installed", position, nowMs });
    });
  }

  /** The state machine's disk is the new one, or, if it is, the log begins anew. */
  install(from: number, nowMs: number): Reaction | undefined {
    const { install, disk } = this.states.value(from);
    if (install === undefined) return undefined;
    const { position, switched } = install;
    return this.#react(from, nowMs, ({ step, vessel, become }) => {
      const late = this.#betrayal.switchesLate === true;
      if (switched || (!late && position.slot <= vessel.chosenThrough)) become({ install: undefined });
      if (switched && !late) step({ type: "installed", position, nowMs });
      else if (!switched && (late || position.slot > vessel.chosenThrough))
        become({ disk: { ...disk, machine: position.slot }, install: { position, switched: true } });
    });
  }

  /** What is applied is brought to the state machine's disk, then the log through there goes. */
  trim(from: number, nowMs: number): Reaction | undefined {
    const { disk, install } = this.states.value(from);
    if (install !== undefined || disk.pending.length > 0) return undefined;
    return this.#react(from, nowMs, ({ step, vessel, become }) => {
      const base = vessel.positionFrom(vessel.chosenThrough);
      if (base === undefined || base.slot !== vessel.chosenThrough || base.slot <= disk.state.trimmedThrough) return;
      if ((disk.state.entries.at(-1)?.slot ?? 0) < base.slot) return;
      become({ disk: { ...disk, machine: base.slot, state: trimmedLog(disk.state, base) } });
      step({ type: "trimmed", throughSlot: base.slot, base, nowMs });
    });
  }

  propose(from: number, command: number, nowMs: number): Reaction {
    const proposals = [{ id: 1, command: new Uint8Array([command]) }];
    return this.#react(from, nowMs, ({ step }) => void step({ type: "propose", proposals, nowMs }));
  }

  /** A client asks: to be remembered, or again and again for one command, under the same number. */
  request(from: number, registers: boolean, nowMs: number): Reaction {
    const asked = { op: "command", client: firstClient, sequence: 1, command: Uint8Array.of(7) } as const;
    const command = encodeRequest(registers ? { op: "register", clientsMax: 2 } : asked);
    const proposals = [{ id: 1, command, once: true }];
    return this.#react(from, nowMs, ({ step }) => void step({ type: "propose", proposals, nowMs }));
  }

  read(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, ({ step }) => void step({ type: "read", id: 1, nowMs }));
  }

  handOver(from: number, heir: number, nowMs: number): Reaction {
    const to = this.#o.nodes[heir] as string;
    return this.#react(from, nowMs, ({ step }) => void step({ type: "handOver", to, nowMs }));
  }

  /** The timer of the node: beats. */
  beat(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, ({ vessel, carryOut }) => {
      carryOut((opened(vessel).$replica.bonds as Bonds).tick(nowMs));
    });
  }

  /** The group is closed on this node, whose process lives on; nobody hears it resign. */
  close(from: number, nowMs: number): Reaction {
    const made = this.#react(from, nowMs, ({ step }) => void step({ type: "resign", nowMs }));
    const { node, core, ...beside } = this.states.value(made.next);
    const vessel = this.#vessels[node] as PaxosCore;
    this.#graphs.restore(vessel, core);
    return { ...made, next: this.#number(node, vessel, { ...beside, closed: true }), sent: [] };
  }

  /** The group is closed on this node and opened again, in the same life of its process. */
  reopen(from: number, nowMs: number): Reaction {
    const { node, core, ...beside } = this.states.value(this.close(from, nowMs).next);
    this.#graphs.restore(this.#vessels[node] as PaxosCore, core);
    const { bonds } = opened(this.#vessels[node] as PaxosCore).$replica;
    const disk = { state: beside.disk.state, pending: [] };
    const sent: number[] = [];
    if (this.#betrayal.keepsBonds !== true) {
      for (const name of this.#o.nodes) bonds?.breakWith(name);
    }
    const vessel = new this.#core.PaxosCore(this.#options(node), disk.state, nowMs, bonds);
    this.#vessels[node] = vessel;
    const next = this.#number(node, vessel, { ...beside, disk, closed: false });
    return { next, sent, chosen: [], readable: undefined, refused: false, notable: true };
  }

  /** As the host does it: a leader that does not feed the coming members yet begins to; then it is asked for the change. */
  change(from: number, nowMs: number, members: Members): Reaction {
    const { host } = this.states.value(from);
    const learners = [
      ...this.#o.logReplicas
        .filter((node) => members.log.includes(node))
        .map((node) => ({ node, role: "log" as const })),
      ...(this.#o.newcomers ?? [])
        .filter((node) => members.storage.includes(node))
        .map((node) => ({ node, role: "storage" as const })),
    ].map((learner) => {
      const mark = host && markAt(host, learner.node);
      return mark === undefined ? learner : { ...learner, mark };
    });
    let unpaid = false;
    const made = this.#react(from, nowMs, ({ step, vessel }) => {
      if (this.#o.timeless) opened(vessel).$replica.nowMs = LONG_AFTER_MS;
      unpaid = learners.some(
        ({ node, role }) =>
          vessel.progressOf(node) === undefined || (host !== undefined && !vessel.readyFor(node, role)),
      );
      if (unpaid) step({ type: "learners", learners, nowMs });
      else step({ type: "propose", proposals: [{ id: 1, command: new Uint8Array(0), members }], nowMs });
    });
    return unpaid ? { ...made, unpaid } : made;
  }

  resign(from: number, nowMs: number): Reaction {
    return this.#react(from, nowMs, ({ step }) => void step({ type: "resign", nowMs }));
  }

  #diskText({ state, pending, machine, note, interrupted, before }: Disk): string {
    let text = this.#diskTexts.get(state);
    if (text === undefined) {
      text = String(this.#disks.number(plain(state), plain(state)));
      this.#diskTexts.set(state, text);
    }
    if (before !== undefined) text = `${text}~${this.#disks.number(plain(before), plain(before))}`;
    if (machine !== undefined)
      text = `${text}, ${machine} ${note === undefined ? "" : plain(note)} ${interrupted ?? ""}`;
    return pending.length === 0 ? text : `${text} ${plain(pending)}`;
  }

  #options(node: number): CoreOptions {
    const nodeId = this.#o.nodes[node] as string;
    const role = this.#o.logReplicas.includes(nodeId) ? "log" : "storage";
    const mute = this.#o.newcomers?.includes(nodeId) === true;
    const options = { nodeId, members: this.#o.founders, role, mute, random: () => 0, ...this.#o.options } as const;
    return this.#betrayal.options(options);
  }

  #start(
    node: number,
    disk: Disk,
    spoken: Ballot,
    nowMs: number,
    life: number,
    wrong?: string,
    host?: Host,
    doubtful = false,
  ): number {
    const options = { ...this.#options(node), doubtful };
    let bonds: Bonds | undefined;
    if (this.#o.bonds === true) {
      const { heartbeatMs, leaseMs } = options as Required<CoreOptions>;
      bonds = new this.#core.Bonds({ life, heartbeatMs, leaseMs, quorumLostMs: 2 * leaseMs }, nowMs);
      for (const name of this.#o.nodes) if (name !== options.nodeId) bonds.know(name);
    }
    const vessel = new this.#core.PaxosCore(options, disk.state, nowMs, bonds);
    if (host !== undefined) vessel.born(host.birth);
    this.#vessels[node] = vessel;
    return this.#number(node, vessel, { disk, spoken, wrong, closed: false, host });
  }

  #react(from: number, nowMs: number, happen: (doing: Doing) => void, diskBefore?: Disk): Reaction {
    this.worked++;
    const before = this.states.value(from);
    const { node } = before;
    let { closed, host } = before;
    const vessel = this.#vessels[node] as PaxosCore;
    this.#graphs.restore(vessel, before.core);
    const { bonds } = opened(vessel).$replica;
    let disk = diskBefore ?? before.disk;
    let { spoken, wrong, install } = before;
    const sent: number[] = [];
    const chosen: (readonly [number, number])[] = [];
    let readable: number | undefined;
    let refused = false;
    const eventMs = this.#o.timeless ? LONG_AFTER_MS : this.#betrayal.clock(nowMs);
    const become = (next: { disk?: Disk; install?: Install | undefined }) => {
      if (next.disk !== undefined) disk = next.disk;
      if ("install" in next) install = next.install;
    };
    const post = (to: string, message: Message | Beat | SnapshotLetter | BirthLetter) => {
      const receiver = this.#o.nodes.indexOf(to);
      if (receiver >= 0) sent.push(this.#letter(node, receiver, message));
    };
    const step = (event: CoreEvent): readonly Effect[] => {
      if (closed) return [];
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
          // Asking around is answered by the model; where groups sleep it wakes leaders, too, and where logs begin somewhere that is told.
          const asks = effect.message.type === "preVote";
          const heard = bonds !== undefined || this.#o.asks === true;
          if (effect.message.type === "preVoteReply" || (asks && !heard)) continue;
          if (!this.#betrayal.unobserved) wrong ??= saidTooMuch(effect.message, disk.state, spoken);
          spoken = spokenWith(spoken, effect.message);
          post(effect.to, asks ? { ...effect.message, attempt: 0 } : effect.message);
        } else if (effect.type === "chosen") {
          for (const entry of effect.entries) chosen.push([entry.slot, this.#entry(entry)]);
        } else if (effect.type === "readable") readable = effect.slot;
        else if (effect.type === "rejected") refused = true;
        else if (effect.type === "forgetful") closed = true;
        else if (effect.type === "snapshotNeeded") {
          // Its host hands out the state that it has.
          const position = vessel.positionFrom(vessel.chosenThrough);
          if (position?.slot === vessel.chosenThrough) post(effect.to, { type: "snapshot", position });
        } else if (effect.type === "release") bonds?.release(effect.to, { group: "g", ballot: effect.ballot });
      }
      for (const token of early) step({ type: "persisted", token, nowMs: eventMs });
      return effects;
    };
    const { leaseMs = 0 } = this.#o.options;
    const carryOut = (effects: ReturnType<Bonds["tick"]>) =>
      carryOutBonds(effects, { vessel, step, post, nowMs: eventMs, leaseMs, sleepsOn: this.#betrayal.sleepsOn });
    const told = (by: string, message: BirthLetter) => {
      if (host === undefined || closed) return;
      if (message.type === "knock") {
        const [after, answer] = knocked(host, vessel, by, message.birth);
        host = after;
        post(by, answer);
      } else if (message.birth !== host.birth) closed = true;
      else if (vessel.stranger === by) step({ type: "remembered", by, nowMs: eventMs });
    };
    happen({ step, vessel, carryOut, become, told });
    if (host !== undefined && !closed && vessel.stranger !== undefined)
      post(vessel.stranger, { type: "knock", birth: host.birth });
    const next = this.#number(node, vessel, { disk, install, spoken, wrong, closed, host });
    const now = this.states.value(next);
    const jumped = chosen.length === 0 && now.chosenThrough !== before.chosenThrough;
    const notable =
      chosen.length > 0 ||
      wrong !== undefined ||
      disk.state !== before.disk.state ||
      now.leading !== before.leading ||
      jumped;
    return { next, sent: [...new Set(sent)], chosen, readable, refused, notable };
  }

  #letter(from: number, to: number, message: Message | Beat | SnapshotLetter | BirthLetter): number {
    const timeless = this.#o.timeless && "sentMs" in message ? { ...message, sentMs: 0 } : message;
    const text = `${from} ${to} ${plain(timeless)}`;
    const number = this.letters.number({ from, to, message: timeless }, text);
    this.receivers[number] = to;
    this.runs[number] = message.type === "beat" ? runOf(from, to, message) : undefined;
    return number;
  }

  #entry(entry: Entry): number {
    const text = `${entry.slot}: ${ballotText(entry.ballot)} ${entry.kind} [${entry.command}]`;
    const number = this.entries.number(text, text);
    this.entryOf[number] = entry;
    return 1 + number;
  }

  #number(node: number, vessel: PaxosCore, { disk, install, spoken, wrong, closed, host }: Beside): number {
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
    if (replica.bonds !== undefined) replica.bonds.$nowMs = 0;
    // A cache of the last message made.
    if (leader !== undefined) leader.$feed.$lastAccept = undefined;
    const pending = disk.pending.map(({ token, write }) => ({
      token: token === undefined ? undefined : token - shift,
      write,
    }));
    const moved = { ...disk, pending };
    const numbers = this.#graphs.save(vessel);
    const text = `${node}|${numbers}|${this.#diskText(moved)}|${ballotText(spoken)}|${wrong ?? ""}|${closed}${install === undefined ? "" : `|${plain(install)}`}${host === undefined ? "" : `|${plain(host)}`}`;
    const life = replica.bonds?.$options.life ?? 0;
    const leaseUntilMs = this.#o.timeless || leader === undefined ? Number.NEGATIVE_INFINITY : leader.leaseUntilMs;
    const { doubt } = replica;
    const inMemory: number[] = [];
    for (let slot = 1; slot <= log.end; slot++)
      inMemory.push(slot < log.firstSlot ? 0 : this.#entry(log.at(slot) as Entry));
    const durable: number[] = [];
    for (const entry of disk.state.entries) durable[entry.slot - 1] = this.#entry(entry);
    const state: NodeState = {
      node,
      core: numbers,
      disk: moved,
      leading: closed ? undefined : leader?.ballot,
      standing: election.$ballot as Ballot | undefined,
      log: inMemory,
      durableLog: Array.from(durable, (entry) => entry ?? 0),
      chosenThrough: vessel.chosenThrough,
      leaseUntilMs,
      ready: leader !== undefined && vessel.ready,
      follows: vessel.leader,
      asleep: vessel.asleep && !closed,
      wakeAtMs: closed ? Number.POSITIVE_INFINITY : vessel.wakeAtMs,
      life,
      closed,
      install,
      host,
      mark: vessel.configuration.marks?.find(([name]) => name === this.#o.nodes[node])?.[1],
      storage: vessel.configuration.storage,
      doubt: doubt && { id: doubt.$id, open: doubt.open },
      spoken,
      wrong,
    };
    return this.states.number(state, text);
  }
}
