import { channel } from "node:diagnostics_channel";
import type { Group } from "@evenkeel/paxos";
import type { PartitionRecord } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import type { NodeStatus } from "../storage-node/status.js";
import { reachableStatuses } from "./reachable-statuses.js";
import { nextStep } from "./replacement.js";
import type { Upkeep } from "./upkeep.js";

/** Replicas of a partition, and of the metadata at least. */
const REPLICAS = 3;
/** One answer that is late says nothing: so many in a row have to be missing, however long that takes. */
const MISSED_MIN = 3;
/** Partitions whose members change at once. */
const AT_ONCE_MAX = 4;
/** A change of members waits for a copy of the log, or of the state. */
const CHANGE_DEADLINE_MS = 40_000;

const replacing = channel("evenkeel:store:node-replaced");

export interface HealingOptions {
  readonly metadata: Pick<MetadataService, "leading" | "changePartition">;
  readonly view: Pick<MetadataView, "partitions">;
  /** The metadata's. */
  readonly group: Pick<Group, "members" | "addStorageReplica" | "remove" | "status">;
  readonly founders: readonly string[];
  /** All nodes that are known to be somewhere. */
  readonly nodeIds: () => readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
  readonly onReplaced: () => void;
  readonly upkeep: Pick<Upkeep, "replaceAfterMs">;
  /** Monotonic, in milliseconds. */
  readonly now?: () => number;
}

/**
 * Sees which nodes are there, and has those that are gone for good replaced. Every node that is there becomes a member of the metadata's group, so that each
 * knows what it is to do; one that was silent for too long is taken out of it, and out of each of its partitions: first another node keeps their
 * log, within seconds, then it builds the replica (`replacement.ts`). Runs at the leader of the metadata; each step is written down before it is
 * made and may be made twice, so that the next leader goes on from there.
 */
export class Healing {
  readonly #options: HealingOptions;
  readonly #calls: LeaderCalls;
  /** When each node was last seen, or first missed, by this leader, and how often it was missed since. */
  readonly #seen = new Map<string, { atMs: number; missed: number }>();
  /** Somebody has said that they are gone for good. */
  readonly #givenUp = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  #alive: readonly string[] = [];
  #failure: unknown;

  constructor(options: HealingOptions) {
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: CHANGE_DEADLINE_MS });
  }

  /** Nodes for the replicas of a new partition, each in another zone where that can be. */
  placement(): readonly string[] {
    const { group, founders } = this.#options;
    const { storage } = group.members();
    // Whose one answer was late is there all the same.
    const usable = storage.filter(
      (node) => (this.#seen.get(node)?.missed ?? 0) < MISSED_MIN && !this.#givenUp.has(node),
    );
    const zones = new Set<string>();
    const [first, rest]: [string[], string[]] = [[], []];
    for (const node of [...usable].sort()) {
      const zone = node[0] as string;
      (zones.has(zone) ? rest : first).push(node);
      zones.add(zone);
    }
    const chosen = [...first, ...rest].slice(0, REPLICAS);
    // One that is away for a moment is a member all the same: it will be given what it missed.
    for (const node of [...storage].sort()) {
      if (chosen.length < REPLICAS && !chosen.includes(node)) chosen.push(node);
    }
    return chosen.length < REPLICAS ? founders : chosen;
  }

  /** Somebody knows that the node is gone for good: it is replaced at once, not after a silence. Forgotten when the leader changes. */
  giveUp(nodeId: string): void {
    this.#givenUp.add(nodeId);
  }

  /** True when there is more to do soon. Rejects with what failed since the last round; it is tried again. */
  async round(): Promise<boolean> {
    const { metadata, group, onReplaced } = this.#options;
    if (group.status().departed) {
      onReplaced();
      return false;
    }
    if (!metadata.leading) {
      this.#seen.clear();
      this.#givenUp.clear();
      this.#alive = [];
      return false;
    }
    const members = [...new Set([...this.#options.nodeIds(), ...group.members().storage])];
    // Whether they are there is all that is asked: of thousands of partitions what each node says of them would take it longer than it is waited for.
    const statuses = await reachableStatuses({ ...this.#options, members, only: [] });
    const dead = this.#look(members, statuses);
    this.#metadataMembers(dead);
    this.#partitions(dead);
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure as Error;
    return this.#running.size > 0;
  }

  /** Nodes that have been silent for too long. */
  #look(members: readonly string[], statuses: ReadonlyMap<string, NodeStatus>): ReadonlySet<string> {
    const nowMs = (this.#options.now ?? (() => performance.now()))();
    const { replaceAfterMs } = this.#options.upkeep;
    const dead = new Set<string>();
    for (const node of members) {
      const seen = this.#seen.get(node) ?? { atMs: nowMs, missed: 0 };
      if (statuses.has(node)) Object.assign(seen, { atMs: nowMs, missed: 0 });
      else seen.missed++;
      this.#seen.set(node, seen);
      const silent = seen.missed >= MISSED_MIN && nowMs - seen.atMs >= replaceAfterMs;
      if (silent || this.#givenUp.has(node)) dead.add(node);
    }
    for (const node of this.#seen.keys()) if (!members.includes(node)) this.#seen.delete(node);
    this.#alive = [...statuses.keys()].filter((node) => !dead.has(node));
    return dead;
  }

  #metadataMembers(dead: ReadonlySet<string>): void {
    const { group } = this.#options;
    const { storage } = group.members();
    const signal = () => AbortSignal.timeout(CHANGE_DEADLINE_MS);
    for (const node of this.#alive) {
      if (storage.includes(node)) continue;
      this.#begin("metadata", () => group.addStorageReplica({ node, signal: signal() }));
      return;
    }
    for (const node of storage) {
      // Only where enough are left: the rest would be no safer for it.
      if (!dead.has(node) || storage.length <= REPLICAS) continue;
      if (replacing.hasSubscribers) replacing.publish({ nodeId: node });
      this.#begin("metadata", () => group.remove({ node, signal: signal() }));
      return;
    }
  }

  #partitions(dead: ReadonlySet<string>): void {
    const { view, group } = this.#options;
    const { storage } = group.members();
    const usable = this.#alive.filter((node) => storage.includes(node));
    const load = new Map(usable.map((node) => [node, 0]));
    for (const { members, building = [], log = [] } of view.partitions.values())
      for (const node of [...members, ...building, ...log])
        if (load.has(node)) load.set(node, (load.get(node) ?? 0) + 1);
    // Who is no member of the metadata's group any more was replaced, or is about to be.
    const isGone = (node: string) => dead.has(node) || (!storage.includes(node) && !this.#alive.includes(node));
    for (const record of view.partitions.values()) {
      if (this.#running.size > AT_ONCE_MAX) return;
      const step = nextStep(record, { isGone, load });
      if (step === undefined) continue;
      for (const node of step.record?.log ?? []) load.set(node, (load.get(node) ?? 0) + 1);
      this.#begin(`partition ${record.partition}`, () => this.#make(record, step));
    }
  }

  /** First what the group has to do, then what is written down of it. */
  async #make(record: PartitionRecord, step: NonNullable<ReturnType<typeof nextStep>>): Promise<void> {
    const { partition, members } = record;
    const { change } = step;
    if (change?.kind === "replace") {
      const { failed, by } = change;
      await this.#calls.call(partition, members, "replaceMember", { partition, failed, by });
    } else if (change?.kind === "promote") {
      await this.#calls.call(partition, members, "promoteMember", {
        partition,
        node: change.node,
        gone: record.gone ?? [],
      });
    }
    const before = JSON.stringify(record);
    await this.#options.metadata.changePartition(partition, (now) =>
      JSON.stringify(now) === before ? step.record : undefined,
    );
  }

  /** One change of each group at a time. */
  #begin(what: string, work: () => Promise<unknown>): void {
    if (this.#running.has(what)) return;
    const running = work()
      .then(
        () => undefined,
        (error: unknown) => {
          this.#failure = error;
        },
      )
      .finally(() => this.#running.delete(what));
    this.#running.set(what, running);
  }
}
