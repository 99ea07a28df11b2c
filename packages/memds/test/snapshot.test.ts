import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, FrameReader } from "../src/core/frame.js";
import { decodeAnswers, decodeQueries, encodeAnswers, encodeQueries } from "../src/core/messages.js";
import { crc32, decodeSnapshot, encodeSnapshot, RangeTree, sha256 } from "../src/index.js";
import { bytes, entry, show } from "./helpers.js";

const edge = { hash: sha256, checksum: crc32 };
const tree = RangeTree.from(
  Array.from({ length: 200 }, (_, i) => entry(`table-${i % 5}/${i}`, `node-${i % 3}`)),
  sha256,
);
const whole = encodeSnapshot({ version: 2 ** 40 + 1, tree }, crc32);
const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
/** Puts the right checksum under changed bytes, as a program with a mistake would. */
const sealed = (data: Uint8Array) => {
  const copy = data.slice();
  new DataView(copy.buffer).setUint32(copy.length - 4, crc32(copy.subarray(0, copy.length - 4)), true);
  return copy;
};
const failsWith = (code: string) => expect.objectContaining({ code });

describe("a snapshot's bytes", () => {
  it("come back as the same tree at the same version", () => {
    const { version, tree: back } = decodeSnapshot(whole, edge);
    expect(version).toBe(2 ** 40 + 1);
    expect(back.rootHash).toEqual(tree.rootHash);
    expect(encodeSnapshot({ version, tree: back }, crc32)).toEqual(whole);
    const none = decodeSnapshot(encodeSnapshot({ version: 0, tree: RangeTree.empty(sha256) }, crc32), edge);
    expect(none).toMatchObject({ version: 0, tree: { size: 0 } });
  });

  it("are refused when cut off anywhere or with any bit flipped", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeSnapshot(whole.subarray(0, length), edge)).toThrow(failsWith("ERR_MEMDS_CORRUPT"));
    }
    fc.assert(
      fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
        const damaged = whole.slice();
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => decodeSnapshot(damaged, edge)).toThrow(failsWith("ERR_MEMDS_CORRUPT"));
      }),
      { numRuns: 300 },
    );
  });

  it("are refused, never misread, when wrong bytes carry a right checksum", () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 5), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const wrong = whole.slice();
        wrong[at]! ^= mask;
        try {
          const { tree: back } = decodeSnapshot(sealed(wrong), edge);
          const order = [...back.range()].map(({ key }) => Buffer.from(key).toString("hex"));
          expect(order).toEqual([...new Set(order)].sort());
        } catch (error) {
          expect(["ERR_MEMDS_CORRUPT", "ERR_MEMDS_UNSUPPORTED"]).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("are refused when keys do not ascend, and when they are of a later format", () => {
    const small = encodeSnapshot(
      { version: 1, tree: RangeTree.from([entry("a", "1"), entry("b", "2")], sha256) },
      crc32,
    );
    const unsorted = small.map((byte) => (byte === 97 ? 99 : byte)); // "a" becomes "c"
    expect(() => decodeSnapshot(sealed(unsorted), edge)).toThrow(/keys do not ascend/);
    const later = small.slice();
    later[4] = 3;
    expect(() => decodeSnapshot(sealed(later), edge)).toThrow(failsWith("ERR_MEMDS_UNSUPPORTED"));
  });

  it("are refused with a version above 2^53 - 1, which no number can hold", () => {
    const beyond = whole.slice();
    const at = 8;
    expect(new DataView(beyond.buffer).getBigUint64(at, true)).toBe(2n ** 40n + 1n);
    new DataView(beyond.buffer).setBigUint64(at, 2n ** 53n + 1n, true);
    expect(() => decodeSnapshot(sealed(beyond), edge)).toThrow(failsWith("ERR_MEMDS_CORRUPT"));
  });

  it.each([Number.NaN, -1, 2 ** 53])("are not written for the version %s", (version) => {
    expect(() => encodeSnapshot({ version, tree }, crc32)).toThrow(failsWith("ERR_MEMDS_ARGUMENT"));
  });
});

describe("formats of released versions stay readable", () => {
  it("snapshot, format 1", () => {
    const { version, tree: back } = decodeSnapshot(fixture("snapshot-1.bin"), edge);
    expect(version).toBe(42);
    expect([...back.range()].map(show)).toEqual(["orders/=a1", "orders/k=b1", "users/=c1"]);
  });

  it("snapshot, format 2, and the root hash of trees of format 2", () => {
    const { version, tree: back } = decodeSnapshot(fixture("snapshot-2.bin"), edge);
    expect(version).toBe(43);
    const found = [...back.range()].map(show);
    expect(found).toHaveLength(203);
    expect(found.slice(0, 3)).toEqual(["even/000=0000", "even/001=0001", "even/002=0002"]);
    expect(found.slice(200)).toEqual(["orders/=a1", "orders/k=b1 and more", "users/=c1"]);
    expect(Buffer.from(back.rootHash).toString("hex")).toBe(
      "12d8a23890f6eed0c8cce447af0fee0ebcae590188e7b115a1c11399aa2c8013",
    );
    // And we still write the same.
    expect(encodeSnapshot({ version, tree: back }, crc32)).toEqual(fixture("snapshot-2.bin"));
  });

  it("snapshots of format 1 are refused when cut off anywhere or with any byte changed", () => {
    const old = fixture("snapshot-1.bin");
    for (let length = 0; length < old.length; length++) {
      expect(() => decodeSnapshot(old.subarray(0, length), edge)).toThrow(failsWith("ERR_MEMDS_CORRUPT"));
    }
    for (let at = 0; at < old.length; at++) {
      expect(() =>
        decodeSnapshot(
          old.map((byte, i) => (i === at ? byte ^ 1 : byte)),
          edge,
        ),
      ).toThrow(failsWith("ERR_MEMDS_CORRUPT"));
    }
  });

  it("frames with a request and its answer, format 1", () => {
    const reader = new FrameReader({ frameBytesMax: 1 << 20, checksum: crc32 });
    const [request, answer] = [...reader.push(fixture("frames-1.bin"))];
    expect(request).toMatchObject({ type: 1, request: 7 });
    const queries = decodeQueries(request!.payload);
    expect(queries).toEqual([
      { kind: "exact", key: bytes("a") },
      { kind: "floor", key: bytes("b") },
      { kind: "ceiling", key: bytes("c") },
      { kind: "range", from: bytes("d"), to: bytes("e"), limitMax: 9 },
      { kind: "range", from: bytes("f"), limitMax: 1 },
    ]);
    expect(answer).toMatchObject({ type: 2, request: 7 });
    const answers = decodeAnswers(answer!.payload);
    expect(answers.map(({ version, entries, more }) => [version, entries.map(show), more])).toEqual([
      [42, ["a=1"], false],
      [42, [], true],
    ]);
    // And we still write the same.
    const again = [
      encodeFrame({ type: 1, request: 7, payload: encodeQueries(queries) }, crc32),
      encodeFrame({ type: 2, request: 7, payload: encodeAnswers(42, answers) }, crc32),
    ];
    expect(Buffer.concat(again)).toEqual(Buffer.from(fixture("frames-1.bin")));
  });
});
