import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { afterEach, describe, expect, it } from "vitest";
import type { Entry } from "../src/core/types.js";
import { walStorage } from "../src/storage/index.js";

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of close.splice(0).reverse()) await step();
});

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-wal-"));
  close.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function opened(dir: string, options: { bytesInFlightMax?: number } = {}): Promise<Wal> {
  const wal = await Wal.open({ dir, segmentBytes: 1024 * 1024, ...options });
  close.push(() => wal.close());
  return wal;
}

const ballot = { round: 1, node: "n1" };
const entries = (from: number, through: number, length: number): Entry[] =>
  Array.from({ length: through - from + 1 }, (_, i) => ({
    slot: from + i,
    ballot,
    kind: "command" as const,
    command: new Uint8Array(length).fill(from + i),
  }));

describe("groups in a real log", () => {
  it("are all there after the log was closed and opened again", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const storage = walStorage(wal);
    const groups = Array.from({ length: 20 }, (_, i) => storage(`t/${i}`));
    for (const group of groups) await group.load();
    await Promise.all(
      groups.flatMap((group, i) => [
        group.write({ promised: ballot, accepted: ballot, entries: entries(1, 10, 100 + i) }),
        group.write({ entries: entries(11, 15, 100 + i), chosenThrough: 9 }),
      ]),
    );
    await wal.close();
    const again = walStorage(await opened(dir));
    for (let i = 0; i < groups.length; i++) {
      const group = again(`t/${i}`);
      const state = await group.load();
      expect(state).toMatchObject({ promised: ballot, accepted: ballot, chosenThrough: 9, trimmedThrough: 0 });
      expect(state.entries).toEqual(entries(9, 15, 100 + i));
      expect(await group.read(1, 12, 1_000_000)).toEqual(entries(1, 12, 100 + i));
    }
  });

  it("may be let go of to the very end, however little there is: one record stays", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const group = walStorage(wal)("g");
    await group.load();
    for (let slot = 1; slot <= 10; slot++) {
      await group.write({ promised: ballot, accepted: ballot, entries: entries(slot, slot, 100), chosenThrough: slot });
    }
    await group.trim(4);
    await group.trim(10);
    const stream = wal.stream("paxos/g");
    expect(stream.lastSequence - stream.firstSequence).toBe(0);
    await group.write({ entries: entries(11, 12, 100) });
    expect(await group.read(11, 12, 1000)).toEqual(entries(11, 12, 100));
    await wal.close();
    const again = walStorage(await opened(dir))("g");
    const state = { promised: ballot, accepted: ballot, trimmedThrough: 10, chosenThrough: 10 };
    expect(await again.load()).toMatchObject({ ...state, entries: entries(11, 12, 100) });
    expect(await again.read(11, 12, 1000)).toEqual(entries(11, 12, 100));
  });

  it("keep their promises when they are trimmed while the next write is under way", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const group = walStorage(wal)("g");
    await group.load();
    await group.write({ promised: ballot, accepted: ballot, entries: entries(1, 1, 100_000) });
    // The next slot's record stands right behind the trim's own, in the same batch.
    await Promise.all([group.trim(1), group.write({ entries: entries(2, 2, 100_000), chosenThrough: 1 })]);
    await wal.close();
    const again = walStorage(await opened(dir))("g");
    const state = await again.load();
    expect(state).toMatchObject({ promised: ballot, accepted: ballot, chosenThrough: 1, trimmedThrough: 1 });
    expect(await again.read(2, 2, 1)).toEqual(entries(2, 2, 100_000));
  });

  it("are one atomic write whatever its size, and many at once never more than the log takes", async () => {
    const dir = await directory();
    const wal = await opened(dir, { bytesInFlightMax: 200_000 });
    const group = walStorage(wal, { bytesInFlightMax: 100_000 })("g");
    await group.load();
    const writes: Promise<void>[] = [];
    for (let i = 0; i < 50; i++) writes.push(group.write({ entries: entries(i * 10 + 1, i * 10 + 10, 2000) }));
    writes.push(group.write({ entries: entries(501, 503, 900_000) }));
    await Promise.all(writes);
    // Three records of one batch: 900,000 bytes each are above what one record may hold together.
    expect(wal.stream("paxos/g").lastSequence).toBe(53);
    expect((await group.read(495, 503, 10_000_000)).map(({ slot, command }) => [slot, command.length])).toEqual([
      ...[495, 496, 497, 498, 499, 500].map((slot) => [slot, 2000]),
      ...[501, 502, 503].map((slot) => [slot, 900_000]),
    ]);
  });

  it("begin anew behind a snapshot, with the slots that follow it, also in the log as it is found again", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const group = walStorage(wal)("g");
    await group.load();
    await group.write({ promised: ballot, accepted: ballot, entries: entries(1, 5, 1000), chosenThrough: 3 });
    const configuration = { slot: 0, storage: ["n1", "n2", "n3"], log: [], departed: [] };
    const reset = { slot: 100, ballot, configuration };
    await group.markInstall(reset);
    await group.write({ reset, chosenThrough: 100 });
    await group.write({ entries: entries(101, 110, 1000), chosenThrough: 105 });
    expect((await group.read(101, 110, 1e6)).map(({ slot }) => slot)).toHaveLength(10);
    await wal.close();
    const again = walStorage(await opened(dir))("g");
    expect(await again.load()).toMatchObject({ accepted: ballot, trimmedThrough: 100, chosenThrough: 105 });
    expect(await again.read(101, 110, 1e6)).toEqual(entries(101, 110, 1000));
    await expect(again.read(100, 100, 1)).rejects.toMatchObject({ code: "ERR_PAXOS_TRIMMED" });
  });

  it("give their space back when they are trimmed", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const storage = walStorage(wal);
    const group = storage("g");
    await group.load();
    for (let i = 0; i < 40; i++) {
      await group.write({ entries: entries(i * 10 + 1, i * 10 + 10, 20_000), chosenThrough: i * 10 });
      if (i > 2) await group.trim((i - 2) * 10);
    }
    expect(wal.stats().segments).toBeLessThan(6);
    const state = await storage("g").load();
    expect(state).toMatchObject({ trimmedThrough: 370, chosenThrough: 390 });
    expect((await group.read(371, 400, 1)).map(({ slot }) => slot)).toEqual([371]);
    await wal.close();
    await expect(group.write({ promised: { round: 2, node: "n1" } })).rejects.toMatchObject({
      code: "ERR_PAXOS_STORAGE",
    });
  });
});
