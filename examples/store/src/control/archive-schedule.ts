import type { Caller } from "../rpc/protocol.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import type { NodeStatus } from "../storage-node/status.js";

/** An entry waits at most this long for its archive object, so a restore can reach any moment older than this without asking. */
const ARCHIVE_AFTER_MS = 30_000;
const ARCHIVE_ENTRIES = 20_000;
/** Slots that stay in the log though everybody has them: a repair looks here for writes that came after its snapshot. */
const SLOTS_KEPT = 10_000;

export interface ArchiveScheduleOptions {
  readonly partitions: () => Iterable<PartitionHost>;
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

  async round(): Promise<void> {
    const led = [...this.#options.partitions()].filter((host) => host.group.status().ready);
    for (const host of led) {
      const { appliedThrough, archivedThrough } = host.status();
      const waiting = appliedThrough - archivedThrough;
      if (waiting <= 0) {
        this.#waitingSince.delete(host.partition);
        continue;
      }
      const since = this.#waitingSince.get(host.partition) ?? performance.now();
      this.#waitingSince.set(host.partition, since);
      if (waiting < ARCHIVE_ENTRIES && performance.now() - since < ARCHIVE_AFTER_MS) continue;
      await host.archiving.archive();
      this.#waitingSince.delete(host.partition);
    }
    const trimmable = led.filter((host) => {
      const { archivedThrough, trimmedThrough } = host.status();
      return archivedThrough - SLOTS_KEPT > trimmedThrough + SLOTS_KEPT;
    });
    if (trimmable.length > 0) await this.#trim(trimmable);
  }

  /** A slot is forgotten where the archive vouches for it and every member has it on disk in its B-tree. */
  async #trim(hosts: readonly PartitionHost[]): Promise<void> {
    const { members, callerTo } = this.#options;
    const statuses: NodeStatus[] = await Promise.all(
      members.map((node) => callerTo(node).call("status", {}, { timeoutMs: 1_000 })),
    );
    for (const host of hosts) {
      const durable = statuses.map(
        ({ partitions }) => partitions.find(({ partition }) => partition === host.partition)?.durableThrough ?? 0,
      );
      const throughSlot = Math.min(host.archiving.archivedThrough, ...durable) - SLOTS_KEPT;
      if (throughSlot <= host.group.status().trimmedThrough) continue;
      for (const node of members)
        await callerTo(node).call("trim", { partition: host.partition, throughSlot }, { timeoutMs: 30_000 });
    }
  }
}
