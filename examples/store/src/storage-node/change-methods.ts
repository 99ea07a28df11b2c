import type { Handlers } from "../rpc/protocol.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";

type ChangeMethods = Pick<Handlers, "describePartition" | "changes">;

/** What a partition's leader is asked about the changes to its items. */
export function changeMethods(partitionOf: (partition: number) => PartitionHost): ChangeMethods {
  return {
    async describePartition({ partition, description }) {
      return { slot: await partitionOf(partition).writer.describe(description) };
    },

    async changes({ partition, after, limits }) {
      const { group, replica, changes } = partitionOf(partition);
      const { leading, leader } = group.leadership();
      if (!leading) throw notLeader(leader);
      // Nothing that was acknowledged anywhere before this call is missing.
      const appliedThrough = await settled(group.read(() => replica.appliedThrough));
      const throughSlot = Math.min(limits.throughSlot ?? appliedThrough, appliedThrough);
      return await changes.after(after, { ...limits, throughSlot });
    },
  };
}
