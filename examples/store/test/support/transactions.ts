import type { Fleet } from "../../src/control/fleet.js";
import { statuses } from "./replicas.js";
import { eventually } from "./store.js";

/** Resolves when every partition is led, and no item is prepared anywhere. */
export async function nothingPrepared(fleet: Fleet): Promise<void> {
  await eventually("nothing is prepared any more", async () => {
    const all = await statuses(fleet, fleet.nodeIds());
    if (all === undefined) return false;
    const replicas = all.flatMap(({ partitions }) => partitions);
    const led = new Set(replicas.filter(({ ready }) => ready).map(({ partition }) => partition));
    return replicas.every(({ partition, prepared }) => led.has(partition) && prepared === 0);
  });
}
