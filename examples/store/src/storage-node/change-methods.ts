import type { ObjectStore } from "@evenkeel/wal/archive";
import type { Handlers } from "../rpc/protocol.js";
import { archivedBeginning, archivedChanges } from "./changes.js";
import { StoreError } from "./errors.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";

type ChangeMethods = Pick<
  Handlers,
  "describePartition" | "changes" | "changesBeginning" | "changesEnd" | "archivedBeginning" | "archivedChanges"
>;

/** At the leader, upon everything that was acknowledged anywhere before. */
async function read<T>({ group }: PartitionHost, fn: () => T): Promise<T> {
  const { leading, leader } = group.leadership();
  if (!leading) throw notLeader(leader);
  return await settled(group.read(fn));
}

/** What is asked about the changes to a partition's items. */
export function changeMethods(
  partitionOf: (partition: number) => PartitionHost,
  archive: () => ObjectStore,
): ChangeMethods {
  return {
    async describePartition({ partition, description }) {
      const { writer, participant } = partitionOf(partition);
      // A transaction that has begun here ends here: what it writes is recorded, and stands before the end.
      if (description.ending && !participant.isQuiet()) return {};
      return { slot: await writer.describe(description) };
    },

    async changes({ partition, after, limits, stream }) {
      const host = partitionOf(partition);
      const { replica, changes } = host;
      const { appliedThrough, description } = await read(host, () => ({
        appliedThrough: replica.appliedThrough,
        description: replica.description,
      }));
      if (stream !== undefined && description.stream !== stream)
        throw new StoreError("ERR_STORE_CONFLICT", `partition ${partition} does not record stream ${stream} any more`);
      const throughSlot = Math.min(limits.throughSlot ?? appliedThrough, appliedThrough);
      return await changes.after(after, { ...limits, throughSlot });
    },

    changesBeginning: async ({ partition, slot }) => ({ slot: await partitionOf(partition).changes.beginning(slot) }),

    async changesEnd({ partition }) {
      const host = partitionOf(partition);
      return await read(host, () => ({ slot: host.replica.appliedThrough, timeMs: host.replica.lastTimeMs }));
    },

    archivedBeginning: async ({ partition, slot }) => ({ slot: await archivedBeginning(archive(), partition, slot) }),

    archivedChanges: ({ partition, after, throughSlot, limits }) =>
      archivedChanges(archive(), partition, after, throughSlot, limits),
  };
}
