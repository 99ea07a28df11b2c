import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EntryType, entryHeaderBytes, putEntryHeader, sealEntries as sealEach } from "../src/core/entry.js";
import { sealEntries } from "../src/fs/checksum.js";
import { compiledCrc, scratchBytes } from "../src/fs/compiled-crc.js";

function unsealed(records: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + entryHeaderBytes + record.length, 0));
  let at = 0;
  for (const [n, record] of records.entries()) {
    bytes.set(record, at + entryHeaderBytes);
    putEntryHeader(bytes, at, EntryType.record, 7, n + 1, 0, record.length);
    at += entryHeaderBytes + record.length;
  }
  return bytes;
}

describe("the checksums of a batch's entries", () => {
  it("are zlib's, computed all at once or one by one", () => {
    expect(compiledCrc()).toBeDefined();
    const records = fc.array(fc.uint8Array({ maxLength: 400, size: "max" }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(records, fc.nat({ max: 50 }), (data, from) => {
        const plain = unsealed(data);
        const [each, atOnce] = [new Uint8Array(from + plain.length + 9), new Uint8Array(from + plain.length + 9)];
        each.set(plain, from);
        atOnce.set(plain, from);
        sealEach(each, from, from + plain.length, crc32);
        compiledCrc()?.sealEntries(atOnce, from, from + plain.length);
        expect(Buffer.compare(atOnce, each)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("are right for batches of every size around what is computed at once", () => {
    for (const length of [1, 3, 1000, Math.ceil(scratchBytes / 322), 5000]) {
      const plain = unsealed(Array.from({ length }, (_, n) => new Uint8Array(300).fill(n)));
      const each = plain.slice();
      sealEach(each, 0, each.length, crc32);
      sealEntries(plain, 0, plain.length, length);
      expect(Buffer.compare(plain, each)).toBe(0);
    }
  });
});
