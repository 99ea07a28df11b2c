import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { itemKey, ringPosition } from "../src/api/keys.js";
import type { PageRequest, TableRecord } from "../src/api/model.js";
import { HASH_END } from "../src/metadata/records.js";
import { DataPlane } from "../src/router/data-plane.js";
import { RecentWrites } from "../src/router/recent-writes.js";
import type { Routes } from "../src/router/routes.js";
import type { Caller } from "../src/rpc/protocol.js";
import { StoreError } from "../src/storage-node/errors.js";

const MEMBERS = ["a1", "b1", "c1"];
const keySchema = { partition: { name: "id", type: "S" } } as const;
const TABLE = { name: "orders", tableId: "t", keySchema, billingMode: "PAY_PER_REQUEST" } as unknown as TableRecord;
const PARTITION = { partition: 7, tableId: "t", hashFrom: 0, hashTo: HASH_END, members: MEMBERS };
const INDEX = { name: "by-team", indexId: "i", keySchema: { partition: [{ name: "team", type: "S" }], sort: [] } };
const INDEX_PARTITION = { partition: 9, tableId: "i", hashFrom: 0, hashTo: HASH_END, members: MEMBERS };
const keyOf = (id: string) => itemKey(keySchema, { id: { S: id } });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A router, and whom it has asked for what. */
function router() {
  const asked: string[] = [];
  const calls: { node: string; method: string; params: unknown }[] = [];
  const answers: Record<string, unknown> = {
    write: { beforeBytes: 0, afterBytes: 10, indexUnits: { "by-team": 1 } },
    get: { itemSizeBytes: 0 },
    page: { items: [], scannedCount: 0, scannedBytes: 0 },
    indexTold: { leaders: [{ partition: 9, node: "c1" }] },
  };
  const callerTo = (node: string) =>
    ({
      async call(method: string, params: unknown) {
        asked.push(node);
        calls.push({ node, method, params });
        if (answers[method] instanceof Error) throw answers[method];
        return answers[method];
      },
    }) as unknown as Caller;
  const plane = new DataPlane({
    routes: { partition: (id: string) => (id === "i" ? INDEX_PARTITION : PARTITION) } as unknown as Routes,
    admission: new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router-1" }),
    callerTo,
    members: MEMBERS,
  });
  return { plane, asked, calls, answers };
}

/** Who is asked by four reads in turn. */
async function readers(asked: string[], read: () => Promise<unknown>): Promise<Set<string>> {
  asked.length = 0;
  for (let i = 0; i < 4; i++) await read();
  return new Set(asked);
}

test("who has just written reads at the leader, also without asking for consistency; everything else goes round the replicas", async () => {
  const { plane, asked } = router();
  const get = (id: string) => () => plane.get(TABLE, keyOf(id), { consistent: false });
  const page = (bounds: object) => () => plane.page(TABLE, { ...bounds, consistent: false, bytesMax: 1e6 });
  const { hash } = keyOf("ada");
  const ofAda = page({ from: keyOf("ada").bytes, to: Buffer.concat([keyOf("ada").bytes, Buffer.alloc(1)]) });
  const ofEve = page({ from: keyOf("eve").bytes, to: Buffer.concat([keyOf("eve").bytes, Buffer.alloc(1)]) });
  const all = new Set(MEMBERS);
  expect(await readers(asked, get("ada"))).toEqual(all);
  expect(await readers(asked, page({}))).toEqual(all);

  const op = { kind: "put", item: { id: { S: "ada" } }, returnValues: "NONE" } as const;
  await plane.write(TABLE, keyOf("ada"), op);
  const leader = asked.at(-1);
  expect(await readers(asked, get("ada"))).toEqual(new Set([leader]));
  expect(await readers(asked, ofAda)).toEqual(new Set([leader]));
  expect(await readers(asked, page({}))).toEqual(new Set([leader]));
  expect(await readers(asked, get("eve"))).toEqual(all);
  expect(await readers(asked, ofEve)).toEqual(all);
  expect(await readers(asked, page({ from: ringPosition(hash), to: ringPosition(hash) }))).toEqual(new Set([leader]));
});

test("a global index that has just been written to is read at its leader, once it was told of that; whoever cannot say so is not waited for", async () => {
  const { plane, asked, calls, answers } = router();
  const table = { ...TABLE, globalIndexes: [INDEX] } as unknown as TableRecord;
  const index = { name: "by-team" } as PageRequest["index"];
  const page = () => plane.page(table, { index, consistent: false, bytesMax: 1e6 });
  expect(await readers(asked, page)).toEqual(new Set(MEMBERS));

  const item = { id: { S: "ada" }, team: { S: "red" } };
  await plane.write(table, keyOf("ada"), { kind: "put", item, returnValues: "NONE" });
  const leader = asked.at(-1);
  calls.length = 0;
  await page();
  expect(calls).toMatchObject([
    { node: leader, method: "indexTold", params: { partition: 7, indexId: "i" } },
    { node: "c1", method: "page", params: { partition: 9 } },
  ]);
  answers.indexTold = new StoreError("ERR_STORE_UNREACHABLE", "gone");
  calls.length = 0;
  await page();
  expect(calls.map(({ method }) => method)).toEqual(["indexTold", "page"]);

  vi.advanceTimersByTime(500);
  expect(await readers(asked, page)).toEqual(new Set(MEMBERS));
});

test("a write is remembered for 250 ms, and forgotten after 500", () => {
  let nowMs = 1_000;
  const written = new RecentWrites(() => nowMs);
  nowMs += 200;
  written.wrote("t", 5);
  expect(written.has("t", 6)).toBe(false);
  expect(written.has("other")).toBe(false);
  nowMs += 250;
  expect(written.has("t", 5)).toBe(true);
  expect(written.has("t")).toBe(true);
  nowMs += 250;
  expect(written.has("t", 5)).toBe(false);
  expect(written.has("t")).toBe(false);
  written.wrote("t", 5);
  nowMs += 5_000;
  expect(written.has("t", 5)).toBe(false);
});

test("of more writes than it remembers the latest stay", () => {
  const written = new RecentWrites(() => 0);
  for (let hash = 0; hash < 25_000; hash++) written.wrote("t", hash);
  expect(written.has("t", 24_999)).toBe(true);
  expect(written.has("t", 15_000)).toBe(true);
  expect(written.has("t", 9_999)).toBe(false);
});
