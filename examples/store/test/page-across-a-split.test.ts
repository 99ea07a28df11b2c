import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { expect, test } from "vitest";
import { compareBytes } from "../src/api/bytes.js";
import { itemKey } from "../src/api/keys.js";
import type { AttributeValue, Item, PageRequest, TableRecord } from "../src/api/model.js";
import { HASH_END, type PartitionRecord } from "../src/metadata/records.js";
import { DataPlane } from "../src/router/data-plane.js";
import type { Routes } from "../src/router/routes.js";
import type { Caller } from "../src/rpc/protocol.js";
import { partitionPage } from "../src/storage-node/page.js";
import type { Replica } from "../src/storage-node/replica.js";

const keySchema = { partition: { name: "id", type: "S" } } as const;
const TABLE = { name: "orders", tableId: "t", keySchema, billingMode: "PAY_PER_REQUEST" } as unknown as TableRecord;
const MIDDLE = HASH_END / 2;
const record = (partition: number, hashFrom: number, hashTo: number): PartitionRecord => ({
  partition,
  tableId: "t",
  hashFrom,
  hashTo,
  members: ["a1"],
});
const WHOLE = record(7, 0, HASH_END);
const LOWER = record(12, 0, MIDDLE);
const UPPER = record(13, MIDDLE, HASH_END);

const items = Array.from({ length: 40 }, (_, i) => {
  const item: Item = { id: { S: `order-${i}` } };
  return { key: itemKey(keySchema, item).bytes, hash: itemKey(keySchema, item).hash, item };
}).sort((a, b) => compareBytes(a.key, b.key));
const inOrder = items.map(({ item }) => (item.id as AttributeValue & { S: string }).S);

/** A replica that has not heard of the split yet: as of a moment ago it has all that the ring's part has. */
function replicaOf({ hashFrom, hashTo }: PartitionRecord): Replica {
  const held = items.filter(({ hash }) => hash >= hashFrom && hash < hashTo);
  return {
    *range({ from, to, reverse = false }: { from: Uint8Array; to?: Uint8Array; reverse?: boolean }) {
      const wanted = held.filter(
        ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
      );
      for (const { key, item } of reverse ? wanted.reverse() : wanted)
        yield { key, value: { json: Buffer.from(JSON.stringify(item)), itemSizeBytes: 100 } };
    },
  } as unknown as Replica;
}

/** Each hash has a route of its own in the cache, and one may be older than another. */
function planeWith(...known: [PartitionRecord, PartitionRecord]) {
  const replicas = new Map([WHOLE, LOWER, UPPER].map((one) => [one.partition, replicaOf(one)]));
  const caller = {
    call: async (_: string, { partition, request }: { partition: number; request: PageRequest }) =>
      partitionPage(replicas.get(partition) as Replica, request),
  } as unknown as Caller;
  return new DataPlane({
    routes: { partition: (_: string, hash: number) => known[hash < MIDDLE ? 0 : 1] } as unknown as Routes,
    admission: new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router-1" }),
    callerTo: () => caller,
    members: ["a1"],
  });
}

async function allOf(plane: DataPlane, bounds: Pick<PageRequest, "reverse" | "itemsMax">): Promise<string[]> {
  const found: string[] = [];
  let after: Uint8Array | undefined;
  do {
    const page = await plane.page(TABLE, { ...bounds, ...(after && { after }), consistent: false, bytesMax: 1e6 });
    for (const { id } of page.items) found.push((id as { S: string }).S);
    after = page.lastKey;
  } while (after !== undefined);
  return found;
}

test.each<[string, PartitionRecord, PartitionRecord]>([
  ["the upper half", LOWER, WHOLE],
  ["the lower half", WHOLE, UPPER],
  ["neither half", LOWER, UPPER],
  ["either half", WHOLE, WHOLE],
])("a Scan has each item once where %s is still routed to the whole that was split", async (_, low, high) => {
  const plane = planeWith(low, high);
  for (const itemsMax of [undefined, 1, 7, 40]) {
    const bounds = itemsMax === undefined ? {} : { itemsMax };
    expect(await allOf(plane, bounds), `pages of ${itemsMax}`).toEqual(inOrder);
    expect(await allOf(plane, { ...bounds, reverse: true }), `pages of ${itemsMax}, backwards`).toEqual(
      [...inOrder].reverse(),
    );
  }
});
