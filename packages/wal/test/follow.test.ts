import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Wal, type WalRecord } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (record: WalRecord) => new TextDecoder().decode(record.data);
const open = (fileSystem = new FaultFileSystem()) =>
  Wal.open({ dir: "log", fileSystem, segmentBytes: 65_536, segmentsBeforeCarry: 1 });

const brief = ({ sequence, timeMs, data }: WalRecord) => `${sequence} ${timeMs} ${data.length} ${data[0]}`;

async function next(records: AsyncIterator<WalRecord>): Promise<string> {
  const { done, value } = await records.next();
  return done === true ? "end" : `${value.sequence}:${text(value)}`;
}

describe("a follower", () => {
  it("is given what is there, then what becomes durable, and the end when the log is closed", async () => {
    const wal = await open();
    const stream = wal.stream("s");
    await stream.append([bytes("a"), bytes("b")]);
    const records = stream.follow({ from: 2 })[Symbol.asyncIterator]();
    expect(await next(records)).toBe("2:b");
    const third = next(records);
    await wal.stream("other").append(bytes("x"));
    await stream.append(bytes("c"));
    expect(await third).toBe("3:c");
    const last = next(records);
    await wal.close();
    expect(await last).toBe("end");
  });

  it("may wait for a stream, and a sequence, that does not exist yet", async () => {
    await using wal = await open();
    const records = wal.stream("s").follow({ from: 2 })[Symbol.asyncIterator]();
    const second = next(records);
    await wal.stream("s").append(bytes("a"));
    await wal.stream("s").append(bytes("b"));
    expect(await second).toBe("2:b");
  });

  it("misses and repeats nothing, however appends, new segments and carrying come in between", async () => {
    await using wal = await open();
    const stream = wal.stream("s");
    const random = seeded(7);
    const count = 400;
    const follower = (async () => {
      const seen: number[] = [];
      for await (const { sequence, data } of stream.follow()) {
        expect(data[0]).toBe(sequence % 251);
        seen.push(sequence);
        if (sequence === count) break;
      }
      return seen;
    })();
    for (let sequence = 1; sequence <= count; sequence++) {
      const appended = stream.append(new Uint8Array(1 + Math.floor(random() * 4000)).fill(sequence % 251));
      if (random() < 0.5) await appended;
      if (random() < 0.3) await wal.stream("busy").truncateBefore((await wal.stream("busy").append(bytes("x"))) + 1);
    }
    expect(await follower).toEqual(Array.from({ length: count }, (_, n) => n + 1));
    expect(wal.stats().lastSegment).toBeGreaterThan(5);
  });

  it("is told when what it was given is taken back, and not when only what it was not given yet is", async () => {
    await using wal = await open();
    const stream = wal.stream("s");
    await stream.append(["a", "b", "c"].map(bytes));
    const records = stream.follow()[Symbol.asyncIterator]();
    expect(await next(records)).toBe("1:a");
    await stream.append(bytes("B"), { truncateAfter: 1 });
    expect(await next(records)).toBe("2:B");
    await stream.append(bytes("BB"), { truncateAfter: 1 });
    await expect(next(records)).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED", stream: "s" });

    const removed = stream.follow()[Symbol.asyncIterator]();
    expect(await next(removed)).toBe("1:a");
    await stream.remove();
    await expect(next(removed)).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED" });
  });

  it("is told when it is overtaken, aborted, or the log fails", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await open(fileSystem);
    const stream = wal.stream("s");
    await stream.append([bytes("a"), bytes("b")]);
    const overtaken = stream.follow()[Symbol.asyncIterator]();
    await stream.truncateBefore(2);
    await expect(next(overtaken)).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED" });
    expect(() => stream.follow({ from: 1 })).toThrow(expect.objectContaining({ code: "ERR_WAL_TRUNCATED" }));

    const abort = new AbortController();
    const aborted = stream.follow({ from: 3, signal: abort.signal })[Symbol.asyncIterator]();
    const waiting = next(aborted);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");

    const records = stream.follow()[Symbol.asyncIterator]();
    expect(await next(records)).toBe("2:b");
    const failing = expect(next(records)).rejects.toMatchObject({ code: "ERR_WAL_POISONED" });
    fileSystem.fail = (operation) => (operation === "sync" ? new Error("EIO") : undefined);
    await expect(stream.append(bytes("c"))).rejects.toMatchObject({ code: "ERR_WAL_POISONED" });
    await failing;
    await wal.close();
  });
});

describe("reading backwards", () => {
  it("gives the records of reading forwards in the opposite order, whatever was appended, cut and carried", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0x7fffffff }), async (seed) => {
        const random = seeded(seed);
        await using wal = await open();
        const streams = ["a", "b"].map((name) => wal.stream(name));
        for (let n = 0; n < 80; n++) {
          const stream = streams[random() < 0.85 ? 0 : 1] as (typeof streams)[number];
          const data = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
            new Uint8Array(Math.floor(random() ** 3 * 9000)).fill(n),
          );
          const last = await stream.append(data);
          if (random() < 0.1)
            await stream.truncateAfter(stream.firstSequence - 1 + Math.floor((last - stream.firstSequence) * random()));
          if (random() < 0.1) await stream.truncateBefore(Math.max(stream.firstSequence, stream.lastSequence - 20));
        }
        for (const stream of streams) {
          const forwards = (await collect(stream.read())).map(brief);
          expect((await collect(stream.read({ backwards: true }))).map(brief)).toEqual(forwards.toReversed());
          const [from, to] = [stream.firstSequence + 2, stream.lastSequence - 3];
          if (from > to) continue;
          expect((await collect(stream.read({ from, to, backwards: true }))).map(brief)).toEqual(
            forwards.slice(2, -3).toReversed(),
          );
        }
      }),
      { numRuns: 30 },
    );
  });

  it("says so when what comes next was truncated meanwhile", async () => {
    await using wal = await open();
    const stream = wal.stream("s");
    for (let n = 0; n < 20; n++) await stream.append(new Uint8Array(20_000));
    const records = stream.read({ backwards: true })[Symbol.asyncIterator]();
    expect((await records.next()).value?.sequence).toBe(20);
    await stream.truncateAfter(3);
    await expect(
      (async () => {
        for (;;) if ((await records.next()).done === true) return;
      })(),
    ).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED" });
  });
});
