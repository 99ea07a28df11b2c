import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import { salvage, Wal, WalError } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";

const options = { dir: "log", segmentBytes: 65_536, segmentsBeforeCarry: 1 };
const bytes = (text: string) => new TextEncoder().encode(text);
const record = (n: number) => new Uint8Array(3000).fill(n);
const failure = (code: string) => Object.assign(new Error(`${code}: staged`), { code });
const firsts = async (wal: Wal) => (await collect(wal.stream("s").read())).map((found) => found.data[0]);

/** Nothing; a closed log with a segment made ahead of time; one that was cut off in the middle of a batch. */
const states: Record<string, () => Promise<{ fileSystem: FaultFileSystem; records: number[] }>> = {
  "that is new": async () => ({ fileSystem: new FaultFileSystem(), records: [] }),
  "that was closed": async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ ...options, fileSystem });
    for (let n = 1; n <= 14; n++) await wal.stream("s").append(record(n));
    await wal.close();
    return { fileSystem, records: Array.from({ length: 14 }, (_, n) => n + 1) };
  },
  "with a torn end": async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ ...options, fileSystem });
    for (let n = 1; n <= 30; n++) await wal.stream("s").append(record(n));
    fileSystem.crash(seeded(1));
    const file = fileSystem
      .files()
      .findLast((name) => Buffer.from(fileSystem.contents(name)).includes(Buffer.from(record(30))));
    fileSystem.damage(file as string, (held) => held.fill(0, Buffer.from(held).lastIndexOf(record(30)) + 2000));
    return { fileSystem, records: Array.from({ length: 29 }, (_, n) => n + 1) };
  },
};

describe("whatever operation fails", () => {
  for (const [name, make] of Object.entries(states)) {
    for (const code of ["EIO", "EMFILE"]) {
      it(`opening a log ${name} says so (${code}), leaves nothing open, and changes nothing that the next opening finds`, async () => {
        let failed = 0;
        for (let at = 0; ; at++) {
          const { fileSystem, records } = await make();
          let countdown = at;
          fileSystem.fail = (operation) => (operation !== "close" && countdown-- === 0 ? failure(code) : undefined);
          const opened = await Wal.open({ ...options, fileSystem }).catch((error: unknown) => error);
          fileSystem.fail = undefined;
          if (opened instanceof Wal) {
            await opened.close();
            expect(countdown, "every operation was made to fail").toBeGreaterThanOrEqual(0);
            break;
          }
          expect(opened).toBeInstanceOf(WalError);
          expect(opened).toMatchObject({ code: "ERR_WAL_IO" });
          expect(fileSystem.handles).toBe(0);
          if (at % 2 === 0) fileSystem.crash(seeded(at));
          await using wal = await Wal.open({ ...options, fileSystem });
          expect(await firsts(wal)).toEqual(records);
          failed++;
        }
        expect(failed).toBeGreaterThan(8);
      });
    }
  }

  it("an appending log says so to everybody who waits, never acknowledges what it cannot keep, and closes all its files", async () => {
    let poisoned = 0;
    for (let at = 0; ; at++) {
      const fileSystem = new FaultFileSystem();
      const wal = await Wal.open({ ...options, fileSystem });
      let countdown = at;
      let failing = "";
      fileSystem.fail = (operation) => {
        if (countdown-- !== 0) return undefined;
        failing = operation;
        return failure(["EIO", "ENOSPC", "EROFS"][at % 3] as string);
      };
      const stream = wal.stream("s");
      let acknowledged = 0;
      const calls = [1, 2, 3].map(async () => {
        for (let n = 0; n < 20; n++) {
          const sequence = await stream.append(record(n));
          acknowledged = Math.max(acknowledged, sequence);
          if (sequence % 10 === 0) await stream.truncateBefore(sequence - 8);
        }
      });
      for (const result of await Promise.allSettled(calls)) {
        if (result.status === "rejected") expect(result.reason, failing).toMatchObject({ code: "ERR_WAL_POISONED" });
      }
      const before = wal.stats().poisoned;
      const closing = await wal.close().catch((error: unknown) => error);
      if (closing !== undefined) expect(closing).toMatchObject({ code: "ERR_WAL_IO" });
      expect(fileSystem.handles, `after a failed ${failing}`).toBe(0);
      const done = countdown >= 0;
      fileSystem.fail = undefined;
      fileSystem.crash(seeded(at));
      const again = await Wal.open({ ...options, fileSystem });
      expect(again.stream("s").lastSequence, `after a failed ${failing}`).toBeGreaterThanOrEqual(acknowledged);
      await again.close();
      if (before) poisoned++;
      if (done) break;
    }
    expect(poisoned).toBeGreaterThan(5);
  });

  it("reading says so, and goes on once it is over", async () => {
    const { fileSystem } = await (states["that was closed"] as (typeof states)[string])();
    await using wal = await Wal.open({ ...options, fileSystem });
    const stream = wal.stream("s");
    for (const operation of ["open read", "read"]) {
      fileSystem.fail = (asked) => (asked === operation ? failure("EMFILE") : undefined);
      const reading = collect(stream.read());
      await expect(reading).rejects.toMatchObject({ code: "ERR_WAL_IO", cause: { code: "EMFILE" } });
      fileSystem.fail = undefined;
      expect(await collect(stream.read())).toHaveLength(14);
      expect(await stream.append(bytes("x"))).toBeGreaterThan(14);
      await stream.truncateAfter(14);
    }
  });

  it("salvage says so where nothing can be read, and reads from a file system that cannot be written", async () => {
    const { fileSystem } = await (states["that was closed"] as (typeof states)[string])();
    for (const operation of ["lock", "list"]) {
      fileSystem.fail = (asked) => (asked === operation ? failure("EACCES") : undefined);
      await expect(salvage({ dir: "log", fileSystem })).rejects.toMatchObject({ code: "ERR_WAL_IO" });
    }
    fileSystem.fail = (asked) => (/write|create|sync|rename|remove/.test(asked) ? failure("EROFS") : undefined);
    const { damages, streams } = await salvage({ dir: "log", fileSystem });
    expect([damages, streams[0]?.lastSequence]).toEqual([[], 14]);
    expect(fileSystem.handles).toBe(0);
  });
});

describe("a sync of the directory that fails", () => {
  it("while a dead segment is dropped poisons the log: later renames could be lost however later syncs answer", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await Wal.open({ ...options, fileSystem });
    const stream = wal.stream("s");
    for (let n = 1; n <= 40; n++) await stream.append(record(n));
    let failures = 0;
    const failed = new Promise<void>((resolve) => {
      fileSystem.fail = (operation) => {
        if (operation !== "syncDirectory" || failures++ > 0) return undefined;
        resolve();
        return failure("EIO");
      };
    });
    await stream.truncateBefore(41);
    await failed;
    const goingOn = (async () => {
      for (let n = 0; n < 100; n++) await stream.append(record(n));
    })();
    await expect(goingOn).rejects.toMatchObject({ code: "ERR_WAL_POISONED", cause: { code: "EIO" } });
    await wal.close();
    fileSystem.crash(() => 0.99);
    await using again = await Wal.open({ ...options, fileSystem });
    expect(again.stream("s").firstSequence).toBe(41);
  });
});

describe("a dead segment", () => {
  it("is dropped only once the checkpoint that replaces it is durable, even while the log moves on to the next one", async () => {
    const fileSystem = new FaultFileSystem();
    // What is let go of below is not to be carried before.
    const wal = await Wal.open({ ...options, segmentsBeforeCarry: 4, fileSystem });
    const stream = wal.stream("s");
    while (wal.stats().lastSegment < 2) await stream.append(record(1));
    const next = stream.lastSequence + 1;
    // The directory's sync after the first dead segment is held up until the log is at the first write to its third segment, and then power fails.
    let goOn: () => void = () => undefined;
    const third = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let [dropping, held, made] = [false, false, false];
    fileSystem.before = (operation, path) => {
      if (operation === "rename" && path.endsWith("000001.wal")) dropping = true;
      if (operation === "rename" && path.endsWith("000003.wal.tmp")) made = true;
      if (operation === "syncDirectory" && dropping && !held) {
        held = true;
        return third;
      }
      if (!made || operation !== "write" || !path.endsWith("000003.wal.tmp")) return undefined;
      goOn();
      return new Promise(() => undefined);
    };
    await stream.truncateBefore(next);
    const appended = stream.append(new Uint8Array(70_000));
    await third;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    fileSystem.before = undefined;
    // Every operation on the directory made it to disk, no write did that was not synced.
    for (const name of fileSystem.files()) expect(name).not.toBe("log/000000000001.wal");
    await fileSystem.syncDirectory("log");
    fileSystem.crash(() => 0.99);
    await using again = await Wal.open({ ...options, fileSystem });
    expect([again.stream("s").firstSequence, again.stream("s").lastSequence]).toEqual([next, next - 1]);
    void appended;
  });
});

describe("what a person is to know goes out on a channel:", () => {
  /** What is said there, from now on until the work is done. */
  async function heard(name: string, work: (messages: unknown[]) => Promise<void>): Promise<void> {
    const messages: unknown[] = [];
    const listener = (message: unknown) => void messages.push(message);
    subscribe(`evenkeel:wal:${name}`, listener);
    await work(messages).finally(() => unsubscribe(`evenkeel:wal:${name}`, listener));
  }

  it("that a log takes nothing more", () =>
    heard("poisoned", async (messages) => {
      const fileSystem = new FaultFileSystem();
      const wal = await Wal.open({ ...options, fileSystem });
      fileSystem.fail = (operation) => (/write|sync/i.test(operation) ? failure("EIO") : undefined);
      await expect(wal.stream("s").append(record(1))).rejects.toMatchObject({ code: "ERR_WAL_POISONED" });
      expect(messages).toMatchObject([{ file: "log/000000000001.wal", error: { cause: { code: "EIO" } } }]);
      await wal.close();
    }));

  it("that a dead segment could not be dropped, which is tried again", () =>
    heard("drop-failed", async (messages) => {
      const fileSystem = new FaultFileSystem();
      await using wal = await Wal.open({ ...options, segmentsBeforeCarry: 100, fileSystem });
      const stream = wal.stream("s");
      for (let n = 1; n <= 40; n++) await stream.append(record(n));
      fileSystem.fail = (operation, path) =>
        operation === "rename" && path.endsWith("1.wal") ? failure("EACCES") : undefined;
      await stream.truncateBefore(40);
      await expect.poll(() => messages).toMatchObject([{ dir: "log", error: { code: "EACCES" } }]);
      expect(wal.stats().segmentsDropped).toBe(0);
      fileSystem.fail = undefined;
      await stream.append(record(41));
      await expect.poll(() => wal.stats().segmentsDropped).toBe(1);
      expect(await firsts(wal)).toEqual([40, 41]);
    }));

  it("that records could not be carried, which is tried again", () =>
    heard("carry-failed", async (messages) => {
      const fileSystem = new FaultFileSystem();
      await using wal = await Wal.open({ ...options, fileSystem });
      const [rare, busy] = [wal.stream("rare"), wal.stream("busy")];
      await rare.append(bytes("kept"));
      fileSystem.fail = (operation) => (operation === "open read" ? failure("EMFILE") : undefined);
      const write = async () => busy.truncateBefore(await busy.append(record(1)));
      while (messages.length === 0) await write();
      expect(messages).toMatchObject([{ error: { cause: { code: "EMFILE" } } }]);
      expect(wal.stats().recordsCarried).toBe(0);
      fileSystem.fail = undefined;
      while (wal.stats().recordsCarried === 0) await write();
      expect((await collect(rare.read())).map(({ data }) => `${Buffer.from(data)}`)).toEqual(["kept"]);
    }));
});
