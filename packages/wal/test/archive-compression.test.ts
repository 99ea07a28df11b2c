import { randomBytes } from "node:crypto";
import * as zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  type ArchiveEntry,
  Archiver,
  type Compression,
  memoryObjectStore,
  type ObjectStore,
  restore,
  sha256,
  verifyArchive,
} from "../src/archive/index.js";
import { change, keys, plain, stream } from "./archive-world.js";
import { collect } from "./collect.js";

const hasZstd = "zstdCompress" in zlib;
const text = (n: number) => Buffer.from(`order ${n} `.repeat(100));
const listOf = (count: number, data: (n: number) => Buffer): ArchiveEntry[] =>
  Array.from({ length: count }, (_, n) => ({ sequence: n + 1, timeMs: 1000 + n, data: data(n + 1) }));
const archiverOf = (store: ObjectStore, compression: Compression, bytesPerObjectMax = 10_000) =>
  Archiver.open({ store, stream, compression, bytesPerObjectMax });

describe("what is stored compressed", () => {
  const codecs: Compression[] = ["none", "deflate", "brotli", ...(hasZstd ? ["zstd" as const] : [])];
  for (const compression of codecs) {
    it(`by ${compression} comes back exactly, and its manifest says how it is stored and what it is`, async () => {
      const store = memoryObjectStore();
      const entries = listOf(50, text);
      const manifests = await (await archiverOf(store, compression)).archive(entries);
      const plainly = await (await archiverOf(memoryObjectStore(), "none")).archive(entries);
      for (const [n, manifest] of manifests.entries()) {
        const stored = (await store.get(manifest.object)) as Uint8Array;
        expect(manifest).toMatchObject({ compression, storedBytes: stored.length, storedSha256: sha256(stored) });
        const { bytes, sha256: hash, previousSha256 } = plainly[n] as (typeof plainly)[number];
        expect(manifest).toMatchObject({
          bytes,
          sha256: hash,
          previousSha256,
          count: manifest.last - manifest.first + 1,
        });
        expect(manifest.storedBytes < bytes / 4).toBe(compression !== "none");
      }
      expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries));
      expect(await verifyArchive({ store, stream })).toMatchObject({ wholeThrough: 50, problems: [] });
    });
  }

  it("is only what pays: random, tiny and empty records are stored as they are", async () => {
    for (const entries of [
      listOf(10, () => randomBytes(100_000)),
      listOf(1, () => Buffer.from("x")),
      listOf(1, () => Buffer.alloc(0)),
    ]) {
      const store = memoryObjectStore();
      const manifests = await (await archiverOf(store, "brotli", 600_000)).archive(entries);
      for (const manifest of manifests) expect(manifest.compression).toBe("none");
      expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries));
    }
  });

  it("is compared with other replicas by its content: they may pack otherwise, and take each other's objects over", async () => {
    const store = memoryObjectStore();
    const entries = listOf(60, text);
    await (await archiverOf(store, "brotli")).archive(entries.slice(0, 30));
    const deflating = await archiverOf(store, "deflate");
    expect(await deflating.compare(entries)).toBe(30);
    // Died between an object and its manifest.
    const last = (await keys(store)).findLast((key) => key.endsWith(".manifest")) as string;
    const vouched = await store.get(last);
    await store.delete(last);
    const other = await archiverOf(store, "deflate", 3000);
    await other.archive(entries.slice(other.archivedThrough));
    expect(await store.get(last)).toEqual(vouched);
    expect(await verifyArchive({ store, stream })).toMatchObject({ wholeThrough: 60, problems: [] });
    const used = new Set<string>();
    for (const key of await keys(store)) {
      if (!key.endsWith(".manifest")) continue;
      const manifest = Buffer.from((await store.get(key)) as Uint8Array).toString();
      used.add(/"compression": "(\w+)"/.exec(manifest)?.[1] ?? "");
    }
    expect([...used].sort()).toEqual(["brotli", "deflate"]);
  });

  it("is not believed when it unpacks to more than it says, to something else, or by a codec nobody knows", async () => {
    const store = memoryObjectStore();
    const [manifest] = await (await archiverOf(store, "deflate", 1_000_000)).archive(listOf(20, text));
    const key = manifest?.object as string;
    const whole = (await store.get(key)) as Uint8Array;
    await store.delete(key.replace(".log", ".manifest"));
    const header = (edit: (view: DataView) => void) => {
      const bytes = whole.slice();
      const view = new DataView(bytes.buffer);
      edit(view);
      view.setUint32(56, zlib.crc32(bytes.subarray(0, 56)), true);
      return bytes;
    };
    const body = zlib.deflateRawSync(Buffer.alloc(50_000_000));
    const bomb = Buffer.concat([header((view) => view.setUint32(14, body.length, true)).subarray(0, 60), body]);
    const cases: [Uint8Array, string][] = [
      [bomb, "ERR_ARCHIVE_CORRUPT"],
      [header((view) => view.setUint32(8, 100, true)), "ERR_ARCHIVE_CORRUPT"],
      [header((view) => view.setUint32(24, 1, true)), "ERR_ARCHIVE_CORRUPT"],
      [header((view) => view.setUint8(6, 2)), "ERR_ARCHIVE_CORRUPT"],
      [header((view) => view.setUint8(6, 9)), "ERR_ARCHIVE_UNSUPPORTED"],
      [header((view) => view.setUint16(4, 7, true)), "ERR_ARCHIVE_UNSUPPORTED"],
      [whole.subarray(0, whole.length - 1), "ERR_ARCHIVE_CORRUPT"],
      [whole.subarray(0, 30), "ERR_ARCHIVE_CORRUPT"],
    ];
    for (const [bytes, code] of cases) {
      await change(store, key, () => bytes);
      const archiver = await archiverOf(store, "deflate", 1_000_000);
      await expect(archiver.archive(listOf(20, text))).rejects.toMatchObject({ code, key });
      expect(Buffer.from((await store.get(key)) as Uint8Array)).toEqual(Buffer.from(bytes));
    }
  });

  it("asks for a codec that there is", async () => {
    await expect(archiverOf(memoryObjectStore(), "lzma" as Compression)).rejects.toMatchObject({
      code: "ERR_ARCHIVE_ARGUMENT",
    });
    if (hasZstd) return;
    await expect(archiverOf(memoryObjectStore(), "zstd")).rejects.toThrow(/22\.15/);
  });
});
