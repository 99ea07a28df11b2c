import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFileSystem } from "../src/fs/node-file-system.js";
import { Wal, type WalRecord, type WalStream } from "../src/index.js";
import { collect } from "./collect.js";
import { CountingFileSystem } from "./counting-file-system.js";
import { FaultFileSystem } from "./fault-file-system.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "evenkeel-wal-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (record: WalRecord) => new TextDecoder().decode(record.data);
const all = async (stream: WalStream, options = {}) => (await collect(stream.read(options))).map(text);

describe("a log", () => {
  it("gives back what was appended, in order, also after it was opened again", async () => {
    {
      await using wal = await Wal.open({ dir });
      const orders = wal.stream("orders");
      expect(await orders.append(bytes("a"))).toBe(1);
      expect(await orders.append([bytes("b"), bytes("c")])).toBe(3);
      expect(await wal.stream("other").append(bytes(""))).toBe(1);
      expect(await all(orders)).toEqual(["a", "b", "c"]);
    }
    await using wal = await Wal.open({ dir });
    expect(wal.uncertainFrom).toBeNull();
    expect(wal.streams()).toEqual(["orders", "other"]);
    expect(await all(wal.stream("orders"))).toEqual(["a", "b", "c"]);
    expect(await all(wal.stream("orders"), { from: 2, to: 2 })).toEqual(["b"]);
    expect(await all(wal.stream("other"))).toEqual([""]);
    expect(await wal.stream("orders").append(bytes("d"))).toBe(4);
  });

  it("gathers what waits into one sync", async () => {
    await using wal = await Wal.open({ dir });
    const stream = wal.stream("s");
    const before = wal.stats().syncs;
    const sequences = await Promise.all(Array.from({ length: 1000 }, (_, n) => stream.append(bytes(`${n}`))));
    expect(sequences).toEqual(Array.from({ length: 1000 }, (_, n) => n + 1));
    expect(wal.stats().syncs).toBe(before + 1);
  });

  it("writes zeros ahead of itself in small steps: the next file is ready in time, and no sync has all of it to write", async () => {
    const fileSystem = new CountingFileSystem(nodeFileSystem);
    const segmentBytes = 4 * 1024 * 1024;
    await using wal = await Wal.open({ dir, fileSystem, segmentBytes });
    const stream = wal.stream("s");
    const sizeOf = async (segment: number) =>
      (await stat(join(dir, `${String(segment).padStart(12, "0")}.wal`)).catch(() => undefined))?.size ?? 0;
    while ((await sizeOf(3)) < segmentBytes) {
      expect(wal.stats().segments).toBeLessThan(4);
      await stream.append(new Uint8Array(4 * 1024));
    }
    expect(await sizeOf(2)).toBe(segmentBytes);
    // What one step of a growing file is, and the batch behind it.
    expect(fileSystem.syncedAtOnceBytes).toBeLessThan(1.1 * 1024 * 1024);
  });

  it("calls back in the order of the calls, with promises or without, and says at once why it takes nothing", async () => {
    const wal = await Wal.open({ dir });
    const stream = wal.stream("s");
    const heard: string[] = [];
    const waiter = (name: string) => ({
      appended: (last: number) => void heard.push(`${name} ${last}`),
      notAppended: (reason: unknown) => void heard.push(String(reason)),
    });
    expect(stream.appendThen([bytes("a"), bytes("b")], waiter("first"))).toBeUndefined();
    const promised = stream.append(bytes("c"));
    expect(stream.appendThen(bytes("d"), waiter("last"))).toBeUndefined();
    expect(heard).toEqual([]);
    expect(await promised).toBe(3);
    expect(heard).toEqual(["first 2", "last 4"]);
    expect(await all(stream)).toEqual(["a", "b", "c", "d"]);
    await wal.close();
    expect(stream.appendThen(bytes("e"), waiter("never"))).toMatchObject({ code: "ERR_WAL_CLOSED" });
    expect(heard).toHaveLength(2);
  });

  it("does not look at the caller's bytes again once append has returned", async () => {
    await using wal = await Wal.open({ dir });
    const buffer = bytes("kept");
    const appended = wal.stream("s").append(buffer);
    buffer.fill(0);
    await appended;
    expect(await all(wal.stream("s"))).toEqual(["kept"]);
  });

  it("truncates at the end, and what is appended then takes the place", async () => {
    {
      await using wal = await Wal.open({ dir });
      const stream = wal.stream("s");
      await stream.append(["1", "2", "3", "4"].map(bytes));
      await stream.truncateAfter(2);
      expect(stream.lastSequence).toBe(2);
      expect(await stream.append(bytes("three"))).toBe(3);
      expect(await stream.append(bytes("THREE"), { truncateAfter: 2 })).toBe(3);
      expect(await all(stream)).toEqual(["1", "2", "THREE"]);
    }
    await using wal = await Wal.open({ dir });
    expect(await all(wal.stream("s"))).toEqual(["1", "2", "THREE"]);
  });

  it("frees segments at the front, reuses them, and still knows the numbers after a restart", async () => {
    const block = new Uint8Array(10_000).fill(7);
    {
      await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
      const stream = wal.stream("s");
      for (let n = 0; n < 60; n++) {
        const last = await stream.append(block);
        if (last > 10) await stream.truncateBefore(last - 10);
      }
      expect(stream.firstSequence).toBe(50);
      expect(wal.stats().segments).toBeLessThan(6);
      expect(wal.stats().segmentsRecycled).toBeGreaterThan(0);
    }
    await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
    const stream = wal.stream("s");
    expect([stream.firstSequence, stream.lastSequence]).toEqual([50, 60]);
    expect((await collect(stream.read())).map((record) => record.sequence)).toEqual([
      50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60,
    ]);
    expect(() => stream.read({ from: 49 })).toThrow(expect.objectContaining({ code: "ERR_WAL_TRUNCATED" }));
  });

  it("carries what a rarely written stream holds forward, so that it does not keep all segments for ever", async () => {
    let times = 1000;
    const options = { dir, segmentBytes: 65_536, now: () => times++ };
    let kept: WalRecord[];
    {
      await using wal = await Wal.open(options);
      const [quiet, busy] = [wal.stream("quiet"), wal.stream("busy")];
      await quiet.append(["1", "2", "3"].map(bytes));
      kept = await collect(quiet.read());
      for (let n = 0; n < 120; n++) await busy.truncateBefore(await busy.append(new Uint8Array(10_000)));
      expect(wal.stats().recordsCarried).toBeGreaterThan(3);
      expect(wal.stats().segments).toBeLessThan(8);
      expect(await collect(quiet.read())).toEqual(kept);
      await quiet.append(bytes("4"));
      expect(await all(quiet, { from: 2 })).toEqual(["2", "3", "4"]);
    }
    await using wal = await Wal.open(options);
    expect((await collect(wal.stream("quiet").read())).slice(0, 3)).toEqual(kept);
    expect(await all(wal.stream("quiet"))).toEqual(["1", "2", "3", "4"]);
    expect(wal.stream("busy").firstSequence).toBe(120);
  });

  it("carries what thousands of them hold by reading it once and writing it together, so that it keeps up with whoever writes", {
    timeout: 240_000,
  }, async () => {
    const fileSystem = new CountingFileSystem(new FaultFileSystem());
    await using wal = await Wal.open({ dir, fileSystem, segmentBytes: 65_536, packAfterMs: 0 });
    const names = Array.from({ length: 1000 }, (_, n) => `quiet ${n}`);
    for (const part of [0, 1]) {
      await Promise.all(names.map((name) => wal.stream(name).append(bytes(`${name}/${part}`))));
    }
    const busy = wal.stream("busy");
    const before = { written: wal.stats().bytesWritten, read: fileSystem.readBytes };
    const rounds = 3 * 2 * names.length;
    while (wal.stats().recordsCarried < rounds) await busy.truncateBefore(await busy.append(new Uint8Array(50_000)));
    expect(fileSystem.readBytes - before.read).toBeLessThan(wal.stats().bytesWritten - before.written);
    for (const name of names) expect(await all(wal.stream(name))).toEqual([`${name}/0`, `${name}/1`]);
  });

  it("takes a record larger than a segment", async () => {
    const large = new Uint8Array(300_000).fill(9);
    {
      await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
      for (let n = 0; n < 3; n++) await wal.stream("s").append([bytes("small"), large]);
    }
    await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
    const lengths = (await collect(wal.stream("s").read())).map((record) => record.data.length);
    expect(lengths).toEqual([5, 300_000, 5, 300_000, 5, 300_000]);
  });

  it("forgets a removed stream and begins a new one under its name", async () => {
    {
      await using wal = await Wal.open({ dir });
      const stream = wal.stream("s");
      await stream.append([bytes("old"), bytes("older")]);
      await stream.remove();
      expect(wal.streams()).toEqual([]);
      expect(await stream.append(bytes("new"))).toBe(1);
    }
    await using wal = await Wal.open({ dir });
    expect(await all(wal.stream("s"))).toEqual(["new"]);
  });

  it("lets nobody else in, neither from this process nor by the name of another path", async () => {
    await using wal = await Wal.open({ dir });
    await expect(Wal.open({ dir: `${dir}/.` })).rejects.toMatchObject({ code: "ERR_WAL_LOCKED" });
    await wal.stream("s").append(bytes("fine"));
    await wal.close();
    const again = await Wal.open({ dir });
    await again.close();
  });

  it("finishes what waits when it is closed, and refuses what comes after", async () => {
    const wal = await Wal.open({ dir });
    const stream = wal.stream("s");
    const waiting = [stream.append(bytes("1")), stream.append(bytes("2"))];
    await wal.close();
    expect(await Promise.all(waiting)).toEqual([1, 2]);
    await expect(stream.append(bytes("3"))).rejects.toMatchObject({ code: "ERR_WAL_CLOSED" });
    expect(() => stream.read()).toThrow(expect.objectContaining({ code: "ERR_WAL_CLOSED" }));
  });

  it("refuses more than may wait, and says when there is room again", async () => {
    await using wal = await Wal.open({ dir, bytesInFlightMax: 100_000 });
    const stream = wal.stream("s");
    const first = stream.append(new Uint8Array(150_000));
    await expect(stream.append(bytes("x"))).rejects.toMatchObject({ code: "ERR_WAL_OVERLOADED" });
    await wal.room();
    expect(await first).toBe(1);
    expect(await stream.append(bytes("x"))).toBe(2);
  });

  it("gives up waiting when told to, and the record may be there all the same", async () => {
    await using wal = await Wal.open({ dir });
    const stream = wal.stream("s");
    const abort = new AbortController();
    const appended = stream.append(bytes("x"), { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(appended).rejects.toThrow("enough");
    await expect(stream.append(bytes("y"), { signal: abort.signal })).rejects.toThrow("enough");
    expect(await stream.append(bytes("z"))).toBe(2);
  });

  it("names a bad argument and shows what it saw", async () => {
    await using wal = await Wal.open({ dir });
    const stream = wal.stream("s");
    const bad = (message: string) => expect.objectContaining({ code: "ERR_WAL_ARGUMENT", message });
    expect(() => wal.stream("")).toThrow(bad('name must be a string of 1 to 1024 bytes, got ""'));
    expect(() => stream.append([])).toThrow(bad("data must be at least one record, got []"));
    expect(() => stream.truncateBefore(2)).toThrow(bad("sequence must be a whole number from 1 to 1, got 2"));
    expect(() => stream.truncateAfter(-1)).toThrow(bad("sequence must be a whole number from 0, got -1"));
    expect(() => stream.read({ from: 0.5 })).toThrow(bad("from must be a whole number from 1, got 0.5"));
    await expect(Wal.open({ dir: `${dir}/x`, segmentBytes: 1 })).rejects.toThrow("segmentBytes must be a whole number");
    expect(() => stream.append(new Uint8Array(65 * 1024 * 1024))).toThrow(
      expect.objectContaining({ code: "ERR_WAL_TOO_LARGE" }),
    );
  });
});
