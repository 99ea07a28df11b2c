import type { Group } from "@evenkeel/paxos";
import { memoryObjectStore, type ObjectStore, restoreState, sha256 } from "@evenkeel/wal/archive";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ArchiveSchedule } from "../src/control/archive-schedule.js";
import { watchNews } from "../src/control/news.js";
import { UPKEEP } from "../src/control/upkeep.js";
import type { Caller } from "../src/rpc/protocol.js";
import { Archiving } from "../src/storage-node/archiving.js";
import { encodeCommand } from "../src/storage-node/command.js";
import type { Replica } from "../src/storage-node/replica.js";

const stream = "p7";
const LAST = `${stream}/0000000000000011.manifest`;
const OBJECT = `${stream}/0000000000000011.log`;
const timeOf = (slot: number) => Date.UTC(2026, 0, 1, 0, 0, slot);

/** The leader's log: of what comes before `trimmedThrough` nothing is left. */
const log = { appliedThrough: 0, trimmedThrough: 0 };
const group = {
  status: () => ({ ready: true, ...log }),
  leadership: () => ({ ready: true }),
  members: () => ({ storage: ["a1", "b1"], log: [], chosen: true }),
  async *entries({ from, through }: { from: number; through: number }) {
    if (from <= log.trimmedThrough) throw new Error(`the log begins behind ${log.trimmedThrough}`);
    for (let slot = from; slot <= through; slot++)
      yield { slot, command: encodeCommand({ kind: "mark", timeMs: timeOf(slot) }), kind: "command" };
  },
  trim: async () => undefined,
} as unknown as Group<number>;
const replica = {
  durableThrough: 0,
  get appliedThrough() {
    return log.appliedThrough;
  },
  appliedBytes: 0,
  get lastTimeMs() {
    return timeOf(log.appliedThrough);
  },
  get: () => undefined,
  state: () => ({ slot: log.appliedThrough, timeMs: 0, *pages() {}, close: () => undefined }),
} as unknown as Replica;

let store: ObjectStore;
let other: { trimmedThrough: number; appliedThrough: number } | undefined;
let news: string[];
let endOfNews: () => void;
let schedule: ArchiveSchedule;

beforeEach(async () => {
  // Uploads that fail are tried again later and later: that much time passes between two rounds.
  let nowMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (nowMs += 60_000));
  store = memoryObjectStore();
  news = [];
  endOfNews = watchNews((line) => news.push(line));
  const archiving = new Archiving(group, store, stream);
  const host = { partition: 7, group, replica, archiving };
  const answer = async (node: string) => {
    const held = node === "a1" ? log : other;
    if (held === undefined) throw new Error("down");
    return { nodeId: node, partitions: [{ partition: 7, ...held }] };
  };
  schedule = new ArchiveSchedule({
    partitions: () => [host as never],
    upkeep: UPKEEP,
    nowMs: () => timeOf(60),
    callerTo: (node) => ({ call: () => answer(node) }) as unknown as Caller,
  });
  Object.assign(log, { appliedThrough: 10, trimmedThrough: 0 });
  await archiving.archive();
  await archiving.snapshot(replica);
  Object.assign(log, { appliedThrough: 20 });
  await archiving.archive();
  Object.assign(log, { appliedThrough: 30, trimmedThrough: 24 });
  other = { appliedThrough: 30, trimmedThrough: 22 };
});
afterEach(() => {
  endOfNews();
  vi.restoreAllMocks();
});

async function rot(key: string): Promise<void> {
  const bytes = Uint8Array.from((await store.get(key)) as Uint8Array);
  bytes[99] = (bytes[99] as number) ^ 1;
  await store.put(key, bytes, { sha256: sha256(bytes) });
}

/** Of what the archive ends with: what vouches for it, and the object itself. */
async function damage(): Promise<void> {
  await rot(LAST);
  await rot(OBJECT);
}

/** So many rounds; how they ended. */
async function rounds(count: number): Promise<string[]> {
  const ends: string[] = [];
  for (let i = 0; i < count; i++) {
    await schedule.round().then(
      () => ends.push("done"),
      (error: AggregateError) => ends.push(String((error.errors[0] as { code?: string }).code)),
    );
    await schedule.settled();
  }
  return ends;
}

const at = async (slot: number) => {
  const found = await restoreState({ store, stream, until: { timeMs: timeOf(slot) } });
  let through = found.snapshot?.sequence;
  for await (const { sequence } of found.entries()) through = sequence;
  return through;
};

test.each([
  ["is damaged", damage, "ERR_ARCHIVE_CORRUPT"],
  [
    "is gone",
    async () => {
      await store.delete(LAST);
      await store.delete(OBJECT);
    },
    "ERR_STORE_BEHIND",
  ],
])(
  "where what the archive ends with %s, and no log goes back to it, the archive goes on behind it with a snapshot, and what is lost is told and refused",
  async (_, lose, code) => {
    await lose();
    // In the third the state, whose turn is beside it, may still meet the damage.
    const ends = await rounds(5);
    expect([ends.slice(0, 2), ends.slice(3)]).toEqual([
      [code, code],
      ["done", "done"],
    ]);
    expect(news).toEqual([
      "the archive of partition 7 has lost slots 11 to 24, which no log has any more: moments from 2026-01-01T00:00:10.000Z on cannot be restored, those from the next snapshot on can, which is written now",
    ]);
    log.appliedThrough = 33;
    await rounds(1);
    await vi.waitFor(async () => expect(await at(99)).toBe(33));
    await expect(at(10)).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
    expect(await at(9)).toBe(9);
    await expect(at(17)).rejects.toMatchObject({
      code: "ERR_ARCHIVE_HOLE",
      message: expect.stringContaining("entries 11 to 24"),
    });
    expect([await at(30), news.length]).toEqual([30, 1]);
  },
);

test.each([
  ["is damaged", () => rot(LAST), "ERR_ARCHIVE_CORRUPT"],
  ["is gone", () => store.delete(LAST), "ERR_STORE_BEHIND"],
])(
  "where the archive's last manifest %s, no log goes back to it and its object is whole, it is made anew, and nothing is lost",
  async (_, lose, code) => {
    const before = await store.get(LAST);
    log.trimmedThrough = 20;
    await lose();
    expect([...new Set(await rounds(5))]).toEqual([code, "done"]);
    expect(await store.get(LAST)).toEqual(before);
    expect([await at(17), await at(30)]).toEqual([17, 30]);
    expect(news).toEqual([expect.stringContaining("slots from 11 on in the archive of partition 7")]);
  },
);

test.each([
  [
    "another log still goes back to it: that is for a repair",
    () => (other = { appliedThrough: 30, trimmedThrough: 5 }),
  ],
  ["another log may go back to it: its node does not answer", () => (other = undefined)],
])("nothing of it is given up where %s", async (_, set) => {
  await damage();
  set();
  expect(new Set(await rounds(6))).toEqual(new Set(["ERR_ARCHIVE_CORRUPT"]));
  expect(news[0]).toContain("partition 7 has failed to be archived or trimmed 5 times");
  for await (const key of store.list(`${stream}/floors/`)) expect.unreachable(key);
});

test("an archive that has nothing at all may be away, and is not begun anew", async () => {
  for await (const key of store.list("")) await store.delete(key);
  expect(new Set(await rounds(6))).toEqual(new Set(["ERR_STORE_BEHIND"]));
  expect(news).toEqual([expect.stringContaining("is the archive's directory there?")]);
  for await (const key of store.list("")) expect.unreachable(key);
});
