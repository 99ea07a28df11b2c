import type { Random, SimNode, SimulationError } from "@evenkeel/simulation";
import {
  BALLOT_ZERO,
  type Ballot,
  type BondEffect,
  Bonds,
  ClientTable,
  type Configuration,
  type CoreEvent,
  type CoreOptions,
  decodeBondMessage,
  decodeMessage,
  type Effect,
  type Entry,
  encodeBondMessage,
  encodeMessage,
  isBondMessage,
  type Learner,
  type MemberRole,
  type Members,
  type Message,
  PaxosCore,
  PaxosError,
  type PersistedState,
  type PersistWrite,
  type Position,
  pack,
  sameBallot,
  Unpacker,
  unpack,
  Words,
} from "../../src/core/index.js";
import { type Births, isMute } from "../../src/host/births.js";
import { Freshness } from "../../src/host/freshness.js";
import { decodeHostMessage, encodeHostMessage, type HostMessage, isHostMessage } from "../../src/host/host-messages.js";
import { patienceMs } from "./local-reader.js";
import { type Before, birthOf } from "./loss.js";
import { type Answer, encodeAsked, encodeSwap, Machine, type Op, type Request } from "./machine.js";
import { honest, type Mutation } from "./mutation.js";
import { type Observer, Violation } from "./observer.js";
import { SimStorage } from "./storage.js";
import type { Tally } from "./tally.js";

export type Reply =
  | { readonly kind: "ok"; readonly answer: Answer }
  | { readonly kind: "refused"; readonly leader: string | undefined }
  | { readonly kind: "unknown" }
  /** Nobody remembers this client: nothing was done, and what was done before nobody knows. */
  | { readonly kind: "forgotten" };

export type Respond = (reply: Reply) => void;

interface Waiting {
  readonly op: Op | Request | { readonly kind: "chosen" };
  readonly respond: Respond;
}

export interface ReplicaParts {
  readonly node: SimNode<Uint8Array>;
  readonly random: Random;
  readonly options: Omit<CoreOptions, "nodeId" | "random">;
  readonly observer: Observer;
  readonly tally: Tally;
  readonly mutation?: Mutation | undefined;
  readonly role?: MemberRole | undefined;
  /** Logs may come back with their end torn, and now and then without the last thing that was written. */
  readonly torn?: boolean;
  /** Whether nodes keep bonds, so that the group may sleep. */
  readonly bonded?: boolean;
  /** Whether the core of a group that sleeps is packed, and unpacked for each event. */
  readonly packs?: boolean;
  /** Whether an empty log asks the others whether it is its node's first one before it votes. */
  readonly births?: boolean;
  /** Newcomers find none of the founders that could tell whether they begin. */
  readonly orphans?: boolean;
  /** How likely a restart finds the state machine's disk empty, where the others have what was on it. */
  readonly losesState?: number;
}

/** Takes an answer for as new as its arrival. */
class CountsFromAnswer extends Freshness {
  override answered(question: number, slot: number): void {
    if (this.questions.has(question)) this.questions.set(question, this.nowMs);
    super.answered(question, slot);
  }
}

/** Drives the shipped core on a simulated node as the host does on a real one: the same events, the same effects. */
export class SimReplica {
  readonly name: string;
  readonly node: SimNode<Uint8Array>;
  storage: SimStorage;
  machine: Machine;
  /** The state machine's own disk: what it begins with in its next life, unless that crash came later than it tells. */
  checkpoint: Machine;
  /** The observer's: what it has looked at. */
  configurationSeen: Configuration | undefined;
  /** Whether this node was ever started. */
  born = false;
  #trimmed = 0;
  #role: MemberRole;
  /** Its state machine lacks what its log has let go of: it waits for a snapshot, then applies what the log holds behind it. */
  behind = false;
  /** Through here it had a state on disk, before that was lost. */
  #hadThrough = 0;
  /** Snapshots for this node. */
  #onItsWay = 0;
  /** Knows its clients from a snapshot. */
  #clientsBySnapshot = false;
  #installing = false;
  /** Its log's end was torn, and that is not made good yet. */
  #doubtful = false;
  /** What was torn off had been on disk. */
  #lost = false;
  /** It has another disk than in its first life, or one on which something has gone bad that was vouched for: the others must do without it. */
  gone = false;
  /** What was on its disks before they were replaced. */
  #before: Before | undefined;
  #refused = false;
  core: PaxosCore | undefined;
  births: Births | undefined;
  bonds: Bonds | undefined;
  #wasAsleep = false;
  /** What a packed core is unpacked with. */
  #given: CoreOptions | undefined;
  readonly #words = new Words();
  freshness: Freshness | undefined;
  readonly #parts: ReplicaParts;
  readonly #mutation: Mutation;
  #ids = 0;
  #gathered: (Waiting & { id: number })[] = [];
  #asked = new Map<number, Waiting>();
  #proposed = new Map<number, Waiting & { ballot: Ballot }>();
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #cancelWake: () => void = () => {};
  readonly #luck: Random;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.#mutation = parts.mutation ?? honest;
    this.node = parts.node;
    this.#role = parts.role ?? "storage";
    this.name = parts.node.name;
    this.storage = new SimStorage(parts.node);
    const betrayal = this.#mutation.betrayal(this.name);
    this.machine = new Machine(betrayal);
    this.checkpoint = new Machine(betrayal);
    this.#luck = parts.random.fork("recovery");
    parts.observer.replicas.push(this);
  }

  get leaseRemainingMs(): number {
    if (!this.node.up || this.core?.leading !== true) return 0;
    return this.core.leaseRemainingMs(this.node.now);
  }

  start(): void {
    const { tally, options, random } = this.#parts;
    if (this.#refused || !this.#opens()) return;
    this.born = true;
    this.#installing = false;
    const found = this.#tear(this.#load());
    if (this.node.life > 0) tally.add("restarts");
    this.node.start((from, bytes) => this.#receive(from, bytes));
    this.#loseState();
    const state = this.#recovered(found);
    this.machine = this.checkpoint.copy();
    this.#gathered = [];
    this.#asked.clear();
    this.#proposed.clear();
    if (this.role === "storage" && !this.behind) {
      for (const entry of found.entries) {
        if (entry.slot > this.machine.appliedThrough && entry.slot <= state.chosenThrough) this.machine.apply(entry);
      }
    }
    this.#parts.observer.onState(this);
    const doubtful = this.#doubtful && !this.#mutation.ignoresDoubt;
    const { name: nodeId, role, behind: awaitsState } = this;
    const mute = this.#parts.births === true && isMute({ ...found, births: this.storage.written.births });
    const all = { ...options, nodeId, role, awaitsState, doubtful, mute, random: () => random.next() };
    const given = this.#mutation.options(all);
    this.#given = given;
    this.bonds = this.#parts.bonded ? this.#bondsOf(given) : undefined;
    this.#wasAsleep = false;
    this.core = new PaxosCore(given, state, this.#mutation.bornAtMs(this.node.now), this.bonds);
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.freshness = this.#newFreshness();
    if (this.#parts.births === true) this.births = this.#newBirths();
    this.#wake();
    this.#askForState();
  }

  /** Reads that fail may not fail the next time; what is damaged is for its owner to replace. */
  #opens(): boolean {
    const error = this.storage.unopened;
    if (error === undefined) return true;
    const { tally } = this.#parts;
    if (error.code === "ERR_SIMULATION_DISK_DAMAGED") {
      tally.add("logs that do not open, damaged");
      if (this.#mutation.opensDamaged) return true;
      this.#refused = true;
      return false;
    }
    tally.add("logs that do not open, a read failed");
    if (this.#mutation.opensUnread) return true;
    this.node.scheduler.timer(20, () => {
      if (!this.node.up) this.start();
    });
    return false;
  }

  #load(): PersistedState {
    const { opensDamaged, opensUnread } = this.#mutation;
    const code = opensDamaged || opensUnread ? this.storage.unopened?.code : undefined;
    if (code === "ERR_SIMULATION_DISK_DAMAGED") return this.storage.load(this.storage.damagedEnd);
    if (code === "ERR_SIMULATION_DISK_IO") return this.storage.load(3);
    return this.#mutation.load(this.storage);
  }

  #newBirths(): Births {
    const { observer, tally } = this.#parts;
    const { unobserved, forgetsBirths } = this.#mutation;
    return birthOf({
      replica: this,
      members: () => {
        const { storage, log } = this.core?.configuration ?? observer.configurationAt(0);
        return [...storage, ...log];
      },
      founders: this.#parts.orphans === true && this.isNewcomer ? ["gone"] : this.#parts.options.members,
      mute: isMute({ promised: this.storage.written.promised, births: this.storage.written.births }),
      remembered: (by) => this.#step({ type: "remembered", by, nowMs: this.node.now }),
      mark: `${this.name} ${this.node.life} ${this.#luck.int(2 ** 31)}`,
      tally,
      // A newcomer that nobody had heard of in its first life may begin.
      lost: unobserved || (this.#before !== undefined && this.isNewcomer) ? undefined : this.#before !== undefined,
      writesDown: (nodeId) => forgetsBirths === "no" || (forgetsBirths === "own") !== (nodeId === this.name),
      diskFailed: () => this.#diskFailed(),
      voice: () => this.#step({ type: "voice", nowMs: this.node.now }),
      refused: () => this.#foundOut(),
    });
  }

  get isNewcomer(): boolean {
    return !this.#parts.options.members.includes(this.name);
  }

  #foundOut(): void {
    this.#refused = true;
    this.crash();
  }

  /** Its node is switched off for good. */
  retire(): void {
    this.#refused = true;
    this.crash();
  }

  /** Its disks are replaced by empty ones while it is down; its name is not. */
  loseDisks(): void {
    this.crash();
    this.#before = { log: this.storage.durable, appliedThrough: this.checkpoint.appliedThrough };
    this.node.disk.wipe();
    this.storage = new SimStorage(this.node);
    this.checkpoint = new Machine(this.#mutation.betrayal(this.name));
    this.machine = this.checkpoint.copy();
    this.#trimmed = 0;
    this.#hadThrough = 0;
    this.behind = false;
  }

  /** Of a log replica: goes on as a storage replica, on the log that it has. */
  promote(): void {
    this.#parts.tally.add("log replicas that become storage replicas");
    this.crash();
    this.#role = "storage";
    this.start();
  }

  /** The disk of the state machine was replaced, or it was in memory only; the log has another one. One at a time. */
  #loseState(): void {
    const { losesState = 0, observer, tally } = this.#parts;
    this.behind = this.role === "storage" && this.checkpoint.appliedThrough < this.trimmedThrough;
    if (losesState === 0 || this.node.life < 2 || this.role === "log" || this.behind || this.#lost) return;
    // What one has lost, another must have: all of its log, and a state.
    if (observer.replicas.some((other) => other.gone || other.behind || other.#lost)) return;
    const { storage } = observer.configurationAt(Number.MAX_SAFE_INTEGER);
    const others = observer.replicas.filter((other) => other !== this && storage.includes(other.name));
    if (others.length === 0 || !this.#luck.chance(losesState)) return;
    tally.add("states lost");
    this.#hadThrough = this.checkpoint.appliedThrough;
    this.checkpoint = new Machine(this.#mutation.betrayal(this.name));
    this.behind = this.trimmedThrough > 0;
  }

  /** Again and again, until a snapshot has come that reaches to its own log. */
  #askForState(): void {
    if (!this.behind) return;
    const { life } = this.node;
    this.node.timer(100, () => {
      if (life !== this.node.life || !this.behind) return;
      const asked = this.#parts.observer.replicas.filter(
        (other) => other !== this && other.node.up && !other.node.paused,
      );
      const leader = asked.find(({ name }) => name === this.core?.leader);
      const sender = leader ?? this.#luck.shuffle(asked)[0];
      if (!this.receiving && sender !== undefined) sender.#offer(this.name);
      this.#askForState();
    });
  }

  /** What was chosen while there was no state to apply it to is in the log. */
  #replay(): void {
    if (!this.behind || this.core === undefined || this.machine.appliedThrough < this.trimmedThrough) return;
    for (let slot = this.machine.appliedThrough + 1; slot <= this.core.chosenThrough; slot++) {
      this.machine.apply(this.storage.written.at(slot) as Entry);
    }
    this.#parts.observer.onState(this);
    this.#parts.tally.add("states found again");
    this.behind = false;
    this.#hadThrough = 0;
    this.#given = { ...(this.#given as CoreOptions), awaitsState: false };
    this.#step({ type: "stateful", nowMs: this.node.now });
  }

  /** The node's side of the bonds, as its host keeps them: told the time again and again, and whom this replica lives with. */
  #bondsOf({ leaseMs = 300, heartbeatMs = 50, quorumLostMs = 2 * leaseMs }: CoreOptions): Bonds {
    const options = { life: this.#luck.int(2 ** 31), leaseMs, heartbeatMs, quorumLostMs };
    const bonds = new Bonds(options, this.node.now);
    const beat = () => {
      const { core } = this;
      if (core === undefined || this.bonds !== bonds) return;
      const { storage, log } = core.configuration;
      bonds.knowOnly(new Set([...storage, ...log].filter((name) => name !== this.name)));
      this.#carryOutBonds(bonds.tick(this.#mutation.clock(this.node.now)));
      if (this.core !== undefined && this.bonds === bonds) this.node.timer(10, beat);
    };
    this.node.timer(0.1, beat);
    return bonds;
  }

  #carryOutBonds(effects: readonly BondEffect[]): void {
    const { node, bonds } = this;
    const { tally } = this.#parts;
    for (const effect of effects) {
      const { core } = this;
      if (core === undefined || this.bonds !== bonds) return;
      if (effect.type === "send") {
        tally.add("beats of nodes");
        node.send(effect.to, encodeBondMessage(effect.message));
      } else if (effect.type === "released") {
        tally.add(
          core.asleep ? "sleepers told that their leader's reign is over" : "told for nothing that a reign is over",
        );
        const message = { type: "resign", ballot: effect.ballot } as const;
        this.#step({ type: "message", from: effect.node, message, nowMs: node.now });
      } else {
        const leading = effect.type === "changed";
        if (core.leading !== leading || (!leading && core.leader !== effect.node) || !core.asleep) continue;
        tally.add(leading ? "sleeping leaders woken by a change of bonds" : "sleeping followers woken by a lost bond");
        this.#step({ type: "wake", nowMs: node.now });
      }
    }
  }

  /** What the log says at this start, after what happened to its end. One log at a time really loses something, and none while another one's state is lost. */
  #tear(found: PersistedState): PersistedState {
    const { torn, observer, tally } = this.#parts;
    if (torn !== true || this.node.life === 0 || !this.#luck.chance(0.5)) return found;
    this.#doubtful = true;
    tally.add("torn logs");
    const newest = this.storage.perishable;
    const spared = observer.replicas.some((other) => other.#lost || (other !== this && other.behind));
    if (newest === undefined || spared || this.#luck.chance(0.3)) return found;
    const kept = this.storage.written.end - (newest.entries?.length ?? 0);
    if (kept < Math.max(this.checkpoint.appliedThrough, this.trimmedThrough)) return found;
    this.#lost = true;
    observer.onForgotten(this.name);
    tally.add("torn logs that had been on disk");
    if (newest.entries !== undefined && newest.accepted === undefined) tally.add("accepted entries torn off");
    if (newest.promised !== undefined) tally.add("promises torn off");
    return this.storage.load(1);
  }

  crash(): void {
    if (!this.node.up) return;
    if (this.core?.leading) this.#parts.tally.add("leader crashes");
    if (this.leaseRemainingMs > 0) this.#parts.tally.add("crashes with a lease");
    // The state machine has a disk of its own, and what it had on it at the crash may be less or more than the log knows as chosen.
    const { mutation } = this.#parts;
    if (this.#luck.chance(0.5) && (mutation === undefined || mutation.tearsCheckpoints !== "no"))
      this.#checkpointThrough(this.#luck.int(10));
    // Connections break: whoever waits cannot know.
    for (const waiting of [...this.#gathered, ...this.#asked.values(), ...this.#proposed.values()]) {
      waiting.respond({ kind: "unknown" });
    }
    this.#gathered = [];
    this.#asked.clear();
    this.#proposed.clear();
    this.freshness?.end(new PaxosError("ERR_PAXOS_CLOSED", "crashed"));
    this.freshness = undefined;
    this.births?.close();
    this.births = undefined;
    this.node.crash();
    this.core?.letGo();
    this.core = undefined;
  }

  /** The state machine's disk is written on its own time: as of now, less the newest `lag` slots. */
  #checkpointThrough(lag: number): void {
    const through = this.machine.appliedThrough - lag;
    if (through <= this.checkpoint.appliedThrough) return;
    const { tearsCheckpoints } = this.#mutation;
    if (tearsCheckpoints === "position first") {
      this.checkpoint.appliedThrough = through;
      return;
    }
    const before = tearsCheckpoints === "state first" ? this.checkpoint.copy() : undefined;
    if (lag === 0) this.checkpoint = this.machine.copy();
    else {
      for (let slot = this.checkpoint.appliedThrough + 1; slot <= through; slot++) {
        this.checkpoint.apply(this.storage.written.at(slot) as Entry);
      }
    }
    if (before !== undefined) {
      this.checkpoint.appliedThrough = before.appliedThrough;
      this.checkpoint.clients = before.clients;
    }
  }

  /** What a host makes of it: an applied slot is a chosen one, and the log need not bring along what is known as chosen. */
  #recovered(found: PersistedState): PersistedState {
    const { tally } = this.#parts;
    const applied = this.role === "log" ? 0 : this.checkpoint.appliedThrough;
    const { written } = this.storage;
    if (applied > found.chosenThrough) tally.add("state machines ahead of the log");
    const { installing } = written;
    const jumped = installing?.slot === applied && applied > found.chosenThrough;
    if (jumped && !sameBallot(written.at(applied)?.ballot ?? BALLOT_ZERO, installing.ballot)) {
      // The crash came between the state machine's switch and the log's new beginning. What the log holds there is not what was chosen.
      tally.add("installs finished after a crash");
      if (applied <= written.end) tally.add("installs finished over another log");
      this.storage.append({ reset: installing, chosenThrough: applied }, (error) => {
        if (error !== undefined) this.#diskFailed();
      });
    } else if (applied > written.end) throw new Violation(`${this.name} has applied what its log has lost`);
    if (this.role === "storage" && applied < this.trimmedThrough && !this.behind) {
      throw new Violation(`${this.name} has let go of log that its state machine lacks`);
    }
    const chosenThrough = Math.max(written.chosenThrough, applied);
    const { trimmedThrough } = this;
    const whole = this.#luck.chance(0.5);
    if (!whole) tally.add("logs that bring only what is not chosen");
    const { promised, accepted } = found;
    const from = Math.max(trimmedThrough, Math.min(whole ? 0 : chosenThrough - 1, written.end));
    return { ...written.state(from, trimmedThrough, this.#founders), promised, accepted, chosenThrough };
  }

  #crashBriefly(): void {
    this.crash();
    this.node.scheduler.timer(50, () => {
      if (!this.node.up) this.start();
    });
  }

  get #founders(): Configuration {
    return { slot: 0, storage: this.#parts.options.members, log: [], departed: [] };
  }

  /** A snapshot is on its way to this node, or being taken over. */
  get receiving(): boolean {
    return this.#installing || this.#onItsWay > 0;
  }

  /** Slots through here are not to be read from this node's log. */
  get trimmedThrough(): number {
    return Math.max(this.#trimmed, this.storage.written.below);
  }

  get ready(): boolean {
    return this.core?.ready ?? false;
  }

  get role(): MemberRole {
    return this.#role;
  }

  /** Whether this slot's outcome is on this node's disks, as state or as log. */
  /** Whether it has the state that goes with its log, or has lost it since. */
  get hadState(): boolean {
    return !this.behind || this.#hadThrough > 0;
  }

  holds(entry: Entry): boolean {
    if (this.role === "storage" && Math.max(this.checkpoint.appliedThrough, this.#hadThrough) >= entry.slot)
      return true;
    const held = this.storage.durable.at(entry.slot);
    if (held !== undefined && sameBallot(held.ballot, entry.ballot)) return true;
    const before = this.#before?.log.at(entry.slot);
    if (before !== undefined && sameBallot(before.ballot, entry.ballot)) return true;
    return (this.#before?.appliedThrough ?? 0) >= entry.slot || this.storage.hadLost(entry);
  }

  /** Lets go of the log through this slot; the state machine is brought to disk first. */
  trim(throughSlot: number): void {
    if (!this.node.up || this.node.paused || throughSlot <= this.trimmedThrough) return;
    const { durable } = this.storage;
    if (throughSlot > durable.end || throughSlot < durable.below) return;
    if (this.#parts.observer.mustKeep(throughSlot)) return;
    // A snapshot that has just been taken over is not told to the core in the same moment, as a host tells it.
    if (throughSlot > (this.core as PaxosCore).chosenThrough) return;
    if (this.role === "storage") {
      if (throughSlot > this.machine.appliedThrough) return;
      this.#checkpointThrough(0);
    } else {
      this.#parts.observer.onLogReplicaForgets(this, throughSlot);
    }
    this.#parts.tally.add("trims");
    this.#trimmed = throughSlot;
    const base = this.storage.written.base(throughSlot, this.#founders);
    this.#step({ type: "trimmed", throughSlot, nowMs: this.node.now, ...(base === undefined ? {} : { base }) });
  }

  /** The leader is to feed these nodes, and to propose these members. */
  change(learners: readonly Learner[], members: Members | undefined): void {
    const known = learners.map((learner) => {
      const mark = this.births?.markOf(learner.node);
      return mark === undefined ? learner : { ...learner, mark };
    });
    this.#step({ type: "learners", learners: known, nowMs: this.node.now });
    if (members === undefined) return;
    const proposal = { id: ++this.#ids, command: new Uint8Array(0), members };
    this.#step({ type: "propose", proposals: [proposal], nowMs: this.node.now });
  }

  /** Hands a snapshot of the state over; it may get lost, or come long after. */
  #offer(to: string): void {
    const { core } = this;
    const receiver = this.#parts.observer.replicas.find(({ name }) => name === to);
    if (this.role === "log" || core === undefined || receiver === undefined || receiver.role === "log") return;
    if (this.behind) return;
    const position = core.positionFrom(this.machine.appliedThrough);
    if (position === undefined || position.slot !== this.machine.appliedThrough) return;
    const { tally } = this.#parts;
    tally.add("snapshots offered");
    const said = this.#mutation.position(position, this.#founders);
    const snapshot = this.machine.copy();
    if (this.#mutation.forgetsClients) snapshot.clients = new ClientTable();
    if (receiver.#onItsWay++ > 0) tally.add("two snapshots on their way to one");
    const takes = this.#luck.pick([1, 10, 100, 300]);
    this.node.scheduler.timer(takes, () => {
      receiver.#onItsWay--;
      if (this.trimmedThrough > said.slot) tally.add("snapshots whose sender has let go of the log behind them");
      if (this.core !== undefined && !this.core.leading) tally.add("snapshots of a leader deposed meanwhile");
      // The sender may have died on the way, or nobody may be there to take it.
      if (this.node.up && receiver.node.up && !receiver.node.paused) receiver.install(said, snapshot);
      else tally.add("snapshots lost on the way");
    });
  }

  install(position: Position, snapshot: Machine): void {
    const { tally } = this.#parts;
    // A log that has refused a write takes no note any more.
    if (this.#installing || this.core?.stopped === true) return;
    if (position.slot <= this.machine.appliedThrough || position.slot < this.trimmedThrough) {
      tally.add("snapshots below what is applied");
      return;
    }
    this.#installing = true;
    const { life } = this.node;
    this.storage.append({ installing: position }, (error) => {
      if (life !== this.node.life || !this.node.up) return;
      if (error !== undefined) {
        this.#diskFailed();
        return;
      }
      this.node.timer(this.#luck.pick([0.1, 5, 20]), () => this.#switch(position, snapshot));
    });
  }

  /** One moment in which the state machine's disk is the old one, and the next in which it is the new one. */
  #switch(position: Position, snapshot: Machine): void {
    const { tally } = this.#parts;
    if (position.slot <= this.machine.appliedThrough) {
      tally.add("snapshots overtaken by the log");
      this.#installing = false;
      return;
    }
    if (this.#mutation.tearsInstalls && this.checkpoint.appliedThrough < position.slot) {
      const torn = snapshot.copy();
      torn.appliedThrough = this.checkpoint.appliedThrough;
      this.checkpoint = torn;
      if (this.#luck.chance(0.3)) this.#crashBriefly();
      else this.node.timer(20, () => this.#switched(position, snapshot));
    } else this.#switched(position, snapshot);
  }

  #switched(position: Position, snapshot: Machine): void {
    this.#parts.tally.add("snapshots installed");
    this.#noteInstall(position, snapshot);
    this.checkpoint = snapshot.copy();
    this.machine = snapshot.copy();
    this.#parts.observer.onState(this);
    if (this.#luck.chance(0.1)) {
      // The state machine is new, the log does not know it yet.
      this.#crashBriefly();
      return;
    }
    this.node.timer(this.#luck.pick([0.01, 10]), () => {
      this.#installing = false;
      this.#step({ type: "installed", position, nowMs: this.node.now });
      if (this.behind) this.node.timer(this.#luck.pick([0.01, 20]), () => this.#replay());
    });
  }

  #noteInstall({ slot, ballot, configuration }: Position, { clients }: Machine): void {
    const { observer, tally } = this.#parts;
    const newest = observer.configurations.at(-1) as Configuration;
    if (configuration.slot < newest.slot) tally.add("snapshots of members of before");
    if (observer.replicas.some(({ core }) => core?.leading === true && core.configuration.slot > newest.slot))
      tally.add("snapshots installed while members change");
    const { written } = this.storage;
    if (written.end > slot && slot > this.trimmedThrough)
      tally.add(
        sameBallot(written.at(slot)?.ballot ?? BALLOT_ZERO, ballot)
          ? "snapshots installed below the log's end"
          : "snapshots installed over another log",
      );
    this.#clientsBySnapshot = clients.used;
  }

  /** A request has arrived. Those of one moment are proposed together. */
  request(op: Op | Request, respond: Respond): void {
    const core = this.core as PaxosCore;
    const id = ++this.#ids;
    if (op.kind === "read") {
      if (this.#mutation.readsAtOnce(core, this.node.now)) {
        respond({ kind: "ok", answer: this.machine.get(op.key) });
        return;
      }
      this.#asked.set(id, { op, respond });
      if (core.leading && core.leaseRemainingMs(this.node.now) === 0) this.#parts.tally.add("reads without a lease");
      this.#step({ type: "read", id, nowMs: this.node.now });
      return;
    }
    if (op.kind === "once" && this.#mutation.judgesAtProposal) {
      const answer = this.machine.answered(op.client, op.sequence);
      if (answer !== undefined) {
        respond({ kind: "ok", answer });
        return;
      }
    }
    this.#gathered.push({ id, op, respond });
    if (this.#gathered.length === 1) this.node.timer(0.05, () => this.#propose());
  }

  resign(): void {
    if (this.core?.leading) this.#step({ type: "resign", nowMs: this.node.now });
  }

  handOver(to: string): void {
    const { core } = this;
    if (core?.leading !== true) return;
    this.#noteHandOver(core, to);
    this.#step({ type: "handOver", to, nowMs: this.node.now });
  }

  #noteHandOver(core: PaxosCore, to: string): void {
    const { observer, tally } = this.#parts;
    const heir = observer.replicas.find(({ name }) => name === to) as SimReplica;
    if (!heir.node.up) tally.add("hand-overs to one that is down");
    else if (heir.storage.written.end < this.storage.written.end) tally.add("hand-overs to one that lags");
    if (heir.core?.asleep === true) tally.add("hand-overs to one that sleeps");
    if (heir.role === "log") tally.add("hand-overs to a log replica");
    if (core.configuration.slot > core.chosenThrough) tally.add("hand-overs while members change");
  }

  #propose(): void {
    const proposals = this.#gathered.map(({ id, op, respond }) => {
      this.#asked.set(id, { op, respond });
      if (op.kind === "once" || op.kind === "register") return { id, command: encodeAsked(op), once: true };
      const { key, value } = op as Extract<Op, { kind: "swap" }>;
      return { id, command: encodeSwap(key, value, value % 40) };
    });
    this.#gathered = [];
    if (proposals.length > 1) this.#parts.tally.add("batches");
    this.#step({ type: "propose", proposals, nowMs: this.node.now });
  }

  #receive(from: string, bytes: Uint8Array): void {
    if (isBondMessage(bytes)) {
      const { bonds } = this;
      if (bonds !== undefined)
        this.#carryOutBonds(bonds.receive(from, decodeBondMessage(bytes), this.#mutation.clock(this.node.now)));
      return;
    }
    if (isHostMessage(bytes)) {
      this.#receiveHost(from, decodeHostMessage(bytes));
      return;
    }
    const message = decodeMessage(bytes);
    const { core } = this;
    const known = core?.knownChosen ?? 0;
    for (const [sender, received] of this.#mutation.receive(from, message, this.node.now)) {
      this.#step({ type: "message", from: sender, message: received, nowMs: this.node.now });
    }
    if (message.type !== "promised" || message.ballot.round > 0) return;
    const knows = this.core !== undefined && this.core.knownChosen > known;
    this.#parts.tally.add(knows ? "told that what it holds is chosen" : "told where another's log begins");
  }

  #receiveHost(from: string, message: HostMessage): void {
    if (message.type === "knock") this.births?.onKnock(from, message.birth);
    if (message.type === "known") this.births?.onKnown(from, message);
    if (message.type === "fresh") this.freshness?.answered(message.question, message.slot);
    if (message.type !== "freshness") return;
    this.#tellChosen((slot) => this.node.send(from, encodeHostMessage({ ...message, type: "fresh", slot })));
  }

  /** What is known as chosen by one who leads, as a linearizable read sees it. */
  #tellChosen(tell: (slot: number) => void): void {
    const { core } = this;
    if (core === undefined) return;
    if (this.#mutation.staleness === "of any leader" && core.leading) {
      tell(core.knownChosen);
      return;
    }
    const id = ++this.#ids;
    const respond: Respond = (reply) => {
      if (reply.kind === "ok") tell(reply.answer);
    };
    this.#asked.set(id, { op: { kind: "chosen" }, respond });
    this.#step({ type: "read", id, nowMs: this.node.now });
  }

  #newFreshness(): Freshness {
    const { staleness } = this.#mutation;
    const { life } = this.node;
    const Kind = staleness === "from the answer" ? CountsFromAnswer : Freshness;
    return new Kind({
      groupId: "g",
      now: () => this.node.now,
      random: () => this.#luck.next(),
      clockDriftMax: staleness === "without drift" ? 0 : 0.1,
      askEveryMs: 50,
      answerMs: 300,
      patienceMs,
      waitingMax: 100,
      appliedThrough: () =>
        staleness === "before it is applied" ? Number.POSITIVE_INFINITY : this.machine.appliedThrough,
      leads: () => this.ready && this.leaseRemainingMs > 0,
      ask: (question) => {
        const leader = this.core?.leader;
        if (leader === this.name) this.#tellChosen((slot) => this.freshness?.answered(question, slot));
        else if (leader !== undefined) this.node.send(leader, encodeHostMessage({ type: "freshness", question }));
      },
      timer: (delayMs, action) => {
        const cancel = this.node.timer(delayMs, () => {
          if (this.node.life === life) action();
        });
        return cancel;
      },
    });
  }

  #wake(): void {
    const { core } = this;
    if (core === undefined || core.wakeAtMs >= this.#wakeAtMs) return;
    if (core.wakeAtMs === Number.POSITIVE_INFINITY) return;
    this.#cancelWake();
    this.#wakeAtMs = core.wakeAtMs;
    this.#cancelWake = this.node.timer(Math.max(0.1, core.wakeAtMs - this.node.now), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#step({ type: "tick", nowMs: this.node.now });
    });
  }

  #step(event: CoreEvent): void {
    const { core } = this;
    if (core === undefined) return;
    const life = this.node.life;
    const nowMs = this.#mutation.clock(event.nowMs);
    for (const effect of core.step(nowMs === event.nowMs ? event : { ...event, nowMs })) {
      this.#carryOut(effect);
      if (this.node.life !== life || !this.node.up) return;
    }
    this.#noteSleep(core, event);
    if (this.#parts.packs === true) this.#repack(core);
    this.#parts.observer.afterStep(this);
    this.#wake();
  }

  /** A host would do so some moments later; here each event but the first finds a group packed that sleeps. */
  #repack(core: PaxosCore): void {
    const bytes = pack(core, this.#words);
    if (bytes === undefined) {
      if (core.asleep) this.#parts.tally.add("could not be packed");
      return;
    }
    this.#parts.tally.add(core.leading ? "leaders packed" : "followers packed");
    this.core?.letGo();
    // Who is packed has no doubt any more.
    const given = { ...(this.#given as CoreOptions), doubtful: false };
    this.core = unpack(given, new Unpacker(this.#words, bytes), this.bonds as Bonds);
  }

  #noteSleep(core: PaxosCore, event: CoreEvent): void {
    const { tally } = this.#parts;
    if (core.asleep && !this.#wasAsleep) {
      tally.add(core.leading ? "leaders fell asleep" : "followers fell asleep");
      if (core.leading && core.configuration.log.length > 0) tally.add("leaders of log replicas fell asleep");
    }
    if (!core.asleep && this.#wasAsleep) {
      const by = event.type === "message" ? event.message.type : event.type;
      tally.add(`woken by ${by}`);
    }
    this.#wasAsleep = core.asleep;
  }

  #carryOut(effect: Effect): void {
    const { observer, tally } = this.#parts;
    switch (effect.type) {
      case "send":
        return this.#send(effect.to, effect.message);
      case "persist":
        this.births?.writes();
        return this.#persist(effect.token, effect.write);
      case "chosen":
        observer.onChosen(this.name, effect.entries);
        for (const entry of effect.entries) {
          // What a snapshot has brought, and the log brings after it.
          if (this.role === "log" || this.behind || entry.slot <= this.machine.appliedThrough) continue;
          const answer = this.machine.apply(entry);
          const { verdict } = this.machine;
          if (verdict === "applied") {
            tally.add("requests carried out before");
            if (this.#clientsBySnapshot) tally.add("requests known from a snapshot to be carried out before");
          } else if (verdict === "ahead") tally.add("requests ahead of their turn");
          const waiting = this.#proposed.get(entry.slot);
          if (waiting === undefined) continue;
          this.#proposed.delete(entry.slot);
          const ours = sameBallot(waiting.ballot, entry.ballot);
          if (ours && answer !== undefined) observer.onAcknowledged(entry.slot, this.node.scheduler.now);
          if (ours && verdict === "unknown") waiting.respond({ kind: "forgotten" });
          else waiting.respond(ours && answer !== undefined ? { kind: "ok", answer } : { kind: "unknown" });
        }
        this.freshness?.applied();
        return;
      case "proposed": {
        const waiting = this.#asked.get(effect.id);
        if (waiting === undefined) return;
        this.#asked.delete(effect.id);
        this.#proposed.set(effect.slot, { ...waiting, ballot: effect.ballot });
        return;
      }
      case "rejected": {
        const waiting = this.#asked.get(effect.id);
        this.#asked.delete(effect.id);
        if (effect.reason === "overloaded") tally.add("overloaded");
        if (waiting === undefined) tally.add(`changes refused, ${effect.reason}`);
        waiting?.respond({ kind: "refused", leader: effect.leader });
        return;
      }
      case "readable": {
        const waiting = this.#asked.get(effect.id) as Waiting;
        const core = this.core as PaxosCore;
        this.#asked.delete(effect.id);
        if (this.machine.appliedThrough < effect.slot) throw new Error("readable before its slot was reported");
        tally.add(this.leaseRemainingMs > 0 ? "reads by lease" : "reads by round");
        if (this.core?.asleep) tally.add("reads by lease while all sleep");
        const { op } = waiting;
        waiting.respond({
          kind: "ok",
          answer: op.kind === "chosen" ? core.knownChosen : this.machine.get((op as Op).key),
        });
        return;
      }
      case "release":
        tally.add("reigns ended while others slept in them");
        this.bonds?.release(effect.to, { group: "g", ballot: effect.ballot });
        return;
      case "assured": {
        const { life } = this.node;
        this.storage.append({}, (error) => {
          if (life !== this.node.life) return;
          if (error !== undefined) return this.#diskFailed();
          tally.add("doubts settled");
          this.#doubtful = false;
          this.#lost = false;
        });
        return;
      }
      case "leadership":
        if (effect.leading) {
          tally.add("reigns");
          observer.onLeading(this, effect.ballot);
        } else this.#unknown();
        this.freshness?.leaderChanged();
        return;
      case "ship":
        tally.add("ships");
        if (effect.fromSlot <= this.trimmedThrough) throw new Violation(`${this.name} ships what is trimmed`);
        this.storage.read(
          effect.fromSlot,
          this.#mutation.shipsThrough(effect.throughSlot, this.storage),
          effect.bytesMax,
          (entries, error) => {
            if (error === undefined || this.#mutation.invents) {
              this.#send(effect.to, { type: "learn", entries: this.#invented(entries, effect.fromSlot) });
            } else this.#unreadable(error);
          },
        );
        return;
      case "snapshotNeeded":
        if (effect.fromSlot > this.trimmedThrough) throw new Violation("a snapshot is asked for in place of the log");
        this.#offer(effect.to);
        return;
      case "releasable":
        this.trim(this.#mutation.releasesEverything ? (this.core?.chosenThrough ?? 0) : effect.throughSlot);
        return;
      case "departed":
        tally.add("departures noticed");
        return;
      case "forgetful":
        tally.add("disks found out by what the log says");
        this.#foundOut();
        return;
      case "configured":
        tally.add("configurations appended or cut");
    }
  }

  /** Nothing is sent: who lacks it asks again. What is damaged its owner hears of, who has it opened again: then it is found out. */
  #unreadable({ code }: SimulationError): void {
    const { tally } = this.#parts;
    tally.add(code === "ERR_SIMULATION_DISK_IO" ? "ships whose read failed" : "ships that came upon damage");
    if (code === "ERR_SIMULATION_DISK_DAMAGED") this.#crashBriefly();
  }

  /** What a mutant sends in the place of what it cannot read. */
  #invented(entries: readonly Entry[], slot: number): readonly Entry[] {
    const { core } = this;
    if (!this.#mutation.invents || entries.length > 0 || core === undefined) return entries;
    return [{ slot, ballot: core.accepted, kind: "noop", command: new Uint8Array(0) }];
  }

  #send(to: string, message: Message): void {
    const { observer, tally } = this.#parts;
    tally.sent(message);
    if (!this.#mutation.unobserved) observer.onSend(this, message);
    this.node.send(to, encodeMessage(message));
  }

  #persist(token: number, write: PersistWrite): void {
    const { observer, tally } = this.#parts;
    if (write.truncateFrom !== undefined) tally.add("suffixes cut");
    if (write.reset !== undefined) tally.add(this.role === "log" ? "logs begun at a base" : "logs begun at a snapshot");
    if (!this.#mutation.unobserved) observer.onWrite(this, write);
    const life = this.node.life;
    const writes = this.#mutation.writes(write);
    for (const [index, part] of writes.entries()) {
      this.storage.append(part, (error) => {
        if (life !== this.node.life || index < writes.length - 1) return;
        if (error !== undefined && !this.#mutation.ignoresFailedSync) {
          this.#diskFailed();
        } else {
          this.#step({ type: "persisted", token, nowMs: this.node.now });
        }
      });
    }
    if (this.#mutation.confirmsEarly)
      this.node.timer(0, () => this.#step({ type: "persisted", token, nowMs: this.node.now }));
  }

  /** A supervisor restarts a node that has given up. */
  #diskFailed(): void {
    this.#parts.tally.add("failed writes");
    this.#step({ type: "persistFailed", nowMs: this.node.now });
    const { life } = this.node;
    this.node.scheduler.timer(100, () => {
      if (this.node.life !== life || !this.node.up) return;
      this.crash();
      this.start();
    });
  }

  #unknown(): void {
    for (const [slot, waiting] of this.#proposed) {
      this.#proposed.delete(slot);
      this.#parts.tally.add("unknown outcomes");
      if (this.#mutation.proposesAgain) this.node.timer(50, () => this.request(waiting.op as Op, waiting.respond));
      else waiting.respond({ kind: "unknown" });
    }
  }
}
