import type { Caller } from "../rpc/protocol.js";
import type { NodeStatus } from "../storage-node/status.js";

const TIMEOUT_MS = 1_000;

/** What the nodes that answer say, by their ids. One that does not answer is left out, and delays nobody longer than a second. */
export async function reachableStatuses({
  members,
  callerTo,
  only,
}: {
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
  /** These partitions; absent: all, thousands perhaps. */
  readonly only?: readonly number[];
}): Promise<Map<string, NodeStatus>> {
  const found = new Map<string, NodeStatus>();
  await Promise.allSettled(
    members.map(async (node) =>
      found.set(
        node,
        await callerTo(node).call("status", only === undefined ? {} : { only }, { timeoutMs: TIMEOUT_MS }),
      ),
    ),
  );
  return found;
}
