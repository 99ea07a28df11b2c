import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { isExpired } from "../src/api/time-to-live.js";
import { Expiry } from "../src/control/expiry.js";
import { CHANGES_BEGIN } from "../src/storage-node/changes.js";
import { ExpirySweep } from "../src/storage-node/expiry-sweep.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";
import { LonePartition } from "./support/lone-partition.js";
import { temporaryDir } from "./support/store.js";

const NOW_S = 1_800_000_000;
const YEARS_5 = 5 * 365 * 86_400;

let partition: LonePartition;
let remove: () => Promise<void>;
/** What the test's clocks say. */
let wallMs: number;
let monotonicMs: number;

beforeAll(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  partition = await LonePartition.open(temporary.dir);
  await partition.host.writer.describe({ recordsChanges: true, asOf: 1 });
});
afterAll(async () => {
  await partition.close();
  await remove();
});
beforeEach(async () => {
  wallMs = NOW_S * 1000;
  monotonicMs = 0;
  for (const name of names()) await partition.host.writer.write(keyOf(name), { kind: "delete", returnValues: "NONE" });
});

const keyOf = (name: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 1, 0, name.length]), Buffer.from(name)]);
const put = (name: string, rest: Item): NodeWriteOp => {
  const item = { pk: { S: name }, ...rest };
  return { kind: "put", json: Buffer.from(JSON.stringify(item)), itemSizeBytes: itemBytes(item), returnValues: "NONE" };
};
const write = (name: string, rest: Item) => partition.host.writer.write(keyOf(name), put(name, rest));
const names = (): string[] =>
  [...partition.host.replica.range({ from: Buffer.from([0, 0, 0, 1]) })].map(({ key }) =>
    Buffer.from(key).subarray(6).toString(),
  );

function expiry(timeToLive: { attribute: string; enabled: boolean } | undefined, record: object = {}): Expiry {
  const table = { tableId: "t", status: "ACTIVE", timeToLive };
  return new Expiry({
    view: { tables: new Map([["t", table]]), partitions: new Map([[7, { tableId: "t", ...record }]]) } as never,
    partitions: () => [partition.host],
    nowMs: () => wallMs,
    now: () => monotonicMs,
  });
}

/** Passes of as many rounds as it takes. */
async function wholePass(sweeper: Expiry): Promise<void> {
  monotonicMs += 60_000;
  while (await sweeper.round()) monotonicMs += 1_000;
}

const times = fc.oneof(
  fc.constantFrom<Item>(
    {},
    { ttl: { S: String(NOW_S - 10) } },
    { ttl: { N: String(NOW_S) } },
    { ttl: { N: String(NOW_S - YEARS_5) } },
    { other: { N: String(NOW_S - 10) } },
    { m: { M: { ttl: { N: String(NOW_S - 10) } } } },
    { ttl: { N: "-1" } },
    { ttl: { N: String((NOW_S - 10) * 1000) } },
    { ttl: { NS: [String(NOW_S - 10)] } },
    { ttl: { N: "1.799999999E+9" } },
  ),
  fc.integer({ min: NOW_S - 20, max: NOW_S + 20 }).map((at): Item => ({ ttl: { N: String(at) } })),
);

test("exactly the items whose time is a number, past and not by years go, and go as the clock does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(times, { maxLength: 12 }), fc.nat({ max: 25 }), async (items, laterSeconds) => {
      wallMs = NOW_S * 1000;
      for (const [i, item] of items.entries()) await write(`i${i}`, item);
      const sweeper = expiry({ attribute: "ttl", enabled: true });
      for (const passedSeconds of [0, laterSeconds]) {
        wallMs += passedSeconds * 1000;
        await wholePass(sweeper);
        const kept = items.flatMap((item, i) => (isExpired(item, "ttl", wallMs) ? [] : [`i${i}`]));
        expect(names().sort()).toEqual(kept.sort());
      }
      for (const name of names())
        await partition.host.writer.write(keyOf(name), { kind: "delete", returnValues: "NONE" });
    }),
    { numRuns: 15 },
  );
});

test("the edges of past", () => {
  const at = (seconds: number) => isExpired({ ttl: { N: String(seconds) } }, "ttl", NOW_S * 1000 + 999);
  expect([at(NOW_S), at(NOW_S - 1), at(NOW_S - YEARS_5 + 1), at(NOW_S - YEARS_5)]).toEqual([false, true, true, false]);
  expect(isExpired({}, "__proto__", NOW_S * 1000)).toBe(false);
});

test("an item that is given more time while its turn comes stays", async () => {
  await write("a", { ttl: { N: String(NOW_S - 1) } });
  await write("b", { ttl: { N: String(NOW_S - 1) } });
  const { replica, writer } = partition.host;
  const sweep = new ExpirySweep({
    replica,
    writer: {
      async write(key, op) {
        // Decided before the deletion, and not yet chosen when that is decided.
        if (Buffer.from(key).equals(keyOf("a"))) void write("a", { ttl: { N: String(NOW_S + 100) } });
        return await writer.write(key, op);
      },
    },
  });
  expect(await sweep.step("ttl", wallMs)).toMatchObject({ expired: 1, ended: true });
  expect(names()).toEqual(["a"]);
});

test("the pace is that of the bucket, whatever there is to delete, and nothing is done where nothing expires", async () => {
  await Promise.all(Array.from({ length: 3_000 }, (_, i) => write(`n${i}`, { ttl: { N: String(NOW_S - 1) } })));
  const off = expiry({ attribute: "ttl", enabled: false });
  expect(await off.round()).toBe(false);
  const sweeper = expiry({ attribute: "ttl", enabled: true });
  const perSecond: number[] = [];
  for (let before = 0; names().length > 0; before = sweeper.items) {
    // The clock stands: the bucket runs dry, and the rounds find nothing to spend.
    for (let i = 0; i < 12; i++) await sweeper.round();
    perSecond.push(sweeper.items - before);
    monotonicMs += 1_000;
    expect(perSecond.length).toBeLessThan(10);
  }
  // 2,000 units a second; an item costs one for the look, one for the deletion, and some for its bytes.
  expect(Math.max(...perSecond)).toBeLessThan(1_200);
  expect(perSecond.reduce((sum, items) => sum + items, 0)).toBe(3_000);
  expect(perSecond.length).toBeGreaterThan(2);
});

test("what expired is told apart from what was deleted by somebody", async () => {
  await write("mine", {});
  await write("old", { ttl: { N: String(NOW_S - 1) } });
  const { changes, writer } = partition.host;
  const from = (await changes.after(CHANGES_BEGIN, { changesMax: 100_000, bytesMax: 1e9, entriesMax: 1e6 })).through;
  await writer.write(keyOf("mine"), { kind: "delete", returnValues: "NONE" });
  await wholePass(expiry({ attribute: "ttl", enabled: true }));
  const seen = (await changes.after(from)).changes;
  expect(seen.map(({ key, expired, after }) => [Buffer.from(key).subarray(6).toString(), expired, after])).toEqual([
    ["mine", false, undefined],
    ["old", true, undefined],
  ]);
});

test("a part that was opened and has not taken over is left alone: it may be opened anew, and streams begin behind that", async () => {
  await write("past", { ttl: { N: String(NOW_S - 10) } });
  await wholePass(expiry({ attribute: "ttl", enabled: true }, { filledFrom: 3 }));
  expect(names()).toEqual(["past"]);
  await wholePass(expiry({ attribute: "ttl", enabled: true }));
  expect(names()).toEqual([]);
});
