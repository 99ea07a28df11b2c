import { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Sleeper } from "./dormitory.js";
import type { Executor } from "./executor.js";
import type { Group, GroupMembers, GroupStatus, Leadership, LocalRead, LocalReadOptions, Submitted } from "./group.js";
import type { LeadershipNews } from "./leadership.js";
import type { PackedGroups } from "./packed-groups.js";
import type { Replica } from "./replica.js";
import type { AskedAs } from "./requests.js";
import type { StateMachine } from "./state-machine.js";

/** What cannot be pressed into bytes. Most groups have none of it. */
export interface Extras<R> {
  /** Of a group that remembers clients. */
  readonly executor?: Executor<R>;
  readonly clientsMax?: number;
  /** One that cannot be taken up again by another of its kind. */
  readonly storage?: GroupStorage;
  readonly listeners?: LeadershipNews["listeners"];
  /** It was closed while it was packed, and these are the last bytes of it. */
  readonly ended?: { readonly reason: PaxosError; readonly bytes: Uint8Array };
}

/**
 * What a user holds of a group, and all that there is of one that sleeps: whose it is, its state machine, and where its few bytes are kept. Whatever is asked of it that
 * the bytes alone cannot answer has the replica put together again, which stays until it has slept for a while.
 */
export abstract class GroupHandle<R> implements Group<R>, Sleeper {
  readonly groupId: string;
  readonly machine: StateMachine<R>;
  /** In memory as a whole, or its place among the packed ones. */
  state: Replica<R> | number = 0;
  extras: Extras<R> | undefined;

  constructor(groupId: string, machine: StateMachine<R>) {
    this.groupId = groupId;
    this.machine = machine;
  }

  /** Where those of this node are. */
  protected abstract get packed(): PackedGroups;

  /** @throws PaxosError ERR_PAXOS_CLOSED */
  get replica(): Replica<R> {
    if (typeof this.state !== "number") return this.state;
    if (this.extras?.ended === undefined) return this.packed.unpack(anybodys(this)) as unknown as Replica<R>;
    const { code, message } = this.extras.ended.reason;
    throw new PaxosError(code, message, { cause: this.extras.ended.reason });
  }

  get asleep(): boolean {
    return typeof this.state === "number" ? this.extras?.ended === undefined : this.state.asleep;
  }

  get leading(): boolean {
    return typeof this.state === "number" ? this.packed.leads(anybodys(this)) : this.state.leading;
  }

  get leader(): string | undefined {
    return typeof this.state === "number" ? this.packed.glance(anybodys(this)).ballot.node : this.state.leader;
  }

  get under(): string | undefined {
    if (!this.asleep) return undefined;
    if (typeof this.state === "number") return this.packed.under(anybodys(this));
    return this.state.leading ? undefined : this.state.leader;
  }

  adrift(node: string): boolean {
    return (
      this.under === node &&
      (typeof this.state === "number" ? this.packed.core(anybodys(this)) : this.state.core).adrift
    );
  }

  get storageNodes(): readonly string[] {
    if (typeof this.state !== "number") return this.state.storageNodes;
    return this.packed.glance(anybodys(this)).configuration.storage;
  }

  votes(node: string): boolean {
    if (typeof this.state !== "number") return this.state.votes(node);
    const { storage, log } = this.packed.glance(anybodys(this)).configuration;
    return storage.includes(node) || log.includes(node);
  }

  wake(waitMs: number): void {
    this.replica.wake(waitMs);
  }

  propose(command: Uint8Array, options?: { readonly signal?: AbortSignal } & Partial<AskedAs>): Promise<R> {
    return asked(this, (replica) => replica.proposer.propose(command, options));
  }

  submit(command: Uint8Array, askedAs?: Partial<AskedAs>): Submitted<R> {
    return this.replica.proposer.submit(command, askedAs);
  }

  register(options?: { readonly signal?: AbortSignal }): Promise<number> {
    return asked(this, (replica) => replica.proposer.register(options));
  }

  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T> {
    return asked(this, (replica) => replica.read(fn, options));
  }

  mayReadNow(): boolean {
    return typeof this.state !== "number" && this.state.mayReadNow();
  }

  readLocal<T>(fn: () => T, options?: LocalReadOptions): Promise<LocalRead<T>> {
    return asked(this, (replica) => replica.readLocal(fn, options));
  }

  status(): GroupStatus {
    return typeof this.state === "number" ? this.packed.status(anybodys(this)) : this.state.status();
  }

  leadership(): Leadership {
    return typeof this.state === "number" ? this.packed.leadership(anybodys(this)) : this.state.leadership();
  }

  members(): GroupMembers {
    if (typeof this.state !== "number") return this.state.members();
    // Who sleeps knows all of its log as chosen.
    const { storage, log } = this.packed.glance(anybodys(this)).configuration;
    return { storage, log, chosen: true };
  }

  replaceWithLogReplica(change: { failed: string; by: string; signal?: AbortSignal }): Promise<void> {
    return asked(this, ({ nodeId, changes }) => changes.replaceWithLogReplica(nodeId, change));
  }

  addStorageReplica(change: { node: string; replaces?: string; signal?: AbortSignal }): Promise<void> {
    return asked(this, ({ nodeId, changes }) => changes.addStorageReplica(nodeId, change));
  }

  promote(change: { node: string; signal?: AbortSignal }): Promise<void> {
    return asked(this, ({ nodeId, changes }) => changes.promote(nodeId, change));
  }

  remove(change: { node: string; signal?: AbortSignal }): Promise<void> {
    return asked(this, ({ nodeId, changes }) => changes.remove(nodeId, change));
  }

  onLeadership(fn: (leadership: Leadership) => void): () => void {
    return this.replica.onLeadership(fn);
  }

  entries(range?: { readonly from?: number; readonly through?: number }): AsyncIterable<Entry> {
    // Each piece is read through whatever replica there is by then.
    const read = (from: number, through: number, bytesMax: number) =>
      this.replica.storage.read(from, through, bytesMax);
    return this.replica.log.entries(range, { read });
  }

  trim(throughSlot: number): Promise<void> {
    return asked(this, (replica) => replica.log.trim(throughSlot));
  }

  handOver(to: string): Promise<void> {
    return asked(this, (replica) => replica.handOver(to));
  }

  resign(): void {
    if (this.leading) this.replica.resign();
  }
}

/** What makes the handles of one node: a class of their own, so that not each of them need keep a word that is the same for all. */
export function handlesOf(packed: PackedGroups) {
  class OwnHandle extends GroupHandle<unknown> {
    protected get packed(): PackedGroups {
      return packed;
    }
  }
  return (groupId: string, machine: StateMachine<unknown>): GroupHandle<unknown> => new OwnHandle(groupId, machine);
}

// Functions and no private methods: those would cost each handle a word.

function anybodys<R>(handle: GroupHandle<R>): GroupHandle<unknown> {
  return handle as unknown as GroupHandle<unknown>;
}

/** Bad arguments are told as the replica tells them: thrown, where it throws. */
function asked<R, T>(handle: GroupHandle<R>, work: (replica: Replica<R>) => Promise<T>): Promise<T> {
  let replica: Replica<R>;
  try {
    replica = handle.replica;
  } catch (closed) {
    return Promise.reject(closed);
  }
  return work(replica);
}
