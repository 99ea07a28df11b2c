import { beforeEach, describe, expect, it } from "vitest";
import {
  Archiver,
  leaveGap,
  memoryObjectStore,
  type ObjectStore,
  restore,
  restoreState,
  retain,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import { collect } from "./collect.js";

const stream = "s";
const timeOf = (sequence: number) => 1_000 * sequence;

function entries(from: number, through: number) {
  return Array.from({ length: through - from + 1 }, (_, i) => {
    const sequence = from + i;
    return { sequence, timeMs: timeOf(sequence), data: Buffer.from(`entry ${sequence}`) };
  });
}

const append = async (store: ObjectStore, from: number, through: number) =>
  await (await Archiver.open({ store, stream, compression: "none" })).archive(entries(from, through));
const snapshot = (store: ObjectStore, sequence: number) =>
  writeSnapshot({ store, stream, sequence, chunks: [Buffer.from(`state at ${sequence}`)] });

async function damage(store: ObjectStore, key: string): Promise<void> {
  const bytes = Uint8Array.from((await store.get(key)) as Uint8Array);
  bytes[40] = (bytes[40] as number) ^ 1;
  await store.put(key, bytes, { sha256: sha256(bytes) });
}

/** From where, and through which entry, a moment is restored. */
async function stateAt(store: ObjectStore, timeMs: number): Promise<readonly [number, number]> {
  const found = await restoreState({ store, stream, until: { timeMs } });
  const from = found.snapshot?.sequence ?? 0;
  const all = await collect(found.entries());
  return [from, all.at(-1)?.sequence ?? from];
}

const lost = { code: "ERR_ARCHIVE_HOLE", message: expect.stringContaining('entries 11 to 24 of "s" are lost') };
const [SECOND, THIRD] = ["s/0000000000000011", "s/0000000000000021"];

describe("an archive whose end is lost, to which no log goes back", () => {
  let store: ObjectStore;
  beforeEach(async () => {
    store = memoryObjectStore();
    await append(store, 1, 10);
    await snapshot(store, 5);
    await append(store, 11, 20);
  });

  const losses = {
    "its last manifest is damaged": () => damage(store, `${SECOND}.manifest`),
    "its last manifest is gone": () => store.delete(`${SECOND}.manifest`),
    "the last of what it had is gone": async () => {
      await store.delete(`${SECOND}.manifest`);
      await store.delete(`${SECOND}.log`);
    },
  };

  it.each(Object.entries(losses))("goes on behind the gap where %s", async (_, lose) => {
    await lose();
    const gap = { store, stream, first: 25, timeMaxMs: timeOf(24) };
    expect(await leaveGap(gap)).toEqual({ from: 11, first: 25, lostFromMs: timeOf(10) });
    expect((await Archiver.open({ store, stream })).archivedThrough).toBe(24);
    // Nobody takes it to end before the gap while nothing is behind it.
    await expect(stateAt(store, timeOf(99))).rejects.toMatchObject(lost);
    expect(await leaveGap({ ...gap, first: 23 })).toEqual({ from: 11, first: 25, lostFromMs: timeOf(10) });

    await append(store, 25, 30);
    await expect(stateAt(store, timeOf(30)), "not without a snapshot").rejects.toMatchObject(lost);
    await snapshot(store, 28);
    await append(store, 31, 32);
    expect((await Archiver.open({ store, stream })).beganAnewAt).toBe(25);
    expect(await stateAt(store, timeOf(9)), "before the gap").toEqual([5, 9]);
    for (const sequence of [10, 11, 17, 24, 26, 27])
      await expect(stateAt(store, timeOf(sequence)), `${sequence}`).rejects.toMatchObject(lost);
    expect([await stateAt(store, timeOf(28)), await stateAt(store, timeOf(99))]).toEqual([
      [28, 28],
      [28, 32],
    ]);
    expect((await collect(restore({ store, stream, from: 25 }))).map(({ sequence }) => sequence)).toEqual([
      25, 26, 27, 28, 29, 30, 31, 32,
    ]);
    await expect(collect(restore({ store, stream, from: 9 }))).rejects.toMatchObject(lost);
    await expect(collect(restore({ store, stream, from: 12 }))).rejects.toMatchObject(lost);

    // What another replica has of what is lost is passed over; what it has besides is compared.
    const other = await Archiver.open({ store, stream });
    expect(await other.compare(entries(20, 32))).toBe(32);
    const changed = entries(30, 30).map((entry) => ({ ...entry, timeMs: 1 }));
    const diverged = { code: "ERR_ARCHIVE_DIVERGED" };
    await expect(other.compare([...entries(20, 29), ...changed])).rejects.toMatchObject(diverged);
    const report = await verifyArchive({ store, stream });
    expect(report.snapshots).toEqual([5, 28]);
    expect(report.problems).toHaveLength(1);
  });

  it("begins with what there is where nothing of it is left", async () => {
    store = memoryObjectStore();
    expect(await leaveGap({ store, stream, first: 25, timeMaxMs: 7 })).toEqual({ from: 1, first: 25, lostFromMs: 0 });
    await append(store, 25, 30);
    await snapshot(store, 25);
    expect(await stateAt(store, timeOf(30))).toEqual([25, 30]);
    await expect(stateAt(store, timeOf(24))).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
  });

  it("has no gap any more once retention has let go of it", async () => {
    await damage(store, `${SECOND}.manifest`);
    await leaveGap({ store, stream, first: 25, timeMaxMs: timeOf(24) });
    await append(store, 25, 30);
    await snapshot(store, 28);
    await retain({ store, stream, promise: { sinceSequence: 29 } });
    expect((await verifyArchive({ store, stream })).problems).toEqual([]);
    expect((await Archiver.open({ store, stream })).beganAnewAt).toBe(0);
    await expect(stateAt(store, timeOf(9))).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
    expect(await stateAt(store, timeOf(30))).toEqual([28, 30]);
    // Of another one that comes later it says so again.
    await damage(store, "s/0000000000000025.manifest");
    await leaveGap({ store, stream, first: 41, timeMaxMs: timeOf(40) });
    await append(store, 41, 42);
    await snapshot(store, 42);
    expect(await stateAt(store, timeOf(42))).toEqual([42, 42]);
  });

  it("does not go on with an object that an interrupted upload left, which follows from what is lost", async () => {
    await append(store, 21, 30);
    await store.delete(`${THIRD}.manifest`);
    await damage(store, `${SECOND}.manifest`);
    const gap = await leaveGap({ store, stream, first: 21, timeMaxMs: timeOf(20) });
    expect(gap.first).toBe(22);
    await append(store, 22, 30);
    await snapshot(store, 30);
    expect(await stateAt(store, timeOf(30))).toEqual([30, 30]);
  });

  it("is left as it is where nothing is lost: what is damaged can be made anew, and what is there needs no gap", async () => {
    const before = await collect(store.list(""));
    const refused = { code: "ERR_ARCHIVE_ARGUMENT", message: expect.stringContaining("first must be behind entry") };
    await expect(leaveGap({ store, stream, first: 21, timeMaxMs: 1 })).rejects.toMatchObject(refused);
    await damage(store, `${SECOND}.manifest`);
    await expect(leaveGap({ store, stream, first: 11, timeMaxMs: 1 })).rejects.toMatchObject(refused);
    expect(await collect(store.list(""))).toEqual(before);
  });

  it("has one gap where two leave one at the same time, and a record that reads the same for ever", async () => {
    await damage(store, `${SECOND}.manifest`);
    const both = [25, 26].map((first) => leaveGap({ store, stream, first, timeMaxMs: 24_000 }));
    const [one, other] = await Promise.all(both);
    const newest = (await Archiver.open({ store, stream })).beganAnewAt;
    expect(newest).toBe(Math.max(one?.first ?? 0, other?.first ?? 0));
    store = memoryObjectStore();
    await leaveGap({ store, stream, first: 25, timeMaxMs: 24_000 });
    const record = new TextDecoder().decode(await store.get("s/floors/000001.floor")).split("\n");
    expect(record.map((line) => line.trim()).join(" ")).toBe(
      `{ "format": "evenkeel-floor/2", "stream": "s", "generation": 1, "sequence": 0, "first": 1, "previousSha256": "${"0".repeat(64)}", "gaps": [ { "from": 1, "first": 25, "timeMaxMs": 24000 } ] } 4aebbc2b8aa2a03046b6ce098642055c30a6bb5e4c784e591cf1ec69ee05b681 `,
    );
  });
});
