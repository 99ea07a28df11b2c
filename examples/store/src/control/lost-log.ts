import type { Group } from "@evenkeel/paxos";
import type { Caller } from "../rpc/protocol.js";
import { reachableStatuses } from "./reachable-statuses.js";

/**
 * Whether no member's log has entry `from` of a partition any more: all of them say so. Who does not answer may have it, and so may one that keeps the log alone, which it does for
 * minutes at most.
 */
export async function isInNoLog(
  { partition, group }: { readonly partition: number; readonly group: Pick<Group<number>, "members"> },
  from: number,
  callerTo: (nodeId: string) => Caller,
): Promise<boolean> {
  const { storage, log } = group.members();
  if (log.length > 0) return false;
  const statuses = await reachableStatuses({ members: storage, callerTo });
  return storage.every((node) => {
    const held = statuses.get(node)?.partitions.find((one) => one.partition === partition);
    return held !== undefined && (held.trimmedThrough >= from || held.appliedThrough < from);
  });
}
