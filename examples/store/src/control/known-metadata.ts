import { METADATA_PARTITION } from "../metadata/records.js";
import type { Fleet } from "./fleet.js";
import { reachableStatuses } from "./reachable-statuses.js";

const PAUSE_MS = 20;
const DEADLINE_MS = 10_000;

/**
 * Resolves when the metadata has a leader and every node that answers has applied what that leader has; at the latest after ten seconds, since a
 * router that cannot know may still say so. Right after a start a node remembers less than was decided, such as that a table is ACTIVE, until
 * it has heard a leader; a router that asked it would deny that the table is there. An aborted signal ends the waiting as well.
 */
export async function metadataKnown(fleet: Fleet, signal?: AbortSignal): Promise<void> {
  const giveUpAt = performance.now() + DEADLINE_MS;
  const callerTo = (node: string) => fleet.callerTo(node);
  let wanted: number | undefined;
  while (performance.now() < giveUpAt && signal?.aborted !== true) {
    const statuses = [...(await reachableStatuses({ members: fleet.nodeIds(), callerTo })).values()];
    const metadata = statuses.flatMap(({ nodeId, partitions }) =>
      // One that is not a member yet is asked by nobody.
      partitions.filter(({ partition, members }) => partition === METADATA_PARTITION && members.includes(nodeId)),
    );
    wanted ??= metadata.find(({ ready }) => ready)?.appliedThrough;
    const through = wanted;
    if (through !== undefined && metadata.every(({ appliedThrough }) => appliedThrough >= through)) return;
    await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
