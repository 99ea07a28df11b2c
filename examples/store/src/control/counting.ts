import type { PartitionHost } from "../storage-node/partition-host.js";

/** Steps in one round, for all partitions together: then everything else has its turn. */
const STEPS_MAX = 20;

/**
 * Has items counted that were there before anybody counted, in the partitions that are led here: those of programs that did not. True when there is more to do soon.
 */
export async function countSome(partitions: Iterable<Pick<PartitionHost, "group" | "writer">>): Promise<boolean> {
  let steps = 0;
  for (const { group, writer } of [...partitions]) {
    // One that is not led any more is the next leader's.
    while (group.leadership().ready && (await writer.count().catch(() => false)))
      if (++steps === STEPS_MAX) return true;
  }
  return false;
}
