import {
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restoreState,
  retain,
  sha256,
  writeSnapshot,
} from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { archiveUnit } from "../src/scrub/archive-unit.js";
import { findingsOf } from "../src/scrub/findings.js";
import { type RepairParts, repairArchive } from "../src/scrub/repairs.js";

const stream = "p7";
const signal = new AbortController().signal;

async function* entries(from: number, through: number) {
  for (let sequence = from; sequence <= through; sequence++)
    yield { sequence, timeMs: Date.UTC(2026, 0, sequence), data: Buffer.from(`command ${sequence} `.repeat(9)) };
}

async function archive(store: ObjectStore, from: number, through: number): Promise<void> {
  const archiver = await Archiver.open({ store, stream });
  await archiver.archive(entries(from, through), { signal });
}

const snapshot = (store: ObjectStore, sequence: number) =>
  writeSnapshot({ store, stream, sequence, chunks: [Buffer.from(`state at ${sequence}`)] });

/** Thirty entries in three objects, of which retention has let go of what led up to slot 10. */
async function begun(...snapshots: number[]): Promise<ObjectStore> {
  const store = memoryObjectStore();
  for (let from = 1; from <= 30; from += 10) await archive(store, from, from + 9);
  for (const sequence of [10, ...snapshots]) await snapshot(store, sequence);
  await retain({ store, stream, promise: { sinceSequence: 10 } });
  return store;
}

async function rot(store: ObjectStore, part: string): Promise<void> {
  for await (const key of store.list(`${stream}/`)) {
    if (!key.includes(part)) continue;
    const bytes = Uint8Array.from((await store.get(key)) as Uint8Array);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4;
    await store.put(key, bytes, { sha256: sha256(bytes) });
    return;
  }
  throw new Error(`nothing is called ${part}`);
}

const FLOOR = "snapshots/0000000000000010";

/** Logs go back no further than to entry 26, and nobody is asked for what they do not have. */
function partsOf(store: ObjectStore, audit: string[], write = async () => 30) {
  const status = { partitions: [{ partition: 7, members: ["a1"], trimmedThrough: 25, appliedThrough: 30 }] };
  return {
    fleet: { nodeIds: () => ["a1"], callerTo: () => ({ call: async () => status }) },
    archive: store,
    audit: ({ phase, outcome }: { phase: string; outcome?: string }) => void audit.push(outcome ?? phase),
    calls: {
      call: async (_: number, __: unknown, method: string) => {
        if (method !== "snapshot") throw new Error(`${method} was not to be asked for`);
        return { slot: await write() };
      },
    },
  } as unknown as RepairParts;
}

const findings = async (store: ObjectStore) => findingsOf(await archiveUnit("p7/archive", store, stream).pass({}));
const stateAt = async (store: ObjectStore, sequence: number) =>
  (await restoreState({ store, stream, until: { sequence } })).snapshot?.sequence;

test("damage to what an archive begins with is told with what it costs, and given up only when that is asked for", async () => {
  const store = await begun(20, 30);
  expect(await findings(store)).toEqual([]);
  await rot(store, FLOOR);
  const cost = "moments from slot 10 to before slot 20";
  expect(await findings(store)).toEqual([
    expect.stringContaining(`it is where the archive begins: ${cost} cannot be restored`),
  ]);

  const audit: string[] = [];
  expect(await repairArchive(partsOf(store, audit), 7, [])).toEqual([
    { what: expect.stringContaining(FLOOR), outcome: "refused", why: expect.stringContaining(`${cost} (2026-01-20T`) },
  ]);
  expect(audit).toEqual([]);
  expect(await findings(store), "nothing was let go of").toHaveLength(1);

  expect(await repairArchive(partsOf(store, audit), 7, [], { shortenArchive: true })).toEqual([
    { what: expect.stringContaining(FLOOR), outcome: "shortened", why: expect.stringContaining(cost) },
  ]);
  expect(audit).toEqual(["intended", "repaired"]);
  expect(await findings(store)).toEqual([]);
  // It says so itself from now on, and all that comes later is there.
  await expect(stateAt(store, 19)).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
  expect([await stateAt(store, 25), await stateAt(store, 30)]).toEqual([20, 30]);
});

test("where there is no later snapshot, one is written first, also when nothing is to be given up", async () => {
  for (const shortenArchive of [false, true]) {
    const store = await begun();
    await rot(store, FLOOR);
    expect(await findings(store)).toEqual([expect.stringContaining("until another snapshot is written")]);
    const write = async () => {
      await snapshot(store, 30);
      return 30;
    };
    const [done] = await repairArchive(partsOf(store, [], write), 7, [], { shortenArchive });
    expect(done).toMatchObject({ outcome: shortenArchive ? "shortened" : "refused" });
    expect(done?.why).toContain("moments from slot 10 to before slot 30");
    expect(await stateAt(store, 30)).toBe(30);
    expect(await findings(store)).toHaveLength(shortenArchive ? 0 : 1);
  }
});

test("one that cannot be written, or is not whole itself, is a failure, and nothing is let go of", async () => {
  const store = await begun();
  await rot(store, FLOOR);
  const audit: string[] = [];
  const failing = partsOf(store, audit, async () => {
    throw new Error("the tree is rotten too");
  });
  expect(await repairArchive(failing, 7, [], { shortenArchive: true })).toMatchObject([
    { outcome: "failed", why: "the tree is rotten too" },
  ]);
  const rotten = partsOf(store, audit, async () => {
    await snapshot(store, 30);
    await rot(store, "snapshots/0000000000000030-");
    return 30;
  });
  expect(await repairArchive(rotten, 7, [], { shortenArchive: true })).toMatchObject([
    { outcome: "failed", why: expect.stringContaining("not whole either") },
  ]);
  expect(audit.at(-1)).toBe("failed");
});

test("an object to which no log goes back any more costs the moments from it to the next snapshot, which is written where there is none; nothing is let go of", async () => {
  const rotten = `${stream}/0000000000000011.log`;
  for (const snapshots of [[], [5], [20], [5, 30]]) {
    const store = memoryObjectStore();
    for (let from = 1; from <= 30; from += 10) await archive(store, from, from + 9);
    for (const sequence of snapshots) await snapshot(store, sequence);
    await rot(store, "0000000000000011.log");
    let written = 0;
    const write = async () => {
      await snapshot(store, 30);
      written++;
      return 30;
    };
    const why = "moments from slot 11 to before slot 30 (2026-01-30T";
    expect(await repairArchive(partsOf(store, [], write), 7, [], { shortenArchive: true })).toEqual([
      { what: expect.stringContaining(rotten), outcome: "refused", why: expect.stringContaining(why) },
    ]);
    expect(written, `${snapshots}`).toBe(snapshots.includes(30) ? 0 : 1);
    expect(await stateAt(store, 30)).toBe(30);
    expect(await stateAt(store, 10)).toBe(snapshots.find((sequence) => sequence < 11));
    // Of the damaged object only its very end is needed to go on from there.
    if (snapshots.includes(20)) expect(await stateAt(store, 25)).toBe(20);
  }
});

test("a manifest that is damaged or gone is made anew from its object where no log goes back to it, also where the archive begins", async () => {
  for (const [first, lose] of [
    ["01", rot],
    ["11", (store: ObjectStore, key: string) => store.delete(key)],
    ["21", rot],
  ] as const) {
    const store = await begun(20);
    const key = `${stream}/00000000000000${first}.manifest`;
    const before = await store.get(key);
    await lose(store, key);
    const audit: string[] = [];
    expect((await repairArchive(partsOf(store, audit), 7, []))[0], key).toMatchObject({ outcome: "repaired" });
    expect(await store.get(key), key).toEqual(before);
    expect([audit.slice(0, 2), await findings(store)]).toEqual([["intended", "repaired"], []]);
  }
});

test("damage to the very first object, to which no log goes back any more, is damage to the beginning", async () => {
  const store = memoryObjectStore();
  for (let from = 1; from <= 30; from += 10) await archive(store, from, from + 9);
  await snapshot(store, 20);
  await rot(store, "0000000000000001.log");
  const cost = "moments from slot 0 to before slot 20";
  const repair = async (shortenArchive: boolean) => repairArchive(partsOf(store, []), 7, [], { shortenArchive });
  expect(await repair(false)).toMatchObject([{ outcome: "refused", why: expect.stringContaining(cost) }]);
  expect(await repair(true)).toMatchObject([{ outcome: "shortened", why: expect.stringContaining(cost) }]);
  expect(await findings(store)).toEqual([]);
  expect(await stateAt(store, 25)).toBe(20);
});

test("an object that is gone is a hole, with its name, whatever is whole behind it", async () => {
  const store = memoryObjectStore();
  for (let from = 1; from <= 30; from += 10) await archive(store, from, from + 9);
  expect(await findings(store)).toEqual([]);
  const second = `${stream}/0000000000000011`;
  await store.delete(`${second}.log`);
  expect(await findings(store)).toEqual([expect.stringContaining(`${second}.log is missing`)]);
  await store.delete(`${second}.manifest`);
  expect(await findings(store)).toEqual([expect.stringMatching(/11.*missing|missing.*11/)]);
});
