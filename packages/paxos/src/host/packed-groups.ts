import { BALLOT_ZERO } from "../core/ballot.js";
import type { PaxosCore } from "../core/core.js";
import type { PaxosError } from "../core/errors.js";
import { unpack } from "../core/pack.js";
import { Packer, Unpacker, Words } from "../core/press.js";
import { type Glance, glance } from "../core/replica.js";
import type { CoreOptions } from "../core/types.js";
import { Arena } from "./arena.js";
import { wireGroupId } from "./envelope.js";
import { Executor } from "./executor.js";
import type { GroupStatus, Leadership } from "./group.js";
import type { Extras, GroupHandle } from "./group-handle.js";
import type { ReplicaHome } from "./home.js";
import { LeadershipNews } from "./leadership.js";
import { pressMemory, type ReplicaMemory } from "./memory.js";
import { Replica } from "./replica.js";
import { stateless } from "./stateless.js";
import { statusOf } from "./status.js";

export interface PackedGroupsHome {
  readonly home: ReplicaHome;
  /** A replica is there again, or not any more. */
  arrived(replica: Replica<unknown>): void;
  gone(replica: Replica<unknown>): void;
}

/**
 * The groups of a node that have slept for a while. Of each are left its handle and a hundred bytes or two; everything else (the core, who waits for what, the index of its
 * log) is let go of, and put together again from them when something concerns it. That takes some tens of microseconds, and no I/O.
 */
export class PackedGroups {
  readonly #parts: PackedGroupsHome;
  readonly #words = new Words();
  readonly #arena = new Arena();
  #count = 0;
  #led = 0;

  constructor(parts: PackedGroupsHome) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#count;
  }

  /** Those of them that this node leads. */
  get led(): number {
    return this.#led;
  }

  /** Bytes that they are kept in. */
  get bytes(): number {
    return this.#arena.used;
  }

  /** Returns whether it is packed now. */
  pack(handle: GroupHandle<unknown>): boolean {
    const replica = handle.state;
    if (typeof replica === "number") return true;
    const { memory, core } = replica;
    if (memory === undefined) return false;
    const bytes = new Packer(this.#words).take((p) => {
      core.press(p);
      pressMemory(p, core, memory);
    });
    const place = bytes === undefined ? undefined : this.#arena.put(bytes);
    if (place === undefined) return false;
    handle.extras = extrasOf(replica, memory);
    handle.state = place;
    this.#count++;
    if (core.leading) this.#led++;
    this.#parts.gone(replica);
    return true;
  }

  unpack(handle: GroupHandle<unknown>): Replica<unknown> {
    const { groupId, machine, extras } = handle;
    const { home } = this.#parts;
    const { core, memory } = this.#open(handle);
    let storage = extras?.storage;
    if (storage === undefined) {
      storage = home.settings.storage(groupId);
      if (memory.storage !== undefined) storage.resume?.(memory.storage, memory.births);
    }
    const replica = new Replica<unknown>(home, {
      groupId,
      wireId: wireGroupId(groupId),
      role: roleOf(handle),
      founders: memory.founders,
      core,
      storage,
      machine,
      executor: extras?.executor ?? new Executor(groupId, machine),
      clientsMax: extras?.clientsMax,
      recovered: {
        state: { ...stateOf(core), births: memory.births },
        appliedThrough: memory.appliedThrough,
        behind: false,
      },
      memory,
      listeners: extras?.listeners,
      handle,
    });
    this.#forget(handle, core.leading);
    handle.extras = undefined;
    handle.state = replica;
    this.#parts.arrived(replica);
    return replica;
  }

  /** Closes one without putting it together. A leader says so first. */
  end(handle: GroupHandle<unknown>, reason: PaxosError): void {
    const bytes = this.#bytesOf(handle).slice();
    const { home } = this.#parts;
    const { leading } = this.glance(handle);
    if (leading) {
      const { groupId } = handle;
      const { core } = this.#open(handle);
      const wireId = wireGroupId(groupId);
      for (const effect of core.step({ type: "resign", nowMs: home.settings.now() })) {
        if (effect.type === "send") home.post(effect.to, { wireId }, effect.message);
        if (effect.type === "release") home.bonds.release(effect.to, { group: groupId, ballot: effect.ballot });
      }
    }
    const { listeners } = handle.extras ?? {};
    const ids = { nodeId: home.settings.nodeId, groupId: handle.groupId };
    new LeadershipNews(ids, this.leadership(handle), listeners).end();
    this.#forget(handle, leading);
    handle.extras = { ended: { reason, bytes } };
  }

  glance(handle: GroupHandle<unknown>): Glance {
    return this.#glanceAt(this.#bytesOf(handle));
  }

  /** Asked of each of them when a node dies: no more is read than is needed. */
  under(handle: GroupHandle<unknown>): string | undefined {
    const from = new Unpacker(this.#words, this.#bytesOf(handle));
    return from.flag(false) ? undefined : from.ballot(BALLOT_ZERO).node;
  }

  /** To be looked at, and let go of. */
  core(handle: GroupHandle<unknown>): PaxosCore {
    return this.#open(handle).core;
  }

  leads(handle: GroupHandle<unknown>): boolean {
    return handle.extras?.ended === undefined && this.glance(handle).leading;
  }

  /** Who leads in its sleep has long been ready. */
  leadership(handle: GroupHandle<unknown>): Leadership {
    const { leading, ballot } = this.glance(handle);
    if (handle.extras?.ended !== undefined) return { ...nobody, ballot };
    return { leading, ready: leading, ballot, leader: ballot.node };
  }

  status(handle: GroupHandle<unknown>): GroupStatus {
    const { core, memory } = this.#open(handle);
    const { executor, ended } = handle.extras ?? {};
    return statusOf({
      groupId: handle.groupId,
      settings: this.#parts.home.settings,
      role: roleOf(handle),
      core,
      storage: core,
      applier: { appliedThrough: memory.appliedThrough, behind: false },
      clients: executor?.clients?.size ?? 0,
      leadership: this.leadership(handle),
      outstanding: 0,
      failure: ended?.reason,
    });
  }

  #open(handle: GroupHandle<unknown>): { readonly core: PaxosCore; readonly memory: ReplicaMemory } {
    const { settings, bonds } = this.#parts.home;
    const { nodeId, tuning, random } = settings;
    const role = roleOf(handle);
    const takesRequests = handle.extras?.clientsMax !== undefined;
    const options: Omit<CoreOptions, "members"> = { ...tuning, nodeId, role, takesRequests, random };
    const from = new Unpacker(this.#words, this.#bytesOf(handle));
    const core = unpack(options, from, bonds);
    return { core, memory: pressMemory(from, core, {}) };
  }

  #bytesOf({ state, extras }: GroupHandle<unknown>): Uint8Array {
    return extras?.ended?.bytes ?? this.#arena.at(state as number);
  }

  #glanceAt(bytes: Uint8Array): Glance {
    return glance(new Unpacker(this.#words, bytes));
  }

  #forget(handle: GroupHandle<unknown>, leading: boolean): void {
    this.#arena.free(handle.state as number);
    this.#count--;
    if (leading) this.#led--;
  }
}

const nobody = { leading: false, ready: false, ballot: BALLOT_ZERO, leader: undefined };

function roleOf({ machine }: GroupHandle<unknown>): "storage" | "log" {
  return machine === stateless ? "log" : "storage";
}

function stateOf({ promised, accepted, trimmedThrough, chosenThrough }: PaxosCore) {
  return { promised, accepted, trimmedThrough, chosenThrough, entries: [] };
}

function extrasOf(replica: Replica<unknown>, memory: ReplicaMemory): Extras<unknown> | undefined {
  const { executor, clientsMax, storage, callers } = replica;
  const { listeners } = callers.leadership;
  const extras = {
    ...(clientsMax === undefined ? {} : { executor, clientsMax }),
    ...(memory.storage === undefined ? { storage } : {}),
    ...(listeners.size === 0 ? {} : { listeners }),
  };
  return Object.keys(extras).length === 0 ? undefined : extras;
}
