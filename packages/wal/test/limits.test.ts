import { describe, expect, it } from "vitest";
import { Wal, type WalRecord } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem } from "./fault-file-system.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const dir = "log";

describe("a log at its limits", () => {
  it("takes a million records of one byte in one batch, all or nothing, and gives them back", {
    timeout: 240_000,
  }, async () => {
    const fileSystem = new FaultFileSystem();
    const count = 1_000_000;
    {
      await using wal = await Wal.open({ dir, fileSystem });
      const record = Uint8Array.of(7);
      const batches = wal.stats().durableBatch;
      expect(await wal.stream("s").append(Array.from({ length: count }, () => record))).toBe(count);
      expect(wal.stats().durableBatch).toBe(batches + 1);
      let sum = 0;
      for await (const { data } of wal.stream("s").read()) sum += data[0] as number;
      expect(sum).toBe(7 * count);
    }
    await using wal = await Wal.open({ dir, fileSystem });
    expect(wal.stream("s").lastSequence).toBe(count);
    const [last] = await collect(wal.stream("s").read({ from: count }));
    expect(last?.data).toEqual(Uint8Array.of(7));
  });

  it("holds 10,000 streams; one that is idle with the oldest record does not keep the log from being freed", {
    timeout: 240_000,
  }, async () => {
    const fileSystem = new FaultFileSystem();
    const options = { dir, fileSystem, segmentBytes: 1024 * 1024, segmentsBeforeCarry: 2 };
    const names = Array.from({ length: 10_000 }, (_, n) => `stream ${n}`);
    {
      await using wal = await Wal.open(options);
      await wal.stream("idle").append(bytes("the oldest"));
      for (let round = 1; round <= 4; round++) {
        const record = new Uint8Array(100).fill(round);
        await Promise.all(names.map((name) => wal.stream(name).append(record)));
        await Promise.all(names.map((name) => wal.stream(name).truncateBefore(round)));
      }
      // Nobody waits for carrying: it is done in the background while the log goes on.
      for (let n = 0; n < 200 && (n < 3 || wal.stats().firstSegment <= 2); n++) {
        await wal.stream("busy").truncateBefore(await wal.stream("busy").append(new Uint8Array(300_000)));
      }
      expect(wal.stats()).toMatchObject({ streams: 10_002, poisoned: false });
      expect(wal.stats().firstSegment).toBeGreaterThan(2);
    }
    await using wal = await Wal.open(options);
    expect(wal.stats().streams).toBe(10_002);
    const [oldest] = await collect(wal.stream("idle").read());
    expect(Buffer.from(oldest?.data ?? []).toString()).toBe("the oldest");
    for (const name of ["stream 0", "stream 5000", "stream 9999"]) {
      const records = await collect(wal.stream(name).read());
      expect(records.map(({ sequence, data }) => [sequence, data[0]])).toEqual([[4, 4]]);
    }
  });

  it("refuses a stream too many by rejecting, also while others wait for the disk, and takes one again once one is removed", async () => {
    await using wal = await Wal.open({ dir, fileSystem: new FaultFileSystem(), streamsMax: 2 });
    const results = await Promise.allSettled(["a", "b", "c"].map((name) => wal.stream(name).append(bytes(name))));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(results[2]).toMatchObject({ reason: { code: "ERR_WAL_TOO_LARGE" } });
    await wal.stream("a").remove();
    expect(await wal.stream("c").append(bytes("c"))).toBe(1);
    expect(wal.streams()).toEqual(["b", "c"]);
  });

  it("takes an append as large as it may be, and refuses one byte more at once", async () => {
    await using wal = await Wal.open({ dir, fileSystem: new FaultFileSystem(), appendBytesMax: 10_000 });
    expect(await wal.stream("s").append(new Uint8Array(10_000 - 22))).toBe(1);
    expect(() => wal.stream("s").append(new Uint8Array(10_000 - 21))).toThrow(
      expect.objectContaining({ code: "ERR_WAL_TOO_LARGE", stream: "s" }),
    );
    expect(() => wal.stream("s").append([new Uint8Array(5000), new Uint8Array(5000)])).toThrow("appendBytesMax");
  });
});

describe("time", () => {
  it("a clock a year back, a year ahead, stopped or absurd changes what records say and nothing else", async () => {
    const fileSystem = new FaultFileSystem();
    const year = 365 * 86_400_000;
    const start = 1_700_000_000_000;
    const times = [start, start - year, start + year, start + year, 0, -5, 1.5];
    const clock = { now: start };
    const options = { dir, fileSystem, segmentBytes: 65_536, now: () => clock.now };
    for (const [n, time] of times.entries()) {
      clock.now = time;
      const wal = await Wal.open(options);
      // Enough for a new segment each time, whose header and checkpoint have times as well.
      for (let more = 0; more < 20; more++) await wal.stream("s").append(new Uint8Array(4000).fill(n));
      await wal.close();
    }
    await using wal = await Wal.open(options);
    const records = await collect(wal.stream("s").read());
    expect(records.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 140 }, (_, n) => n + 1));
    const stamped = (n: number) => (records[n * 20] as WalRecord).timeMs;
    expect(times.map((_, n) => stamped(n))).toEqual([start, start - year, start + year, start + year, 0, 0, 1]);
  });

  it("an idle log vouches for its last batch within a second", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ dir, fileSystem });
    await wal.stream("s").append(bytes("the last"));
    const marked = new Promise<void>((resolve) => {
      fileSystem.before = (operation, path) => {
        if (operation === "sync" && path.includes("marks")) resolve();
        return undefined;
      };
    });
    const started = performance.now();
    await marked;
    // A promise in seconds, with room for a machine that is busy with something else.
    expect(performance.now() - started).toBeLessThan(10_000);
    fileSystem.before = undefined;
    await new Promise((resolve) => setImmediate(resolve));
    fileSystem.crash(() => 0.99);
    fileSystem.damage("log/000000000001.wal", (held) => {
      const at = Buffer.from(held).indexOf("the last");
      held[at] = (held[at] as number) ^ 1;
    });
    await expect(Wal.open({ dir, fileSystem })).rejects.toMatchObject({
      code: "ERR_WAL_CORRUPT",
      file: "log/000000000001.wal",
      batch: 2,
    });
    await wal.close().catch(() => undefined);
  });
});

describe("a log that is never idle", () => {
  it("marks itself as well, so that not even the loss of its whole end passes for a torn batch", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ dir, fileSystem, idleMarkMs: 20 });
    const stream = wal.stream("s");
    let marked = 0;
    fileSystem.before = (operation, path) => {
      if (operation === "sync" && path.includes("marks")) marked = stream.lastSequence;
      return undefined;
    };
    const load = [1, 2, 3].map(async () => {
      while (marked < 50) await stream.append(bytes("more"));
    });
    await Promise.all(load);
    fileSystem.before = undefined;
    fileSystem.crash(() => 0.99);
    fileSystem.damage("log/000000000001.wal", (held) => held.fill(0, Buffer.from(held).indexOf("more")));
    await expect(Wal.open({ dir, fileSystem })).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT" });
    await wal.close().catch(() => undefined);
  });
});

describe("who gives up", () => {
  it("a reader that stops half-way, or is aborted, leaves no file open", async () => {
    const fileSystem = new FaultFileSystem();
    await using wal = await Wal.open({ dir, fileSystem });
    const stream = wal.stream("s");
    for (let n = 0; n < 30; n++) await stream.append(new Uint8Array(5000));
    const before = fileSystem.handles;
    for (const options of [{}, { backwards: true }]) {
      for await (const { sequence } of stream.read(options)) if (sequence === 15) break;
      expect(fileSystem.handles).toBe(before);
      const abort = new AbortController();
      const reading = (async () => {
        for await (const { sequence } of stream.read({ ...options, signal: abort.signal })) {
          if (sequence === 15) abort.abort(new Error("enough"));
        }
      })();
      await expect(reading).rejects.toThrow("enough");
      expect(fileSystem.handles).toBe(before);
    }
  });

  it("a reader of what is truncated meanwhile is told, or ends where the stream ends now", async () => {
    await using wal = await Wal.open({ dir, fileSystem: new FaultFileSystem(), segmentBytes: 65_536 });
    const stream = wal.stream("s");
    for (let n = 0; n < 30; n++) await stream.append(new Uint8Array(5000));
    const overtaken = stream.read()[Symbol.asyncIterator]();
    expect((await overtaken.next()).value?.sequence).toBe(1);
    const cut = stream.read()[Symbol.asyncIterator]();
    expect((await cut.next()).value?.sequence).toBe(1);
    await stream.truncateBefore(20);
    await expect(overtaken.next()).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED", stream: "s" });
    await expect(cut.next()).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED" });
    const ending = stream.read()[Symbol.asyncIterator]();
    expect((await ending.next()).value?.sequence).toBe(20);
    await stream.truncateAfter(21);
    expect((await ending.next()).value?.sequence).toBe(21);
    expect((await ending.next()).done).toBe(true);
  });

  it("waiting for room is given up when told to, and ends when the log fails", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ dir, fileSystem, bytesInFlightMax: 1000 });
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    fileSystem.before = (operation) => (operation === "sync" ? held : undefined);
    const appended = wal.stream("s").append(new Uint8Array(2000));
    const abort = new AbortController();
    const givenUp = wal.room({ signal: abort.signal });
    const room = wal.room();
    abort.abort(new Error("enough"));
    await expect(givenUp).rejects.toThrow("enough");
    fileSystem.fail = (operation) => (operation === "sync" ? new Error("EIO") : undefined);
    goOn();
    await expect(appended).rejects.toMatchObject({ code: "ERR_WAL_POISONED" });
    await room;
    await wal.close();
  });
});
