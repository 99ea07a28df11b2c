import { MemdsClient, MemdsServer } from "@evenkeel/memds";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HASH_END, type PartitionRecord, routeKey, streamKey, tableKey } from "../src/metadata/records.js";
import { Routes } from "../src/router/routes.js";

let server: MemdsServer;
let client: MemdsClient;
let version = 0;

beforeAll(async () => {
  server = await MemdsServer.listen({ port: 0 });
  client = new MemdsClient({ servers: [server] });
});
afterAll(async () => {
  await client.close();
  await server.close();
});

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function ring(tableId: string, cuts: readonly number[]): PartitionRecord[] {
  const starts = [0, ...new Set(cuts)].sort((a, b) => a - b);
  return starts.map((hashFrom, i) => {
    return { partition: i + 1, tableId, hashFrom, hashTo: starts[i + 1] ?? HASH_END, members: ["a1", "b1", "c1"] };
  });
}

function load(records: readonly PartitionRecord[]): void {
  const entries = records.map((record) => ({ key: routeKey(record.tableId, record.hashFrom), value: json(record) }));
  const more = [
    { key: Buffer.from("n"), value: json(7) },
    { key: tableKey("orders"), value: json({ name: "orders", tableId: "2" }) },
    { key: streamKey("orders", "2026"), value: json({ label: "2026" }) },
  ];
  const all = [...entries, ...more].sort((a, b) => Buffer.compare(a.key, b.key));
  server.load({ version: ++version, entries: all });
}

test("every hash is led to its partition, wherever partitions begin, with as many look-ups whether the cache holds them or not", async () => {
  const hash = fc.integer({ min: 1, max: HASH_END - 1 });
  /** Some far apart, some within a 256th of the ring, some side by side. */
  const cuts = fc
    .array(
      fc.oneof(
        hash,
        fc.integer({ min: 0x1200_0000, max: 0x12ff_ffff }),
        fc.integer({ min: 0x1234_5600, max: 0x1234_5640 }),
      ),
    )
    .map((some) => some.filter((cut) => cut > 0));
  await fc.assert(
    fc.asyncProperty(cuts, fc.array(hash, { minLength: 1, maxLength: 8 }), async (starts, hashes) => {
      const records = [...ring("1", starts), ...ring("2", starts.slice(1)), ...ring("3", [])];
      load(records);
      const routes = new Routes(client);
      const asked = [...hashes, 0, HASH_END - 1, ...starts, ...starts.map((start) => start - 1)];
      const lookups: number[] = [];
      for (const round of ["cold", "warm", "flushed"]) {
        if (round === "flushed") routes.flush();
        const before = routes.stats().gets;
        for (const one of asked) {
          const found = await routes.partition("2", one);
          expect(found?.tableId, `${round}: ${one}`).toBe("2");
          expect(found !== undefined && found.hashFrom <= one && one < found.hashTo, `${round}: ${one}`).toBe(true);
        }
        lookups.push(routes.stats().gets - before);
      }
      expect(new Set(lookups).size).toBe(1);
      routes.close();
    }),
    { numRuns: 60 },
  );
});

test("what is not there is not mistaken for its neighbour", async () => {
  load([...ring("1", []), ...ring("3", [])]);
  const routes = new Routes(client);
  expect(await routes.partition("2", 5)).toBeUndefined();
  expect(await routes.partition("0", 5)).toBeUndefined();
  expect(await routes.table("orders")).toMatchObject({ tableId: "2" });
  for (const name of ["order", "orderz", "zzz"])
    await expect((async () => routes.table(name))()).rejects.toMatchObject({ type: "ResourceNotFoundException" });
  expect(await routes.stream("orders", "2026")).toEqual({ label: "2026" });
  expect(await routes.stream("orders", "2027")).toBeUndefined();
  routes.close();
});

test("what has changed is read anew, what has not is the same object", async () => {
  load(ring("1", []));
  const routes = new Routes(client);
  const whole = await routes.partition("1", 5);
  expect(await routes.partition("1", 5)).toBe(whole);
  load(ring("1", [HASH_END / 2]));
  routes.flush();
  const half = await routes.partition("1", 5);
  expect(half).toMatchObject({ hashFrom: 0, hashTo: HASH_END / 2 });
  load(ring("1", [HASH_END / 2]));
  routes.flush();
  expect(await routes.partition("1", 5)).toBe(half);
  routes.close();
});
