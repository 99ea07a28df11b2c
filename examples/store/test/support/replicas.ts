import { expect } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import { type Fleet, NODE_IDS } from "../../src/control/fleet.js";
import type { NodeStatus } from "../../src/storage-node/status.js";
import { eventually } from "./store.js";

const schema = { partition: { name: "id", type: "S" } } as const;

export async function statuses(fleet: Fleet, nodes: readonly string[] = NODE_IDS): Promise<NodeStatus[] | undefined> {
  try {
    return await Promise.all(nodes.map((node) => fleet.callerTo(node).call("status", {}, { timeoutMs: 2_000 })));
  } catch {
    return undefined;
  }
}

interface Held {
  readonly leader: string;
  /** Who holds a replica. */
  readonly members: readonly string[];
}

/** Resolves when every partition is led and all its replicas have applied what is chosen. */
export async function caughtUp(fleet: Fleet): Promise<Map<number, Held>> {
  const held = new Map<number, Held>();
  await eventually("all replicas have applied what is chosen", async () => {
    const all = await statuses(fleet, fleet.nodeIds());
    if (all === undefined) return false;
    const found = all.flatMap(({ nodeId, partitions }) => partitions.map((replica) => ({ nodeId, replica })));
    held.clear();
    for (const { nodeId, replica } of found)
      if (replica.ready) held.set(replica.partition, { leader: nodeId, members: replica.members });
    return found.every(({ replica }) => {
      const members = held.get(replica.partition)?.members ?? [];
      const among = found.filter(
        ({ nodeId, replica: { partition } }) => partition === replica.partition && members.includes(nodeId),
      );
      const chosen = Math.max(...among.map((one) => one.replica.chosenThrough));
      return (
        among.length === members.length &&
        members.length > 0 &&
        among.every((one) => one.replica.appliedThrough === chosen)
      );
    });
  });
  return held;
}

/** A mark's slot, whoever leads by now: on a busy machine the leadership may have moved since it was looked at. */
async function markedAt(fleet: Fleet, partition: number, leader: string, members: readonly string[]): Promise<number> {
  let marked: number | undefined;
  await eventually(`a mark in partition ${partition}`, async () => {
    for (const node of [leader, ...members]) {
      marked ??= await fleet
        .callerTo(node)
        .call("mark", { partition })
        .then(
          ({ slot }) => slot,
          () => undefined,
        );
    }
    return marked !== undefined;
  });
  return marked as number;
}

/** Every acknowledged item stands in every replica, and all replicas of every partition are equal at one slot. */
export async function expectInAllReplicas(fleet: Fleet, acknowledged: ReadonlyMap<string, string>): Promise<void> {
  const held = await caughtUp(fleet);
  const wanted = new Map(
    [...acknowledged].map(([id, value]) => [
      Buffer.from(itemKey(schema, { id: { S: id } }).bytes).toString("hex"),
      { id, value },
    ]),
  );
  for (const [partition, { leader, members }] of held) {
    const slot = await markedAt(fleet, partition, leader, members);
    const whole = { from: new Uint8Array(0), to: undefined };
    const digests = await Promise.all(
      members.map((node) => fleet.callerTo(node).call("digests", { partition, slot, ranges: [whole] })),
    );
    const hex = digests.map(
      ({ digests: [digest] }) => `${digest?.keys} items, ${Buffer.from(digest?.hash ?? []).toString("hex")}`,
    );
    expect(new Set(hex), `digests of partition ${partition}`).toHaveLength(1);
    if (partition === 0) continue;
    // The digests are equal, so one replica's contents are everybody's.
    for (let { from } = whole; ; ) {
      const params = { partition, slot, range: { from, to: undefined }, bytesMax: 1024 * 1024 };
      const { entries, more } = await fleet.callerTo(leader).call("entries", params);
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
