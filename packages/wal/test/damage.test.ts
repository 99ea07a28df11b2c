import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMark, encodeMark } from "../src/core/headers.js";
import { crc } from "../src/fs/checksum.js";
import { Wal, WalError } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";

const segmentBytes = 65_536;
const open = (fileSystem: FaultFileSystem) =>
  Wal.open({ dir: "log", fileSystem: fileSystem.boot(), segmentBytes, now: () => 1_700_000_000_000 });

const segment = (number: number) => `log/${String(number).padStart(12, "0")}.wal`;
const records = async (wal: Wal) =>
  (await collect(wal.stream("s").read())).map((record) => Buffer.from(record.data).toString());
const text = (n: number, length = 3000) => `${n}:${"x".repeat(length)}`;

/** Some segments with known records in them, closed (the last batch is vouched for) or left by a power cut (it is not). */
async function filled(options: { close: boolean; count?: number; length?: number }): Promise<FaultFileSystem> {
  const fileSystem = new FaultFileSystem();
  const wal = await open(fileSystem);
  for (let n = 1; n <= (options.count ?? 60); n++) await wal.stream("s").append(Buffer.from(text(n, options.length)));
  if (options.close) await wal.close();
  else fileSystem.crash(() => 0.99);
  return fileSystem;
}

async function opened(
  fileSystem: FaultFileSystem,
  { settle = false } = {},
): Promise<{ found: string[]; uncertain: boolean } | WalError> {
  try {
    const wal = await open(fileSystem);
    const found = await records(wal);
    const uncertain = wal.uncertainFrom !== null;
    if (settle) await wal.settleUncertain();
    await wal.close();
    return { found, uncertain };
  } catch (error) {
    expect(error).toBeInstanceOf(WalError);
    return error as WalError;
  }
}

describe("damage", () => {
  it("is reported wherever a bit flips, or makes no difference: nothing durable is ever missing or different", {
    timeout: 240_000,
  }, async () => {
    const fileSystem = await filled({ close: true });
    const restore = fileSystem.snapshot();
    const whole = await opened(fileSystem);
    const files = ["log/marks", segment(1), segment(2), segment(3), segment(4)];
    expect(fileSystem.files()).toEqual(expect.arrayContaining(files));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(7),
        async (file, where, bit) => {
          restore();
          fileSystem.damage(file, (bytes) => {
            const at = Math.min(Math.floor(where * bytes.length), bytes.length - 1);
            bytes[at] = (bytes[at] as number) ^ (1 << bit);
          });
          const result = await opened(fileSystem);
          if (result instanceof WalError) {
            expect(["ERR_WAL_CORRUPT", "ERR_WAL_UNSUPPORTED"]).toContain(result.code);
            expect(result.file).toBe(file);
          } else {
            expect(result.found).toEqual((whole as { found: string[] }).found);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it("of the last batch, which a closed log vouches for, is reported with file and offset at every single byte", async () => {
    const fileSystem = await filled({ close: true, count: 3, length: 10 });
    const restore = fileSystem.snapshot();
    const end = lastUsed(fileSystem.contents(segment(1)));
    for (let at = end; at > end - 40; at--) {
      restore();
      fileSystem.damage(segment(1), (bytes) => {
        bytes[at] = (bytes[at] as number) ^ 0x10;
      });
      const files = fileSystem.contents(segment(1)).slice();
      const result = (await opened(fileSystem)) as WalError;
      expect(result).toMatchObject({ code: "ERR_WAL_CORRUPT", file: segment(1), batch: 4 });
      expect(Buffer.compare(fileSystem.contents(segment(1)), files)).toBe(0);
    }
  });

  it("of an unvouched last batch is taken for a torn write, at every byte of it, and said to be uncertain", async () => {
    const fileSystem = await filled({ close: false, count: 3, length: 10 });
    const restore = fileSystem.snapshot();
    const end = lastUsed(fileSystem.contents(segment(1)));
    for (let cut = end; cut > end - 70; cut--) {
      restore();
      fileSystem.damage(segment(1), (bytes) => bytes.fill(0, cut, end + 1));
      expect(await opened(fileSystem)).toEqual({ found: [text(1, 10), text(2, 10)], uncertain: true });
      // What was torn is gone for good; that it was is said until somebody has taken note.
      expect(await opened(fileSystem, { settle: true })).toEqual({
        found: [text(1, 10), text(2, 10)],
        uncertain: true,
      });
      expect(await opened(fileSystem)).toEqual({ found: [text(1, 10), text(2, 10)], uncertain: false });
    }
  });

  it("in the middle is rot even when the length field is, and when a whole page is gone", async () => {
    const fileSystem = await filled({ close: false });
    const restore = fileSystem.snapshot();
    const batch = find(fileSystem.contents(segment(2)), "EVB\u0001", 20_000);
    for (const change of [
      (bytes: Uint8Array) => bytes.fill(0xff, batch + 26, batch + 30),
      (bytes: Uint8Array) => bytes.fill(0, batch, batch + 4096),
      (bytes: Uint8Array) => bytes.fill(0, 4096, 8192),
      (bytes: Uint8Array) => bytes.fill(0, 4096),
    ]) {
      restore();
      fileSystem.damage(segment(2), change);
      expect(await opened(fileSystem)).toMatchObject({ code: "ERR_WAL_CORRUPT" });
    }
  });

  it("is reported with file, offset, batch, and the stream where what is left tells: in each field and each part of the log", async () => {
    const fileSystem = await filled({ close: true });
    const restore = fileSystem.snapshot();
    const held = fileSystem.contents(segment(2));
    const first = 4096;
    const batch = find(held, "EVB\u0001", 20_000);
    const record = find(held, "xxxx", batch);
    const number = (at: number) => Buffer.from(held).readUIntLE(at + 8, 6);
    const next = number(first);
    type Expected = { offset: number; batch?: number; stream?: string };
    const cases: [string, string, (bytes: Uint8Array) => void, Expected][] = [
      ["the header of a segment", segment(2), flip(10), { offset: 0, batch: next }],
      ["the first batch of a segment", segment(2), flip(first + 5), { offset: first, batch: next }],
      ["the header of a batch", segment(2), flip(batch + 9), { offset: batch, batch: number(batch) }],
      [
        "the length of a batch",
        segment(2),
        (b) => b.fill(255, batch + 26, batch + 30),
        { offset: batch, batch: number(batch) },
      ],
      ["the stream of a record", segment(2), flip(batch + 42 + 13), { offset: batch, batch: number(batch) }],
      [
        "the length of a record",
        segment(2),
        flip(batch + 42 + 8),
        { offset: batch, batch: number(batch), stream: "s" },
      ],
      ["the data of a record", segment(2), flip(record + 50), { offset: batch, batch: number(batch), stream: "s" }],
      [
        "a zeroed page",
        segment(2),
        (b) => b.fill(0, 8192, 12_288),
        { offset: expect.any(Number) as number, stream: "s" },
      ],
      ["a whole segment", segment(2), (b) => b.fill(0), { offset: 0, batch: next }],
      ["everything behind a segment's header", segment(2), (b) => b.fill(0, 4096), { offset: first, batch: next }],
      ["both slots of the marks", "log/marks", (b) => b.fill(1), { offset: 0 }],
    ];
    for (const [what, file, change, expected] of cases) {
      restore();
      fileSystem.damage(file, change);
      const error = await opened(fileSystem);
      expect(error, what).toMatchObject({ code: "ERR_WAL_CORRUPT", file, ...expected });
    }
    restore();
    await fileSystem.remove(segment(2));
    expect(await opened(fileSystem)).toMatchObject({
      code: "ERR_WAL_CORRUPT",
      file: segment(2),
      offset: 0,
      batch: next,
    });
  });

  it("of all that the oldest segment holds is never taken for an empty log, whatever the marks say", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await open(fileSystem);
    for (let n = 1; n <= 60; n++) await wal.stream("s").append(Buffer.from(text(n)));
    await wal.stream("s").truncateBefore(61);
    await wal.stream("s").append(Buffer.from("x"));
    await wal.close();
    const files = fileSystem.files().filter((name) => name.endsWith(".wal"));
    expect(files).not.toContain(segment(1));
    for (const name of files) fileSystem.damage(name, (bytes) => bytes.fill(0, 4096));
    const never = encodeMark({ ...markOf(fileSystem), generation: 9, batch: 0, batchCrc: 0, segment: 0 }, crc);
    fileSystem.damage("log/marks", (bytes) => bytes.set(Buffer.concat([never, never])));
    expect(await opened(fileSystem)).toMatchObject({ code: "ERR_WAL_CORRUPT", offset: 4096 });
  });

  it("of a batch whose first page was lost and whose later pages were kept, unsynced, is a torn end", async () => {
    const fileSystem = await filled({ close: false, count: 3, length: 20_000 });
    const restore = fileSystem.snapshot();
    const at = find(fileSystem.contents(segment(1)), "3:xxx", 0) - 64;
    for (const pages of [1, 2, 3]) {
      restore();
      const page = Math.floor(at / 4096) * 4096;
      fileSystem.damage(segment(1), (bytes) => bytes.fill(0, at, page + pages * 4096));
      const found = [text(1, 20_000), text(2, 20_000)];
      expect(await opened(fileSystem, { settle: true })).toMatchObject({ found, uncertain: true });
      expect(await opened(fileSystem)).toMatchObject({ found, uncertain: false });
    }
  });

  it("a missing segment is reported, in the middle, at the front and at the end", async () => {
    for (const number of [1, 2, 3]) {
      const fileSystem = await filled({ close: true });
      await fileSystem.remove(segment(number));
      expect(await opened(fileSystem), `segment ${number}`).toMatchObject({ code: "ERR_WAL_CORRUPT" });
    }
    const fileSystem = await filled({ close: true });
    await fileSystem.remove("log/marks");
    expect(await opened(fileSystem)).toMatchObject({ code: "ERR_WAL_CORRUPT", file: "log/marks" });
  });

  it("a segment of another log, or under another number, is refused", async () => {
    const [one, other] = [await filled({ close: true }), await filled({ close: true })];
    one.damage(segment(2), (bytes) => bytes.set(other.contents(segment(2)).subarray(0, bytes.length)));
    expect(await opened(one)).toMatchObject({ code: "ERR_WAL_CORRUPT", file: segment(2), offset: 0 });
    const moved = await filled({ close: true });
    moved.damage(segment(2), (bytes) => bytes.set(moved.contents(segment(3)).subarray(0, bytes.length)));
    expect(await opened(moved)).toMatchObject({ code: "ERR_WAL_CORRUPT", file: segment(2), offset: 0 });
  });

  it("a record that rots while the log is open is never handed out", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await open(fileSystem);
    for (let n = 1; n <= 5; n++) await wal.stream("s").append(Buffer.from(text(n, 100)));
    const at = find(fileSystem.contents(segment(1)), "3:xxx", 0);
    fileSystem.damage(segment(1), (bytes) => bytes.fill(0x79, at + 10, at + 11));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const record of wal.stream("s").read()) seen.push(record.sequence);
    })();
    await expect(reading).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT", file: segment(1), batch: 4 });
    expect(seen).toEqual([1, 2]);
    await wal.close();
  });

  it("old records in a segment that is used again are never taken for new ones", async () => {
    const fileSystem = new FaultFileSystem();
    const random = seeded(7);
    let first = 1;
    let last = 0;
    for (let life = 0; life < 12; life++) {
      const wal = await open(fileSystem);
      const stream = wal.stream("s");
      expect([stream.firstSequence, stream.lastSequence]).toEqual([first, last]);
      expect(await records(wal)).toEqual(Array.from({ length: last - first + 1 }, (_, n) => text(first + n)));
      for (let n = 0; n < 45; n++) last = await stream.append(Buffer.from(text(last + 1)));
      first = last - 5;
      await stream.truncateBefore(first);
      fileSystem.crash(random);
    }
  });
});

describe("failing disks", () => {
  const eio = () => Object.assign(new Error("EIO: i/o error"), { code: "EIO" });

  it("poison the log at the first failing sync; it is never asked again, and reopening tells the truth", async () => {
    const fileSystem = await filled({ close: true, count: 2, length: 10 });
    const wal = await open(fileSystem);
    let syncs = 0;
    fileSystem.fail = (operation) => (operation === "sync" && syncs++ === 0 ? eio() : undefined);
    const stream = wal.stream("s");
    const results = await Promise.allSettled([stream.append(Buffer.from("lost")), stream.truncateBefore(2)]);
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: "ERR_WAL_POISONED", cause: { code: "EIO" } },
      });
    }
    await expect(stream.append(Buffer.from("more"))).rejects.toMatchObject({ code: "ERR_WAL_POISONED" });
    expect(await records(wal)).toEqual([text(1, 10), text(2, 10)]);
    await wal.close();
    expect(syncs).toBe(1);
    fileSystem.crash(() => 0.99);
    const result = await opened(fileSystem);
    expect(result).toMatchObject({ found: [text(1, 10), text(2, 10)] });
  });

  it("are told to whoever waits without a promise as to the others, in the order of the calls", async () => {
    const fileSystem = await filled({ close: true, count: 2, length: 10 });
    const wal = await open(fileSystem);
    fileSystem.fail = (operation) => (operation === "sync" ? eio() : undefined);
    const stream = wal.stream("s");
    const heard: unknown[] = [];
    const notAppended = (name: string) => (reason: unknown) => heard.push([name, (reason as { code: string }).code]);
    const waiter = (name: string) => ({
      appended: (sequence: number) => void heard.push([name, sequence]),
      notAppended: notAppended(name),
    });
    expect(stream.appendThen(Buffer.from("lost"), waiter("first"))).toBeUndefined();
    const promised = stream.append(Buffer.from("lost too")).catch(notAppended("promised"));
    expect(stream.appendThen(Buffer.from("and lost"), waiter("last"))).toBeUndefined();
    await promised;
    expect(heard).toEqual([
      ["first", "ERR_WAL_POISONED"],
      ["last", "ERR_WAL_POISONED"],
      ["promised", "ERR_WAL_POISONED"],
    ]);
    await wal.close();
  });

  it("that are full poison it too, also where the next segment finds no room", async () => {
    for (const operation of ["write", "open create"]) {
      const fileSystem = await filled({ close: true, count: 2, length: 10 });
      const wal = await open(fileSystem);
      const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      fileSystem.fail = (asked) => (asked === operation ? full : undefined);
      const failure = (async () => {
        for (let n = 3; n < 200; n++) await wal.stream("s").append(Buffer.from(text(n)));
      })();
      await expect(failure).rejects.toMatchObject({ code: "ERR_WAL_POISONED", cause: full });
      await wal.close();
      fileSystem.fail = undefined;
      const found = ((await opened(fileSystem)) as { found: string[] }).found;
      expect(found.slice(0, 2)).toEqual([text(1, 10), text(2, 10)]);
    }
  });

  it("that write less than asked for are asked to go on", async () => {
    const fileSystem = new FaultFileSystem();
    const random = seeded(3);
    fileSystem.shorten = (length) => 1 + Math.floor(random() * length);
    const wal = await open(fileSystem);
    for (let n = 1; n <= 40; n++) await wal.stream("s").append(Buffer.from(text(n)));
    await wal.close();
    expect((await opened(fileSystem)) as object).toMatchObject({
      found: Array.from({ length: 40 }, (_, n) => text(n + 1)),
    });
  });

  it("that cannot be read make opening fail; it is not taken for the end of the log", async () => {
    const fileSystem = await filled({ close: true });
    fileSystem.fail = (operation, path) => (operation === "read" && path === segment(2) ? eio() : undefined);
    expect(await opened(fileSystem)).toMatchObject({ code: "ERR_WAL_IO", file: segment(2), cause: { code: "EIO" } });
    fileSystem.fail = undefined;
    expect(((await opened(fileSystem)) as { found: string[] }).found).toHaveLength(60);
  });
});

const flip = (at: number) => (bytes: Uint8Array) => {
  bytes[at] = (bytes[at] as number) ^ 2;
};

function markOf(fileSystem: FaultFileSystem) {
  const slot = decodeMark(fileSystem.contents("log/marks").subarray(0, 4096), crc);
  if (!slot.ok) throw new Error("the mark is damaged already");
  return slot.value;
}

function lastUsed(bytes: Uint8Array): number {
  let at = bytes.length - 1;
  while (bytes[at] === 0) at--;
  return at;
}

function find(bytes: Uint8Array, needle: string, from: number): number {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(needle, from, "latin1");
  expect(at).toBeGreaterThan(0);
  return at;
}
