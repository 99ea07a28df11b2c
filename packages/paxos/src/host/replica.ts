import { channel } from "node:diagnostics_channel";
import { sameBallot } from "../core/ballot.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { CoreEvent, Effect, Entry, Proposal } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Group, GroupStatus, Leadership, Submitted } from "./group.js";
import type { HostSettings } from "./options.js";
import { Proposals } from "./proposals.js";
import type { StateMachine } from "./state-machine.js";

/** What a replica needs of its host. */
export interface ReplicaHome {
  readonly settings: HostSettings;
  /** Puts a message into the envelope for `to` that leaves at the end of the turn. */
  post(to: string, replica: Replica<unknown>, message: Message): void;
  /** Sends what is gathered now, before something that takes long. */
  postNow(): void;
  /** A write was handed to the log in this turn. */
  writeBegun(): void;
  /** Has `turn` called at the end of this turn of the event loop. */
  due(replica: Replica<unknown>): void;
}

/** From this many entries on, what others wait for leaves before they are applied. */
const applyAtOnceMax = 64;
const readChunkBytes = 1024 * 1024;

const stopped = channel("evenkeel:paxos:stopped");
const led = channel("evenkeel:paxos:leadership");
const snapshotNeeded = channel("evenkeel:paxos:snapshot-needed");
const damaged = channel("evenkeel:paxos:unreadable");

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
  readonly #machine: StateMachine<R>;
  readonly #proposals: Proposals<R>;
  readonly #reads = new Map<number, PendingRead>();
  readonly #shipping = new Set<string>();
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  readonly #events: CoreEvent[] = [];
  #stepping = false;
  #gathered: Proposal[] = [];
  #nextRead = -1;
  /** Slot of the newest command submitted in this ballot. */
  #lastSubmitted = 0;
  #leadership: Leadership;
  #appliedThrough: number;
  #durable = 0;
  #durableTold = true;
  #writing = 0;
  #idle: (() => void) | undefined;
  #failure: PaxosError | undefined;
  applied = 0;

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
    this.#machine = parts.machine;
    this.#appliedThrough = parts.appliedThrough;
    const { outstandingMax, outstandingBytesMax } = home.settings;
    this.#proposals = new Proposals({ countMax: outstandingMax, bytesMax: outstandingBytesMax });
    this.#leadership = { leading: false, ready: false, ballot: parts.core.promised, leader: undefined };
  }

  get failure(): PaxosError | undefined {
    return this.#failure;
  }

  get leading(): boolean {
    return this.#leadership.leading;
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
    const { leading, ballot } = this.#leadership;
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
    const { leading, ready, ballot, leader } = this.#leadership;
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
      appliedThrough: this.#appliedThrough,
      trimmedThrough: this.#storage.trimmedThrough,
      leaseRemainingMs: ready ? this.#core.leaseRemainingMs(now()) : 0,
      outstanding: this.#proposals.count,
      failure: this.#failure,
    };
  }

  onLeadership(fn: (leadership: Leadership) => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  async *entries({
    from = this.#storage.trimmedThrough + 1,
    through = this.#appliedThrough,
  } = {}): AsyncIterable<Entry> {
    checkInteger("from", from, 1, Number.MAX_SAFE_INTEGER);
    checkInteger("through", through, 0, this.#appliedThrough);
    for (let next = from; next <= through; ) {
      const chunk = await this.#storage.read(next, through, readChunkBytes);
      yield* chunk;
      next += chunk.length;
    }
  }

  async trim(throughSlot: number): Promise<void> {
    checkInteger("throughSlot", throughSlot, 0, this.#appliedThrough);
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
    this.#tell({ leading: false, ready: false, ballot: this.#leadership.ballot, leader: undefined });
    this.#listeners.clear();
    if (!closing && stopped.hasSubscribers)
      stopped.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, reason });
  }

  /** Resolves when no write of this group is under way any more. */
  async settled(): Promise<void> {
    while (this.#writing > 0 || this.#shipping.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
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
        this.#persist(effect);
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
        void this.#ship(effect);
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

  #persist({ token, write }: Extract<Effect, { type: "persist" }>): void {
    this.#writing++;
    this.#home.writeBegun();
    this.#storage.write(write).then(
      () => {
        this.#wrote();
        this.#durable = Math.max(this.#durable, token);
        if (!this.#durableTold) return;
        // Writes that one sync made durable are told as one.
        this.#durableTold = false;
        queueMicrotask(() => {
          this.#durableTold = true;
          this.#step({ type: "persisted", token: this.#durable, nowMs: this.#home.settings.now() });
        });
      },
      (cause: unknown) => {
        this.#wrote();
        this.stop(asFailure("ERR_PAXOS_STORAGE", this.groupId, "its log failed", cause));
      },
    );
  }

  #wrote(): void {
    this.#writing--;
    this.#wakeSettled();
  }

  #wakeSettled(): void {
    if (this.#writing > 0 || this.#shipping.size > 0) return;
    this.#idle?.();
    this.#idle = undefined;
  }

  #apply(entries: readonly Entry[]): void {
    if (entries.length > applyAtOnceMax) this.#home.postNow();
    for (const entry of entries) {
      if (entry.slot !== this.#appliedThrough + 1) {
        throw new PaxosError(
          "ERR_PAXOS_INVARIANT",
          `slot ${entry.slot} is chosen behind applied slot ${this.#appliedThrough}`,
        );
      }
      const waiting = this.#proposals.take(entry.slot);
      if (entry.kind === "command") {
        let result: R;
        try {
          result = this.#machine.apply(entry);
        } catch (cause) {
          const failure = asFailure("ERR_PAXOS_APPLY", this.groupId, `apply threw at slot ${entry.slot}`, cause);
          waiting?.reject(failure);
          this.stop(failure);
          return;
        }
        this.applied++;
        if (waiting && sameBallot(waiting.ballot, entry.ballot)) waiting.resolve(result);
        else waiting?.reject(this.#notLeader());
      } else {
        waiting?.reject(this.#notLeader());
      }
      this.#appliedThrough = entry.slot;
    }
    const last = entries.at(-1);
    if (!last) return;
    try {
      this.#machine.advance?.(last.slot);
    } catch (cause) {
      this.stop(asFailure("ERR_PAXOS_APPLY", this.groupId, `advance threw at slot ${last.slot}`, cause));
      return;
    }
    const { leading, ready, ballot } = this.#leadership;
    if (leading && !ready && sameBallot(last.ballot, ballot)) this.#tell({ ...this.#leadership, ready: true });
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
    if (slot > this.#appliedThrough) {
      throw new PaxosError("ERR_PAXOS_INVARIANT", `readable at slot ${slot}, applied through ${this.#appliedThrough}`);
    }
    read.run();
  }

  #changeLeadership({ leading, ballot, leader }: Extract<Effect, { type: "leadership" }>): void {
    const before = this.#leadership;
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
    this.#tell({ leading, ready: before.ready && leading && sameBallot(before.ballot, ballot), ballot, leader });
  }

  #tell(leadership: Leadership): void {
    const before = this.#leadership;
    this.#leadership = leadership;
    if (before.leading !== leadership.leading && led.hasSubscribers) {
      led.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, ...leadership });
    }
    for (const listener of this.#listeners) listener(leadership);
  }

  async #ship({ to, fromSlot, throughSlot, bytesMax }: Extract<Effect, { type: "ship" }>): Promise<void> {
    // One piece a peer at a time; it asks for the next when it has this one.
    if (this.#shipping.has(to)) return;
    this.#shipping.add(to);
    try {
      const entries = await this.#storage.read(fromSlot, throughSlot, bytesMax);
      if (!this.#failure && entries.length > 0)
        this.#home.post(to, this as Replica<unknown>, { type: "learn", entries });
    } catch (cause) {
      // Trimmed meanwhile is no trouble of ours. Anything else is damage that the owner must hear of; voting goes on without those slots.
      const trimmed = cause instanceof PaxosError && cause.code === "ERR_PAXOS_TRIMMED";
      if (!trimmed && damaged.hasSubscribers) {
        damaged.publish({ nodeId: this.#home.settings.nodeId, groupId: this.groupId, fromSlot, throughSlot, cause });
      }
    } finally {
      this.#shipping.delete(to);
      this.#wakeSettled();
    }
  }

  #refuseIfStopped(): void {
    if (!this.#failure) return;
    const { code, message } = this.#failure;
    throw new PaxosError(code, message, { cause: this.#failure });
  }

  #notLeader(leader: string | undefined = this.#leadership.leader): PaxosError {
    const hint = leader === undefined ? "nobody is known to lead" : `${leader} leads`;
    return new PaxosError("ERR_PAXOS_NOT_LEADER", `this node does not lead group ${this.groupId}; ${hint}`, { leader });
  }
}

function asFailure(code: PaxosError["code"], groupId: string, what: string, cause: unknown): PaxosError {
  if (cause instanceof PaxosError) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new PaxosError(code, `group ${groupId}: ${what}: ${detail}`, { cause });
}

/** Starts what a signal may interrupt; every failure comes as a rejection. */
async function interruptible<T>(signal: AbortSignal, start: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const work = start();
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
