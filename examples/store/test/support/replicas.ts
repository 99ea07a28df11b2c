import { expect } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import { type Fleet, NODE_IDS } from "../../src/control/fleet.js";
import type { NodeStatus } from "../../src/storage-node/status.js";
import { eventually } from "./store.js";

const schema = { partition: { name: "id", type: "S" } } as const;

export async function statuses(fleet: Fleet): Promise<NodeStatus[] | undefined> {
  try {
    return await Promise.all(NODE_IDS.map((node) => fleet.callerTo(node).call("status", {}, { timeoutMs: 2_000 })));
  } catch {
    return undefined;
  }
}

/** Resolves when every partition is led and all its replicas have applied what is chosen. */
export async function caughtUp(fleet: Fleet): Promise<number[]> {
  let partitions: number[] = [];
  await eventually("all replicas have applied what is chosen", async () => {
    const all = await statuses(fleet);
    if (all === undefined) return false;
    partitions = [...new Set(all.flatMap((status) => status.partitions.map(({ partition }) => partition)))];
    return partitions.every((partition) => {
      const replicas = all.map((status) => status.partitions.find((found) => found.partition === partition));
      const chosen = Math.max(...replicas.map((replica) => replica?.chosenThrough ?? 0));
      return (
        replicas.some((replica) => replica?.ready) && replicas.every((replica) => replica?.appliedThrough === chosen)
      );
    });
  });
  return partitions;
}

/** Every acknowledged item stands in every replica, and all replicas of every partition are equal at one slot. */
export async function expectInAllReplicas(fleet: Fleet, acknowledged: ReadonlyMap<string, string>): Promise<void> {
  const partitions = await caughtUp(fleet);
  const all = (await statuses(fleet)) ?? [];
  const wanted = new Map(
    [...acknowledged].map(([id, value]) => [
      Buffer.from(itemKey(schema, { id: { S: id } }).bytes).toString("hex"),
      { id, value },
    ]),
  );
  for (const partition of partitions) {
    const leader = all.find((status) =>
      status.partitions.some((found) => found.partition === partition && found.ready),
    )?.nodeId;
    expect(leader, `leader of partition ${partition}`).toBeDefined();
    const { slot } = await fleet.callerTo(leader as string).call("mark", { partition });
    const whole = { from: new Uint8Array(0), to: undefined };
    const digests = await Promise.all(
      NODE_IDS.map((node) => fleet.callerTo(node).call("digests", { partition, slot, ranges: [whole] })),
    );
    const hex = digests.map(
      ({ digests: [digest] }) => `${digest?.keys} items, ${Buffer.from(digest?.hash ?? []).toString("hex")}`,
    );
    expect(new Set(hex), `digests of partition ${partition}`).toHaveLength(1);
    if (partition === 0) continue;
    // The digests are equal, so one replica's contents are everybody's.
    for (let { from } = whole; ; ) {
      const params = { partition, slot, range: { from, to: undefined }, bytesMax: 1024 * 1024 };
      const { entries, more } = await fleet.callerTo(leader as string).call("entries", params);
      for (const { key, value } of entries) {
        const hexKey = Buffer.from(key).toString("hex");
        const found = wanted.get(hexKey);
        if (found === undefined) continue;
        expect(JSON.parse(Buffer.from(value).subarray(20).toString())).toEqual({
          id: { S: found.id },
          v: { S: found.value },
        });
        wanted.delete(hexKey);
      }
      if (!more) break;
      from = Buffer.concat([entries.at(-1)?.key ?? Buffer.alloc(0), Buffer.alloc(1)]);
    }
  }
  expect(
    [...wanted.values()].map(({ id }) => id),
    "acknowledged and lost",
  ).toEqual([]);
}
