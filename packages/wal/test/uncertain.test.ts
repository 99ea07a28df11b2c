import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeTornEnd, encodeTornEnd } from "../src/core/headers.js";
import { crc } from "../src/fs/checksum.js";
import { Wal } from "../src/index.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";

const first = "log/000000000001.wal";
const open = (fileSystem: FaultFileSystem) =>
  Wal.open({ dir: "log", fileSystem: fileSystem.boot(), segmentBytes: 65_536, idleMarkMs: 60_000 });

/** Three records, the power goes, and the last one's batch is torn. */
async function torn(): Promise<FaultFileSystem> {
  const fileSystem = new FaultFileSystem();
  const wal = await open(fileSystem);
  for (const text of ["one", "two", "three"]) await wal.stream("s").append(Buffer.from(text));
  fileSystem.crash(() => 0.99);
  tear(fileSystem, "three");
  return fileSystem;
}

function tear(fileSystem: FaultFileSystem, text: string): void {
  fileSystem.damage(first, (bytes) => {
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).lastIndexOf(text);
    bytes[at] = (bytes[at] as number) ^ 1;
  });
}

describe("where a log's end was torn off", () => {
  it("is said at every opening until it is settled, and from then on never", async () => {
    const fileSystem = await torn();
    for (let life = 0; life < 3; life++) {
      const wal = await open(fileSystem);
      expect(wal.uncertainFrom).toMatchObject({ file: first, batch: 4 });
      await wal.stream("s").append(Buffer.from("more"));
      if (life < 2) fileSystem.crash(() => 0.99);
      else {
        await wal.settleUncertain();
        await wal.settleUncertain();
        await wal.close();
        await expect(wal.settleUncertain()).rejects.toMatchObject({ code: "ERR_WAL_CLOSED" });
      }
    }
    const wal = await open(fileSystem);
    expect(wal.uncertainFrom).toBeNull();
    await wal.settleUncertain();
    await wal.close();
  });

  it("is not forgotten by a power cut at any write boundary of the opening that finds it, or of the one after that", async () => {
    let cuts = 0;
    const cutsOf = async (fileSystem: FaultFileSystem, then: (seed: number) => Promise<void>) => {
      const restore = fileSystem.snapshot();
      for (let boundary = 0, opening = true; opening; boundary++) {
        restore();
        fileSystem.countdown = boundary;
        const wal = await open(fileSystem).catch(() => undefined);
        opening = wal === undefined;
        fileSystem.crash(seeded(boundary));
        await wal?.close().catch(() => undefined);
        await then(boundary);
        cuts++;
      }
    };
    await cutsOf(await torn(), async () => undefined);
    const fileSystem = await torn();
    await cutsOf(fileSystem, () =>
      cutsOf(fileSystem, async () => {
        const wal = await open(fileSystem);
        expect(wal.uncertainFrom).toMatchObject({ file: first, batch: 4 });
        fileSystem.kill();
        await wal.close().catch(() => undefined);
      }),
    );
    expect(cuts).toBeGreaterThan(40);
  });

  it("is settled once that was said to be durable, whatever crash comes then", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const fileSystem = await torn();
      const wal = await open(fileSystem);
      await wal.settleUncertain();
      fileSystem.crash(seeded(seed));
      await wal.close().catch(() => undefined);
      const again = await open(fileSystem);
      expect(again.uncertainFrom).toBeNull();
      await again.close();
    }
  });

  it("is the newest, when it has happened again before anybody took note", async () => {
    const fileSystem = await torn();
    const wal = await open(fileSystem);
    for (const text of ["third", "fourth"]) await wal.stream("s").append(Buffer.from(text));
    fileSystem.crash(() => 0.99);
    await wal.close().catch(() => undefined);
    tear(fileSystem, "fourth");
    const again = await open(fileSystem);
    expect(again.uncertainFrom).toMatchObject({ file: first, batch: 5 });
    await again.close();
  });

  it("is not made up: a damaged note, or one of another log, is an error, and nothing is changed", async () => {
    const fileSystem = await torn();
    await (await open(fileSystem)).close();
    const restore = fileSystem.snapshot();
    const note = fileSystem.contents("log/uncertain").slice();
    for (let bit = 0; bit < note.length * 8; bit++) {
      restore();
      fileSystem.damage("log/uncertain", (bytes) => {
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      });
      await expect(open(fileSystem)).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT", file: "log/uncertain" });
    }
    fileSystem.put("log/uncertain", note.subarray(0, 20));
    await expect(open(fileSystem)).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT", file: "log/uncertain" });
    fileSystem.put("log/uncertain", encodeTornEnd({ logId: new Uint8Array(16), batch: 4, segment: 1, offset: 1 }, crc));
    await expect(open(fileSystem)).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT", file: "log/uncertain" });
  });

  it("is told by a later version in its own words, which this one refuses to guess", async () => {
    const fileSystem = await torn();
    await (await open(fileSystem)).close();
    const later = fileSystem.contents("log/uncertain").slice();
    later[4] = 2;
    new DataView(later.buffer).setUint32(44, crc(later.subarray(0, 44)), true);
    fileSystem.put("log/uncertain", later);
    await expect(open(fileSystem)).rejects.toMatchObject({ code: "ERR_WAL_UNSUPPORTED" });
  });

  it("that cannot be written down keeps the log from opening, with its torn end where it was", async () => {
    const fileSystem = await torn();
    const before = fileSystem.contents(first).slice();
    fileSystem.fail = (operation, path) =>
      operation === "write" && path.includes("uncertain") ? new Error("disk full") : undefined;
    await expect(open(fileSystem)).rejects.toMatchObject({ code: "ERR_WAL_IO", file: "log/uncertain" });
    expect(Buffer.compare(fileSystem.contents(first), before)).toBe(0);
    fileSystem.fail = undefined;
    const wal = await open(fileSystem);
    expect(wal.uncertainFrom).toMatchObject({ batch: 4 });
    await wal.close();
  });

  it("is read from a file that format version 1 wrote", () => {
    const hex = readFileSync(new URL("./fixtures/uncertain-v1.txt", import.meta.url), "utf8").trim();
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
    const value = {
      logId: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
      batch: 70_000_000_001,
      segment: 3,
      offset: 8_192,
    };
    expect(decodeTornEnd(bytes, crc)).toEqual({ ok: true, value });
    expect(Buffer.from(encodeTornEnd(value, crc)).toString("hex")).toBe(hex);
  });
});
