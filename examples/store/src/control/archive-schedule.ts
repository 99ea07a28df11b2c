import type { Caller } from "../rpc/protocol.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { reachableStatuses } from "./reachable-statuses.js";

/** An entry waits at most this long for its archive object, so a restore can reach any moment older than this without asking. */
const ARCHIVE_AFTER_MS = 30_000;
const ARCHIVE_ENTRIES = 20_000;
/** Slots that stay in the log though everybody has them: a repair looks here for writes that came after its snapshot. */
const SLOTS_KEPT = 10_000;

type Led = Pick<PartitionHost, "partition" | "group" | "archiving" | "status">;

export interface ArchiveScheduleOptions {
  readonly partitions: () => Iterable<Led>;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
}

/** Decides when a led partition's log goes to the archive, and how much of it the replicas may then forget. */
export class ArchiveSchedule {
  readonly #options: ArchiveScheduleOptions;
  readonly #waitingSince = new Map<number, number>();

  constructor(options: ArchiveScheduleOptions) {
    this.#options = options;
  }

  /** Each partition for itself: one that fails keeps no other from its turn. Rejects at the end with what failed; the next round tries again. */
  async round(): Promise<void> {
    const led = [...this.#options.partitions()].filter((host) => host.group.status().ready);
    const ids = new Set(led.map(({ partition }) => partition));
    for (const partition of this.#waitingSince.keys()) if (!ids.has(partition)) this.#waitingSince.delete(partition);
    const failures: unknown[] = [];
    for (const host of led) {
      await this.#archive(host).catch((error: unknown) => failures.push(error));
    }
    const trimmable = led.filter((host) => {
      const { archivedThrough, trimmedThrough } = host.status();
      return archivedThrough - SLOTS_KEPT > trimmedThrough + SLOTS_KEPT;
    });
    if (trimmable.length > 0) await this.#trim(trimmable, failures);
    if (failures.length > 0) throw new AggregateError(failures, `could not be archived or trimmed: ${failures.length}`);
  }

  async #archive(host: Led): Promise<void> {
    const { appliedThrough, archivedThrough } = host.status();
    const waiting = appliedThrough - archivedThrough;
    if (waiting <= 0) {
      this.#waitingSince.delete(host.partition);
      return;
    }
    const since = this.#waitingSince.get(host.partition) ?? performance.now();
    this.#waitingSince.set(host.partition, since);
    if (waiting < ARCHIVE_ENTRIES && performance.now() - since < ARCHIVE_AFTER_MS) return;
    await host.archiving.archive();
    this.#waitingSince.delete(host.partition);
  }

  /** A slot is forgotten where the archive vouches for it and every member has it on disk in its B-tree. While one is away, nothing is. */
  async #trim(hosts: readonly Led[], failures: unknown[]): Promise<void> {
    const { members, callerTo } = this.#options;
    const statuses = await reachableStatuses(this.#options);
    for (const host of hosts) {
      const durable = members.map(
        (node) =>
          statuses.get(node)?.partitions.find(({ partition }) => partition === host.partition)?.durableThrough ?? 0,
      );
      const throughSlot = Math.min(host.archiving.archivedThrough, ...durable) - SLOTS_KEPT;
      if (throughSlot <= host.group.status().trimmedThrough) continue;
      const params = { partition: host.partition, throughSlot };
      const trims = members.map(async (node) => callerTo(node).call("trim", params, { timeoutMs: 30_000 }));
      for (const outcome of await Promise.allSettled(trims))
        if (outcome.status === "rejected") failures.push(outcome.reason);
    }
  }
}
