import { channel } from "node:diagnostics_channel";
import { sameBallot } from "../core/ballot.js";
import { type Configuration, type MemberRole, nodesOf, roleIn } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { CoreEvent, Effect, Entry, Members } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { Applier } from "./applier.js";
import { Births } from "./births.js";
import { Changes } from "./changes.js";
import { storedEntries } from "./entries.js";
import { asFailure, interruptible } from "./failure.js";
import type { Group, GroupMembers, GroupStatus, Leadership, Submitted } from "./group.js";
import type { ReplicaHome } from "./home.js";
import type { HostMessage } from "./host-messages.js";
import { LeadershipNews } from "./leadership.js";
import { PendingReads } from "./reads.js";
import type { Recovered } from "./recover.js";
import { Shipper } from "./shipper.js";
import { Snapshots } from "./snapshots.js";
import type { StateMachine } from "./state-machine.js";
import { Submissions } from "./submissions.js";
import { Trimmer } from "./trimmer.js";
import { Writer } from "./writer.js";

/** From this many entries on, what others wait for leaves before they are applied. */
const applyAtOnceMax = 64;

const stopped = channel("evenkeel:paxos:stopped");
const departed = channel("evenkeel:paxos:departed");

const unsafe =
  "a name that has left, fewer than two storage replicas beside a log replica, a storage replica made a log replica, or too many";

/** Executes one core's effects, in order, and keeps account of who waits for what. */
export class Replica<R> implements Group<R> {
  readonly groupId: string;
  /** The id as it stands in envelopes. */
  readonly wireId: Buffer;
  readonly #home: ReplicaHome;
  readonly #role: MemberRole;
  readonly #founders: Configuration;
  readonly #core: PaxosCore;
  readonly #storage: GroupStorage;
  readonly #applier: Applier<R>;
  readonly #shipper: Shipper;
  readonly #submissions: Submissions<R>;
  readonly #births: Births;
  readonly #snapshots: Snapshots<R>;
  readonly #changes: Changes;
  readonly #trimmer: Trimmer;
  /** Of a log replica: through here it may let go. */
  #releasable = 0;
  readonly #reads: PendingReads;
  readonly #events: CoreEvent[] = [];
  #stepping = false;
  readonly #leadership: LeadershipNews;
  readonly #writer: Writer;
  #failure: PaxosError | undefined;

  constructor(
    home: ReplicaHome,
    parts: {
      groupId: string;
      wireId: Buffer;
      role: MemberRole;
      founders: Configuration;
      core: PaxosCore;
      storage: GroupStorage;
      machine: StateMachine<R>;
      recovered: Recovered;
    },
  ) {
    this.#home = home;
    this.groupId = parts.groupId;
    this.wireId = parts.wireId;
    const { core, storage, machine, role } = parts;
    this.#role = role;
    this.#founders = parts.founders;
    this.#core = core;
    this.#storage = storage;
    this.#applier = new Applier(parts.groupId, machine, { ...parts.recovered, role });
    const ids = { nodeId: home.settings.nodeId, groupId: parts.groupId };
    this.#shipper = new Shipper(ids, parts.storage, (to, message) => {
      if (!this.#failure) home.post(to, this as Replica<unknown>, message);
    });
    const { outstandingMax, outstandingBytesMax, readsMax, logKeptBytesMax } = home.settings;
    this.#births = new Births({
      ids,
      storage,
      births: parts.recovered.state.births ?? new Map(),
      blank: () => core.promised.round === 0,
      members: () => nodesOf(core.configuration),
      random: home.settings.random,
      post: (to, message) => {
        if (!this.#failure) home.postHost(to, this as Replica<unknown>, message);
      },
      voice: () => this.#step({ type: "voice", nowMs: home.settings.now() }),
      fail: (cause) => this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "its log failed", cause)),
    });
    this.#snapshots = new Snapshots({
      ids,
      home,
      core,
      storage,
      machine,
      applier: this.#applier,
      post: (to, message) => {
        if (!this.#failure) home.postHost(to, this as Replica<unknown>, message);
      },
      step: (event) => this.#step(event),
      fail: (cause) =>
        this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "a snapshot could not be taken over", cause)),
    });
    this.#changes = new Changes({
      groupId: parts.groupId,
      configuration: () => core.configuration,
      chosenThrough: () => core.chosenThrough,
      progressOf: (node) => core.progressOf(node),
      refuseIfNotLeading: () => this.#refuseIfNotLeading(),
      setLearners: (learners) => this.#step({ type: "learners", learners, nowMs: home.settings.now() }),
      propose: (members) => this.#submit(new Uint8Array(0), members).done,
    });
    this.#trimmer = new Trimmer({
      keptBytesMax: logKeptBytesMax,
      trimmedThrough: storage.trimmedThrough,
      letGoThrough: () => (role === "log" ? this.#releasable : machine.durableThrough),
      pinnedSlot: () => this.#snapshots.sender.pinnedSlot,
      trim: (throughSlot) => this.trim(Math.min(throughSlot, this.#applier.appliedThrough)),
    });
    this.#reads = new PendingReads(readsMax);
    this.#submissions = new Submissions({ countMax: outstandingMax, bytesMax: outstandingBytesMax });
    const { promised: ballot } = parts.core;
    this.#leadership = new LeadershipNews(ids, { leading: false, ready: false, ballot, leader: undefined });
    this.#writer = new Writer(
      parts.storage,
      (token) => this.#step({ type: "persisted", token, nowMs: home.settings.now() }),
      (cause) => this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "its log failed", cause)),
    );
  }

  get failure(): PaxosError | undefined {
    return this.#failure;
  }

  get leading(): boolean {
    return this.#leadership.now.leading;
  }

  /** Commands applied in this life. */
  get applied(): number {
    return this.#applier.applied;
  }

  get outstanding(): number {
    return this.#submissions.under.count;
  }

  propose(command: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<R> {
    if (options?.signal) return interruptible(options.signal, () => this.submit(command).done);
    try {
      return this.submit(command).done;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  submit(command: Uint8Array): Submitted<R> {
    if (!(command instanceof Uint8Array)) throw badArgument("command", "a Uint8Array", command);
    const { commandBytesMax } = this.#home.settings;
    if (command.length > commandBytesMax)
      throw badArgument("command", `at most ${commandBytesMax} bytes long`, command.length);
    return this.#submit(command);
  }

  #submit(command: Uint8Array, members?: Members): Submitted<R> {
    this.#refuseIfNotLeading();
    const { under } = this.#submissions;
    if (!under.hasRoom(command.length)) {
      throw new PaxosError(
        "ERR_PAXOS_OVERLOADED",
        `group ${this.groupId} has ${under.count} commands under way, try later`,
      );
    }
    const { ballot } = this.#leadership.now;
    const submitted = this.#submissions.add(command, { logEnd: this.#core.logEnd, ballot }, members);
    this.#home.due(this as Replica<unknown>);
    return submitted;
  }

  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T> {
    if (options?.signal) return interruptible(options.signal, () => this.read(fn));
    return new Promise<T>((resolve, reject) => {
      this.#refuseIfStopped();
      const { ask, first } = this.#reads.add(fn, resolve, reject);
      if (first) this.#home.due(this as Replica<unknown>);
      if (ask !== undefined) this.#step({ type: "read", id: ask, nowMs: this.#home.settings.now() });
    });
  }

  status(): GroupStatus {
    const { nodeId, zone, now } = this.#home.settings;
    const { leading, ready, ballot, leader } = this.#leadership.now;
    return {
      groupId: this.groupId,
      nodeId,
      zone,
      members: nodesOf(this.#core.configuration),
      role: this.#role,
      leader,
      leading,
      ready,
      ballot,
      chosenThrough: this.#core.chosenThrough,
      appliedThrough: this.#applier.appliedThrough,
      trimmedThrough: this.#storage.trimmedThrough,
      leaseRemainingMs: ready ? this.#core.leaseRemainingMs(now()) : 0,
      awaitsSnapshot: this.#applier.behind,
      voting: this.#core.voting,
      departed: this.#core.departed,
      outstanding: this.#submissions.under.count,
      failure: this.#failure,
    };
  }

  members(): GroupMembers {
    const { slot, storage, log } = this.#core.configuration;
    return { storage, log, chosen: slot <= this.#core.chosenThrough };
  }

  replaceWithLogReplica({ failed, by, signal }: { failed: string; by: string; signal?: AbortSignal }): Promise<void> {
    return this.#change("failed", failed, signal, (current) => {
      if (roleIn(current, by) === "storage") throw badArgument("by", "a node that is no storage replica", by);
      return {
        storage: current.storage.filter((node) => node !== failed),
        log: [...current.log.filter((node) => node !== failed && node !== by), by],
      };
    });
  }

  addStorageReplica(options: { node: string; replaces?: string; signal?: AbortSignal }): Promise<void> {
    const { node, replaces, signal } = options;
    return this.#change("replaces", replaces, signal, (current) => ({
      storage: [...current.storage.filter((one) => one !== replaces && one !== node), node],
      log: current.log.filter((one) => one !== replaces && one !== node),
    }));
  }

  promote({ node, signal }: { node: string; signal?: AbortSignal }): Promise<void> {
    if (roleIn(this.#core.configuration, node) === undefined) throw badArgument("node", "a member", node);
    return this.addStorageReplica({ node, ...(signal && { signal }) });
  }

  remove({ node, signal }: { node: string; signal?: AbortSignal }): Promise<void> {
    return this.#change("node", node, signal, ({ storage, log }) => ({
      storage: storage.filter((one) => one !== node),
      log: log.filter((one) => one !== node),
    }));
  }

  #change(
    argument: string,
    leaving: string | undefined,
    signal: AbortSignal | undefined,
    wanted: (current: Configuration) => Members,
  ): Promise<void> {
    if (leaving === this.#home.settings.nodeId) {
      throw badArgument(argument, "another node than the leader: have it resign first", leaving);
    }
    return this.#changes.lead(wanted, signal);
  }

  onLeadership(fn: (leadership: Leadership) => void): () => void {
    return this.#leadership.listen(fn);
  }

  entries(range: { readonly from?: number; readonly through?: number } = {}): AsyncIterable<Entry> {
    const from = checkInteger("from", range.from ?? this.#storage.trimmedThrough + 1, 1, Number.MAX_SAFE_INTEGER);
    const through = checkInteger(
      "through",
      range.through ?? this.#applier.appliedThrough,
      0,
      this.#applier.appliedThrough,
    );
    return storedEntries(this.#storage, from, through);
  }

  async trim(throughSlot: number): Promise<void> {
    checkInteger("throughSlot", throughSlot, 0, this.#applier.appliedThrough);
    this.#refuseIfStopped();
    if (throughSlot <= this.#storage.trimmedThrough) return;
    try {
      await this.#writer.during(this.#storage.trim(throughSlot, this.#founders));
    } catch (cause) {
      const failure = asFailure("ERR_PAXOS_STORAGE", this.groupId, "the log could not be trimmed", cause);
      this.stop(failure);
      throw failure;
    }
    const { base } = this.#storage;
    this.#step({ type: "trimmed", throughSlot, nowMs: this.#home.settings.now(), ...(base && { base }) });
  }

  resign(): void {
    if (this.leading) this.#step({ type: "resign", nowMs: this.#home.settings.now() });
  }

  /** The host's timer. */
  tick(nowMs: number): void {
    if (nowMs >= this.#core.wakeAtMs) this.#step({ type: "tick", nowMs });
    if (this.#failure) return;
    this.#births.tick(nowMs);
    this.#snapshots.tick(nowMs, this.#leadership.now.leader);
    this.#changes.tick();
  }

  receive(from: string, message: Message): void {
    this.#step({ type: "message", from, message, nowMs: this.#home.settings.now() });
  }

  receiveHost(from: string, message: HostMessage): void {
    if (this.#failure) return;
    if (message.type === "knock") this.#births.onKnock(from, message.birth);
    else if (message.type === "known") this.#births.onKnown(from, message.birth, message.blank);
    else this.#snapshots.receive(from, message);
  }

  /** The end of a turn: everything submitted in it becomes one step. */
  turn(): void {
    for (const id of this.#reads.turn()) this.#step({ type: "read", id, nowMs: this.#home.settings.now() });
    const proposals = this.#submissions.take();
    if (proposals.length === 0) return;
    this.#step({ type: "propose", proposals, nowMs: this.#home.settings.now() });
  }

  /** Ends this replica on this node: nobody is left waiting, and the core hears of nothing any more. Idempotent, the first reason stays. */
  stop(reason: PaxosError): void {
    if (this.#failure) return;
    const closing = reason.code === "ERR_PAXOS_CLOSED";
    // What the others can learn at once saves them an election's wait. A core that lost its disk says no more than that.
    const event: CoreEvent = {
      type: closing || reason.code === "ERR_PAXOS_APPLY" ? "resign" : "persistFailed",
      nowMs: this.#home.settings.now(),
    };
    try {
      for (const effect of this.#core.step(event)) {
        if (effect.type === "send") this.#home.post(effect.to, this as Replica<unknown>, effect.message);
      }
    } catch {
      // It stopped for a reason that it cannot step over.
    }
    this.#failure = reason;
    this.#births.close();
    this.#snapshots.close();
    this.#changes.tick();
    this.#submissions.take();
    this.#submissions.under.rejectAll(
      new PaxosError("ERR_PAXOS_UNKNOWN_OUTCOME", `group ${this.groupId} stopped: ${reason.message}`, {
        cause: reason,
      }),
    );
    this.#reads.rejectAll(reason);
    this.#leadership.end();
    if (!closing && stopped.hasSubscribers)
      stopped.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, reason });
  }

  /** Resolves when no write or read of this group's log is under way any more. */
  async settled(): Promise<void> {
    await this.#writer.settled();
    await this.#shipper.settled();
    await this.#snapshots.settled();
  }

  #step(event: CoreEvent): void {
    if (this.#failure) return;
    // A state machine or a listener may call back into the group: its event waits until the effects of this one are done.
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next && !this.#failure; next = this.#events.shift()) {
        for (const effect of this.#core.step(next)) this.#execute(effect);
      }
    } catch (cause) {
      this.stop(asFailure("ERR_PAXOS_INVARIANT", this.groupId, "the protocol stopped", cause));
    } finally {
      this.#stepping = false;
    }
  }

  #execute(effect: Effect): void {
    if (this.#failure) return;
    switch (effect.type) {
      case "persist":
        this.#writer.write(effect);
        break;
      case "send":
        this.#home.post(effect.to, this as Replica<unknown>, effect.message);
        break;
      case "chosen":
        this.#apply(effect.entries);
        break;
      case "proposed":
        if (!this.#submissions.under.expects(effect.slot, effect.ballot) || effect.id !== effect.slot) {
          throw new PaxosError(
            "ERR_PAXOS_INVARIANT",
            `a command submitted for slot ${effect.id} came to slot ${effect.slot}`,
          );
        }
        break;
      case "rejected":
        this.#rejected(effect);
        break;
      case "readable":
        this.#readable(effect.id, effect.slot);
        break;
      case "leadership":
        this.#changeLeadership(effect);
        break;
      case "ship":
        this.#shipper.ship(effect);
        break;
      case "snapshotNeeded":
        this.#snapshots.sender.needed(effect.to, effect.fromSlot);
        break;
      case "releasable":
        this.#releasable = Math.max(this.#releasable, effect.throughSlot);
        this.#trimmer.look();
        break;
      case "configured":
        break;
      case "departed":
        if (departed.hasSubscribers) {
          departed.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId });
        }
        break;
    }
  }

  #apply(entries: readonly Entry[]): void {
    if (entries.length > applyAtOnceMax) this.#home.postNow();
    try {
      this.#applier.chosen(entries, (entry, result, failure) => {
        const waiting = this.#submissions.under.take(entry.slot);
        if (!waiting) return;
        if (failure) waiting.reject(failure);
        else if (entry.kind !== "noop" && sameBallot(waiting.ballot, entry.ballot)) waiting.resolve(result as R);
        else waiting.reject(this.#notLeader());
      });
    } catch (cause) {
      this.stop(asFailure("ERR_PAXOS_APPLY", this.groupId, "it could not be applied", cause));
      return;
    }
    this.#trimmer.chosen(entries);
    const { leading, ready, ballot } = this.#leadership.now;
    const last = entries.at(-1);
    if (leading && !ready && last && sameBallot(last.ballot, ballot))
      this.#leadership.tell({ ...this.#leadership.now, ready: true });
  }

  #rejected({ id, reason, leader }: Extract<Effect, { type: "rejected" }>): void {
    const error =
      reason === "not-leader"
        ? this.#notLeader(leader)
        : reason === "unsafe"
          ? new PaxosError("ERR_PAXOS_MEMBERS", `group ${this.groupId} cannot have these members: ${unsafe}`)
          : new PaxosError("ERR_PAXOS_OVERLOADED", `group ${this.groupId} refused it: ${reason}`);
    this.#reads.take(id)?.reject(error);
    if (id > 0) this.#submissions.under.take(id)?.reject(error);
  }

  #readable(id: number, slot: number): void {
    const read = this.#reads.take(id);
    if (!read) return;
    if (slot > this.#applier.appliedThrough) {
      throw new PaxosError(
        "ERR_PAXOS_INVARIANT",
        `readable at slot ${slot}, applied through ${this.#applier.appliedThrough}`,
      );
    }
    read.run();
  }

  #changeLeadership({ leading, ballot, leader }: Extract<Effect, { type: "leadership" }>): void {
    const before = this.#leadership.now;
    if (before.leading && !(leading && sameBallot(before.ballot, ballot))) {
      const { under } = this.#submissions;
      for (const { id } of this.#submissions.take()) under.take(id)?.reject(this.#notLeader(leader));
      under.rejectAll(
        new PaxosError(
          "ERR_PAXOS_UNKNOWN_OUTCOME",
          `leadership of group ${this.groupId} was lost before the command was known to be chosen; it may or may not be carried out`,
          { leader },
        ),
      );
    }
    this.#leadership.tell({
      leading,
      ready: before.ready && leading && sameBallot(before.ballot, ballot),
      ballot,
      leader,
    });
  }

  #refuseIfNotLeading(): void {
    this.#refuseIfStopped();
    if (!this.leading) throw this.#notLeader();
  }

  #refuseIfStopped(): void {
    if (!this.#failure) return;
    const { code, message } = this.#failure;
    throw new PaxosError(code, message, { cause: this.#failure });
  }

  #notLeader(leader: string | undefined = this.#leadership.now.leader): PaxosError {
    const hint = leader === undefined ? "nobody is known to lead" : `${leader} leads`;
    return new PaxosError("ERR_PAXOS_NOT_LEADER", `this node does not lead group ${this.groupId}; ${hint}`, { leader });
  }
}
