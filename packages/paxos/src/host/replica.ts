import { channel } from "node:diagnostics_channel";
import { type Configuration, type MemberRole, nodesOf } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { CoreEvent } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { Applier } from "./applier.js";
import { Callers } from "./callers.js";
import type { Changes } from "./changes.js";
import { Effects } from "./effects.js";
import { isEverydayEffect, isEverydayEvent } from "./everyday.js";
import type { Executor } from "./executor.js";
import { asFailure, interruptible } from "./failure.js";
import type { GroupMembers, GroupStatus, Leadership, LocalRead, LocalReadOptions } from "./group.js";
import type { GroupHandle } from "./group-handle.js";
import { handOver } from "./hand-over.js";
import type { ReplicaHome } from "./home.js";
import type { HostMessage } from "./host-messages.js";
import { leadershipOf } from "./leadership.js";
import { LocalReads } from "./local-reads.js";
import type { ReplicaMemory } from "./memory.js";
import { OwnLog } from "./own-log.js";
import { Proposer } from "./proposer.js";
import type { ReplicaParts } from "./replica-parts.js";
import { Shipper } from "./shipper.js";
import { statusOf } from "./status.js";
import { Upkeep } from "./upkeep.js";
import { Writer, type WriterOwner } from "./writer.js";

/** A moment that nobody remembers. */
const never = Number.NEGATIVE_INFINITY;

const stopped = channel("evenkeel:paxos:stopped");

/** Executes one core's effects, in order, and keeps account of who waits for what. */
export class Replica<R> implements WriterOwner {
  readonly groupId: string;
  /** The id as it stands in envelopes. */
  readonly wireId: Buffer;
  readonly #home: ReplicaHome;
  readonly #role: MemberRole;
  readonly #founders: Configuration;
  readonly core: PaxosCore;
  readonly storage: GroupStorage;
  readonly handle: GroupHandle<unknown>;
  readonly executor: Executor<R>;
  readonly log: OwnLog;
  readonly clientsMax: number | undefined;
  readonly #applier: Applier<R>;
  readonly #shipper: Shipper;
  readonly callers: Callers<R>;
  readonly #upkeep: Upkeep<R>;
  /** Of a replica that is read, or was asked by one. */
  localReads: LocalReads | undefined;
  readonly #freshMs: number | undefined;
  readonly #post: (to: string, message: HostMessage) => void;
  readonly proposer: Proposer<R>;
  #events: CoreEvent[] | undefined;
  #stepping = false;
  #sleptBefore = false;
  readonly #writer: Writer;
  readonly #effects: Effects<R>;
  #failure: PaxosError | undefined;
  /** Of one that has stopped: under whom it slept then, if it did. */
  sleptUnder: string | undefined;
  /** The agenda's. */
  plannedMs = Number.POSITIVE_INFINITY;
  /** Of those who have their groups stand one after the other; of those whose turn comes. The host's to write. */
  queued = false;
  isDue = false;

  constructor(home: ReplicaHome, parts: ReplicaParts<R>) {
    this.#home = home;
    this.groupId = parts.groupId;
    this.wireId = parts.wireId;
    const { core, storage, machine, role } = parts;
    this.#role = role;
    this.#founders = parts.founders;
    this.core = core;
    this.storage = storage;
    this.handle = parts.handle as unknown as GroupHandle<unknown>;
    this.executor = parts.executor;
    this.clientsMax = parts.clientsMax;
    this.#freshMs = parts.memory?.freshMs;
    this.#applier = new Applier(parts.groupId, machine, { ...parts.recovered, executor: parts.executor, role });
    const ids = { nodeId: home.settings.nodeId, groupId: parts.groupId };
    const ship = (to: string, message: Message) => {
      if (!this.#failure) home.post(to, this as Replica<unknown>, message);
    };
    this.#shipper = new Shipper(ids, parts.storage, ship, home.settings.now);
    this.callers = new Callers(ids, home.settings, leadershipOf(core), parts.listeners);
    this.#writer = new Writer(storage, home, this);
    this.log = new OwnLog({
      ...parts,
      writer: this.#writer,
      applier: this.#applier,
      refuseIfStopped: () => this.#refuseIfStopped(),
      fail: (failure) => this.stop(failure),
      trimmed: (throughSlot) => {
        const { base } = storage;
        this.#step({ type: "trimmed", throughSlot, nowMs: home.settings.now(), ...(base && { base }) });
      },
    });
    this.proposer = new Proposer({
      ...parts,
      home,
      applier: this.#applier,
      callers: this.callers,
      replica: this as Replica<unknown>,
    });
    this.#post = (to, message) => {
      if (this.#failure) return;
      home.postHost(to, this as Replica<unknown>, message);
      home.plan(this as Replica<unknown>);
    };
    this.#upkeep = new Upkeep({
      ...parts,
      handle: this.handle,
      ids,
      home,
      writer: this.#writer,
      applier: this.#applier,
      post: this.#post,
      step: (event) => this.#step(event),
      fail: (error) => this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "it failed", error)),
      refuseIfNotLeading: () => this.refuseIfNotLeading(),
      arrears: () => this.#effects.arrears,
      propose: (members) => this.proposer.change(members),
      trim: (throughSlot) => this.log.trim(throughSlot),
      plan: () => home.plan(this as Replica<unknown>),
    });
    this.#effects = new Effects({
      home,
      replica: this as Replica<unknown>,
      writer: this.#writer,
      applier: this.#applier,
      shipper: this.#shipper,
      callers: this.callers,
      upkeep: this.#upkeep,
      step: (event) => this.#step(event),
    });
    home.know(nodesOf(core.configuration));
    home.plan(this as Replica<unknown>);
  }

  get asleep(): boolean {
    return !this.#failure && this.core.asleep;
  }

  get leader(): string | undefined {
    return this.core.leader;
  }

  get storageNodes(): readonly string[] {
    return this.core.configuration.storage;
  }

  votes(node: string): boolean {
    return !this.core.departed && nodesOf(this.core.configuration).includes(node);
  }

  wake(waitMs: number): void {
    this.#step({ type: "wake", nowMs: this.#home.settings.now(), waitMs });
  }

  get failure(): PaxosError | undefined {
    return this.#failure;
  }

  get leading(): boolean {
    return this.callers.leadership.now.leading;
  }

  /** Commands applied in this life. */
  get applied(): number {
    return this.#applier.applied;
  }

  get outstanding(): number {
    return this.callers.submissions.under.count;
  }

  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T> {
    if (options?.signal) return interruptible(options.signal, () => this.read(fn));
    return new Promise<T>((resolve, reject) => {
      this.#refuseIfStopped();
      const { ask, first } = this.callers.reads.add(fn, resolve, reject);
      if (first) this.#home.due(this as Replica<unknown>);
      if (ask !== undefined) this.#step({ type: "read", id: ask, nowMs: this.#home.settings.now() });
    });
  }

  /** What the core would answer to a read that comes now, and those before it in this turn, without an event. */
  mayReadNow(): boolean {
    const { reads, leadership } = this.callers;
    if (this.#failure || this.#stepping || !leadership.now.ready || reads.many) return false;
    if (this.core.chosenThrough > this.#applier.appliedThrough) return false;
    if (this.core.leaseRemainingMs(this.#home.settings.now()) === 0) return false;
    if (reads.count()) this.#home.due(this as Replica<unknown>);
    return true;
  }

  readLocal<T>(fn: () => T, options?: LocalReadOptions): Promise<LocalRead<T>> {
    return this.#local().read(fn, options);
  }

  #local(): LocalReads {
    this.localReads ??= new LocalReads({
      groupId: this.groupId,
      knownMs: this.#freshMs,
      home: this.#home,
      role: this.#role,
      core: this.core,
      applier: this.#applier as Applier<unknown>,
      leadership: () => this.callers.leadership.now,
      read: (fn) => this.read(fn),
      post: this.#post,
      refuseIfStopped: () => this.#refuseIfStopped(),
    });
    return this.localReads;
  }

  status(): GroupStatus {
    return statusOf({
      groupId: this.groupId,
      settings: this.#home.settings,
      role: this.#role,
      core: this.core,
      storage: this.storage,
      applier: this.#applier,
      clients: this.executor.clients?.size ?? 0,
      leadership: this.callers.leadership.now,
      outstanding: this.outstanding,
      failure: this.#failure,
    });
  }

  leadership(): Leadership {
    return this.callers.leadership.now;
  }

  members(): GroupMembers {
    const { slot, storage, log } = this.core.configuration;
    return { storage, log, chosen: slot <= this.core.chosenThrough };
  }

  get changes(): Changes {
    return this.#upkeep.changes;
  }

  /** What this replica knows beside its core; undefined while anything is under way that cannot be put down in a few numbers. */
  get memory(): ReplicaMemory | undefined {
    const upkeep = this.#upkeep.memory;
    const freshMs = this.localReads === undefined ? (this.#freshMs ?? never) : this.localReads.memory;
    const idle = this.asleep && this.#writer.idle && this.#shipper.idle && this.callers.idle && this.#applier.steady;
    if (!idle || this.#stepping || upkeep === undefined || freshMs === undefined) return undefined;
    const storage = this.storage.resume === undefined ? undefined : this.storage.memory?.();
    if (storage === undefined && this.storage.resume !== undefined) return undefined;
    return { ...upkeep, founders: this.#founders, appliedThrough: this.#applier.appliedThrough, storage, freshMs };
  }

  halveLog(): Promise<void> | undefined {
    return this.#upkeep.halveLog();
  }

  get nodeId(): string {
    return this.#home.settings.nodeId;
  }

  onLeadership(fn: (leadership: Leadership) => void): () => void {
    return this.callers.leadership.listen(fn);
  }

  async handOver(to: string): Promise<void> {
    this.refuseIfNotLeading();
    if (to === this.nodeId) throw badArgument("to", "another node", to);
    await handOver(to, {
      groupId: this.groupId,
      core: this.core,
      leadership: () => this.callers.leadership.now,
      begin: () => this.#step({ type: "handOver", to, nowMs: this.#home.settings.now() }),
      until: (condition) => this.#upkeep.changes.until(condition),
    });
  }

  resign(): void {
    if (this.leading) this.#step({ type: "resign", nowMs: this.#home.settings.now() });
  }

  /** No tick is needed before this time (as long as nothing else happens here). */
  get wakeAtMs(): number {
    if (this.#failure) return Number.POSITIVE_INFINITY;
    return this.queued ? this.#upkeep.wakeAtMs : Math.min(this.core.wakeAtMs, this.#upkeep.wakeAtMs);
  }

  get standing(): boolean {
    return !this.#failure && this.core.standing;
  }

  wouldStand(nowMs: number): boolean {
    return !this.#failure && !this.core.leading && !this.core.standing && this.core.wakeAtMs <= nowMs;
  }

  /** The host's timer. */
  tick(nowMs: number): void {
    if (!this.queued && nowMs >= this.core.wakeAtMs) this.#step({ type: "tick", nowMs });
    if (this.#failure) return;
    this.#upkeep.tick(nowMs, this.callers.leadership.now.leader);
    this.#home.plan(this as Replica<unknown>);
  }

  durable(token: number): void {
    this.#step({ type: "persisted", token, nowMs: this.#home.settings.now() });
  }

  writeFailed(cause: unknown): void {
    this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "its log failed", cause));
  }

  receive(from: string, message: Message): void {
    this.#step({ type: "message", from, message, nowMs: this.#home.settings.now() });
  }

  receiveHost(from: string, message: HostMessage): void {
    if (this.#failure) return;
    if ("question" in message) this.#local().receive(from, message);
    else this.#upkeep.receive(from, message);
    this.#home.plan(this as Replica<unknown>);
  }

  /** The end of a turn: everything submitted in it becomes one step, unless enough is under way. */
  turn(): void {
    this.isDue = false;
    const { now, batchesMax } = this.#home.settings;
    if (this.callers.reads.inTurn)
      for (const id of this.callers.reads.turn()) this.#step({ type: "read", id, nowMs: now() });
    const proposals = this.callers.submissions.turn(this.#applier.appliedThrough, batchesMax);
    if (proposals.length > 0) this.#step({ type: "propose", proposals, nowMs: now() });
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
    if (this.asleep && !this.core.leading) this.sleptUnder = this.core.leader;
    try {
      for (const effect of this.core.step(event)) {
        if (effect.type === "send" || effect.type === "release") this.#effects.carryOut(effect);
      }
    } catch {
      // It stopped for a reason that it cannot step over.
    }
    this.#failure = reason;
    this.#effects.arrears.close();
    this.#upkeep.close();
    this.callers.end(reason);
    this.localReads?.end(reason);
    this.#settle();
    if (!closing && stopped.hasSubscribers)
      stopped.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, reason });
  }

  /** Resolves when no write or read of this group's log is under way any more. */
  async settled(): Promise<void> {
    await this.#writer.settled();
    await this.#shipper.settled();
    await this.#effects.arrears.settled();
    await this.#upkeep.settled();
  }

  #step(event: CoreEvent): void {
    if (this.#failure) return;
    // A state machine or a listener may call back into the group: its event waits until the effects of this one are done.
    if (this.#stepping) {
      this.#events ??= [];
      this.#events.push(event);
      return;
    }
    this.#stepping = true;
    let everyday = true;
    try {
      for (let next: CoreEvent | undefined = event; next && !this.#failure; next = this.#events?.shift()) {
        everyday &&= isEverydayEvent(next);
        for (const effect of this.core.step(next)) {
          everyday &&= isEverydayEffect(effect);
          if (!this.#failure) this.#effects.carryOut(effect);
        }
      }
    } catch (cause) {
      this.stop(asFailure("ERR_PAXOS_INVARIANT", this.groupId, "the protocol stopped", cause));
    } finally {
      this.#stepping = false;
      // Nothing of every day has anything fall due earlier than is planned; and to look costs as much as the step where thousands of groups take turns.
      if (!everyday || this.plannedMs === Number.POSITIVE_INFINITY || this.asleep !== this.#sleptBefore) this.#settle();
    }
  }

  #settle(): void {
    this.#sleptBefore = this.asleep;
    this.#home.settle(this as Replica<unknown>);
    this.#home.plan(this as Replica<unknown>);
  }

  refuseIfNotLeading(): void {
    this.#refuseIfStopped();
    if (!this.leading) throw this.callers.notLeader();
  }

  #refuseIfStopped(): void {
    if (!this.#failure) return;
    const { code, message } = this.#failure;
    throw new PaxosError(code, message, { cause: this.#failure });
  }
}
