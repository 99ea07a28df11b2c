import { channel } from "node:diagnostics_channel";
import { sameBallot } from "../core/ballot.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { CoreEvent, Effect, Entry, Proposal } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { Applier } from "./applier.js";
import { storedEntries } from "./entries.js";
import { asFailure, interruptible } from "./failure.js";
import type { Group, GroupStatus, Leadership, Submitted } from "./group.js";
import type { ReplicaHome } from "./home.js";
import { LeadershipNews } from "./leadership.js";
import { Proposals } from "./proposals.js";
import { Shipper } from "./shipper.js";
import type { StateMachine } from "./state-machine.js";
import { Writer } from "./writer.js";

/** From this many entries on, what others wait for leaves before they are applied. */
const applyAtOnceMax = 64;

const stopped = channel("evenkeel:paxos:stopped");
const snapshotNeeded = channel("evenkeel:paxos:snapshot-needed");

interface PendingRead {
  readonly run: () => void;
  readonly reject: (error: PaxosError) => void;
}

/** Executes one core's effects, in order, and keeps account of who waits for what. */
export class Replica<R> implements Group<R> {
  readonly groupId: string;
  /** The id as it stands in envelopes. */
  readonly wireId: Buffer;
  readonly #home: ReplicaHome;
  readonly #members: readonly string[];
  readonly #core: PaxosCore;
  readonly #storage: GroupStorage;
  readonly #applier: Applier<R>;
  readonly #shipper: Shipper;
  readonly #proposals: Proposals<R>;
  readonly #reads = new Map<number, PendingRead>();
  readonly #events: CoreEvent[] = [];
  #stepping = false;
  #gathered: Proposal[] = [];
  #nextRead = -1;
  /** Slot of the newest command submitted in this ballot. */
  #lastSubmitted = 0;
  readonly #leadership: LeadershipNews;
  readonly #writer: Writer;
  #failure: PaxosError | undefined;

  constructor(
    home: ReplicaHome,
    parts: {
      groupId: string;
      wireId: Buffer;
      members: readonly string[];
      core: PaxosCore;
      storage: GroupStorage;
      machine: StateMachine<R>;
      appliedThrough: number;
    },
  ) {
    this.#home = home;
    this.groupId = parts.groupId;
    this.wireId = parts.wireId;
    this.#members = [...parts.members];
    this.#core = parts.core;
    this.#storage = parts.storage;
    this.#applier = new Applier(parts.groupId, parts.machine, parts.appliedThrough);
    const ids = { nodeId: home.settings.nodeId, groupId: parts.groupId };
    this.#shipper = new Shipper(ids, parts.storage, (to, message) => {
      if (!this.#failure) home.post(to, this as Replica<unknown>, message);
    });
    const { outstandingMax, outstandingBytesMax } = home.settings;
    this.#proposals = new Proposals({ countMax: outstandingMax, bytesMax: outstandingBytesMax });
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
    return this.#proposals.count;
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
    this.#refuseIfStopped();
    const { leading, ballot } = this.#leadership.now;
    if (!leading) throw this.#notLeader();
    if (!this.#proposals.hasRoom(command.length)) {
      throw new PaxosError(
        "ERR_PAXOS_OVERLOADED",
        `group ${this.groupId} has ${this.#proposals.count} commands under way, try later`,
      );
    }
    // The leader appends in the order of the calls and nobody else appends in its ballot: the slot is known before the core is asked.
    const slot = (this.#proposals.count > 0 ? this.#lastSubmitted : this.#core.logEnd) + 1;
    this.#lastSubmitted = slot;
    const done = this.#proposals.add(slot, ballot, command.length);
    this.#gathered.push({ id: slot, command });
    this.#home.due(this as Replica<unknown>);
    return { slot, ballot, done };
  }

  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T> {
    if (options?.signal) return interruptible(options.signal, () => this.read(fn));
    return new Promise<T>((resolve, reject) => {
      this.#refuseIfStopped();
      const id = this.#nextRead--;
      const run = () => {
        try {
          resolve(fn());
        } catch (error) {
          reject(error);
        }
      };
      this.#reads.set(id, { run, reject });
      this.#step({ type: "read", id, nowMs: this.#home.settings.now() });
    });
  }

  status(): GroupStatus {
    const { nodeId, zone, now } = this.#home.settings;
    const { leading, ready, ballot, leader } = this.#leadership.now;
    return {
      groupId: this.groupId,
      nodeId,
      zone,
      members: this.#members,
      leader,
      leading,
      ready,
      ballot,
      chosenThrough: this.#core.chosenThrough,
      appliedThrough: this.#applier.appliedThrough,
      trimmedThrough: this.#storage.trimmedThrough,
      leaseRemainingMs: ready ? this.#core.leaseRemainingMs(now()) : 0,
      outstanding: this.#proposals.count,
      failure: this.#failure,
    };
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
      await this.#storage.trim(throughSlot);
    } catch (cause) {
      const failure = asFailure("ERR_PAXOS_STORAGE", this.groupId, "the log could not be trimmed", cause);
      this.stop(failure);
      throw failure;
    }
    this.#step({ type: "trimmed", throughSlot, nowMs: this.#home.settings.now() });
  }

  resign(): void {
    if (this.leading) this.#step({ type: "resign", nowMs: this.#home.settings.now() });
  }

  /** The host's timer. */
  tick(nowMs: number): void {
    if (nowMs >= this.#core.wakeAtMs) this.#step({ type: "tick", nowMs });
  }

  receive(from: string, message: Message): void {
    this.#step({ type: "message", from, message, nowMs: this.#home.settings.now() });
  }

  /** The end of a turn: everything submitted in it becomes one step. */
  turn(): void {
    if (this.#gathered.length === 0) return;
    const proposals = this.#gathered;
    this.#gathered = [];
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
    this.#gathered = [];
    this.#proposals.rejectAll(
      new PaxosError("ERR_PAXOS_UNKNOWN_OUTCOME", `group ${this.groupId} stopped: ${reason.message}`, {
        cause: reason,
      }),
    );
    for (const read of this.#reads.values()) read.reject(reason);
    this.#reads.clear();
    this.#leadership.end();
    if (!closing && stopped.hasSubscribers)
      stopped.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, reason });
  }

  /** Resolves when no write or read of this group's log is under way any more. */
  async settled(): Promise<void> {
    await this.#writer.settled();
    await this.#shipper.settled();
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
        if (!this.#proposals.expects(effect.slot, effect.ballot) || effect.id !== effect.slot) {
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
        if (snapshotNeeded.hasSubscribers) {
          snapshotNeeded.publish({
            nodeId: this.#home.settings.nodeId,
            groupId: this.groupId,
            to: effect.to,
            fromSlot: effect.fromSlot,
          });
        }
        break;
    }
  }

  #apply(entries: readonly Entry[]): void {
    if (entries.length > applyAtOnceMax) this.#home.postNow();
    try {
      this.#applier.apply(entries, (entry, result, failure) => {
        const waiting = this.#proposals.take(entry.slot);
        if (!waiting) return;
        if (failure) waiting.reject(failure);
        else if (entry.kind === "command" && sameBallot(waiting.ballot, entry.ballot)) waiting.resolve(result as R);
        else waiting.reject(this.#notLeader());
      });
    } catch (cause) {
      this.stop(asFailure("ERR_PAXOS_APPLY", this.groupId, "it could not be applied", cause));
      return;
    }
    const { leading, ready, ballot } = this.#leadership.now;
    const last = entries.at(-1);
    if (leading && !ready && last && sameBallot(last.ballot, ballot))
      this.#leadership.tell({ ...this.#leadership.now, ready: true });
  }

  #rejected({ id, reason, leader }: Extract<Effect, { type: "rejected" }>): void {
    const error =
      reason === "not-leader"
        ? this.#notLeader(leader)
        : new PaxosError("ERR_PAXOS_OVERLOADED", `group ${this.groupId} refused it: ${reason}`);
    const read = this.#reads.get(id);
    this.#reads.delete(id);
    read?.reject(error);
    if (id > 0) this.#proposals.take(id)?.reject(error);
  }

  #readable(id: number, slot: number): void {
    const read = this.#reads.get(id);
    if (!read) return;
    this.#reads.delete(id);
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
      const unsent = this.#gathered;
      this.#gathered = [];
      for (const { id } of unsent) this.#proposals.take(id)?.reject(this.#notLeader(leader));
      this.#proposals.rejectAll(
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
