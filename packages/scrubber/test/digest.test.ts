import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryReplica, RangeDigester, sha256 } from "../src/index.js";
import { bytes, many, replica } from "./support/sources.js";

const digestOf = (entries: readonly (readonly [string, string])[]) => {
  const digester = new RangeDigester(sha256);
  for (const [key, value] of entries) digester.add(bytes(key), bytes(value));
  return digester.finish();
};

function packedEntry(key: Uint8Array, value: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(key.length, 0);
  header.writeUInt32LE(value.length, 4);
  return Buffer.concat([header, key, value]);
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

describe("the digest of a range", () => {
  it("of this version is pinned: replicas of one version compare it, and others are told apart", () => {
    expect(digestOf([]).version).toBe(3);
    expect(hex(digestOf([]).hash)).toBe("00".repeat(32));
    expect(digestOf([["key", "value"]])).toMatchObject({ keys: 1, bytes: 8 });
    const oneRun = createHash("sha256").update("\x03\0\0\0\x05\0\0\0keyvalue").digest("hex");
    expect(hex(digestOf([["key", "value"]]).hash)).toBe(oneRun);
    expect(hex(digestOf(Object.entries(many(1000))).hash)).toBe(
      "e81d92fcdb61a48eb0cb1a5eaca8d848a5fe8b646f28d294bb08a932c91d58f4",
    );
  });

  it("changes with any entry", () => {
    const entry = fc.tuple(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }));
    const sorted = fc
      .uniqueArray(entry, { selector: ([key]) => key, maxLength: 30 })
      .map((list) => list.sort(([x], [y]) => Buffer.compare(bytes(x), bytes(y))));
    fc.assert(
      fc.property(sorted, sorted, (x, y) => {
        expect(hex(digestOf(x).hash) === hex(digestOf(y).hash)).toBe(JSON.stringify(x) === JSON.stringify(y));
      }),
    );
  });

  it("adds up from parts that are cut at the ends of runs", async () => {
    const filled = Object.entries(many(1000)).map(([key, value]) => [key, value.padEnd(100)]);
    const source = replica("a", Object.fromEntries(filled) as Record<string, string>);
    const snapshot = await source.snapshot(1);
    const whole = (await snapshot.digests([{ from: bytes(""), to: undefined }]))[0]?.hash as Uint8Array;
    let fitting = 0;
    for (let i = 1; i < 400; i++) {
      const at = bytes(String(i).padStart(8, "0"));
      const [left, right] = await snapshot.digests([
        { from: bytes(""), to: at },
        { from: at, to: undefined },
      ]);
      const sum = new Uint8Array(32);
      const [l, r, s] = [left?.hash, right?.hash, sum].map(
        (hash) => new DataView((hash as Uint8Array).buffer, (hash as Uint8Array).byteOffset),
      );
      for (let lane = 0; lane < 32; lane += 4)
        s?.setUint32(lane, (l?.getUint32(lane, true) ?? 0) + (r?.getUint32(lane, true) ?? 0), true);
      if (hex(sum) === hex(whole)) fitting++;
    }
    // An entry of 116 bytes ends a run of 4 KiB once in 35.
    expect(fitting).toBeGreaterThan(1);
    expect(fitting).toBeLessThan(40);
  });

  it("refuses keys out of order or twice", () => {
    expect(() =>
      digestOf([
        ["b", ""],
        ["a", ""],
      ]),
    ).toThrow(expect.objectContaining({ code: "ERR_SCRUBBER_ORDER" }));
    expect(() =>
      digestOf([
        ["a", ""],
        ["a", ""],
      ]),
    ).toThrow(/each key once/);
  });

  it("is the same whether the hash can take all at once or not", () => {
    const entries = Object.entries(many(2000)).map(([key, value]) => [key, value.repeat(30)] as const);
    const plain = new RangeDigester(() => createHash("sha256"));
    for (const [key, value] of entries) plain.add(bytes(key), bytes(value));
    expect(plain.finish()).toEqual(digestOf(entries));
  });

  it("is the same of entries in blocks, wherever those end, and mixed with others", () => {
    const entry = fc.tuple(fc.uint8Array({ maxLength: 9 }), fc.nat({ max: 9_000 }), fc.boolean());
    const sorted = fc
      .uniqueArray(entry, { selector: ([key]) => hex(key), maxLength: 60 })
      .map((list) => list.sort(([x], [y]) => Buffer.compare(x, y)));
    fc.assert(
      fc.property(sorted, (list) => {
        const plain = new RangeDigester(sha256);
        const packed = new RangeDigester(sha256);
        const [plainRuns, packedRuns]: [unknown[], unknown[]] = [[], []];
        plain.eachRun((end, sum) => plainRuns.push([hex(end), sum]));
        packed.eachRun((end, sum) => packedRuns.push([hex(end), sum]));
        let block: Uint8Array[] = [];
        for (const [key, length, ends] of list) {
          const value = Buffer.alloc(length, length);
          plain.add(key, value);
          block.push(packedEntry(key, value));
          if (!ends) continue;
          packed.addPacked(Buffer.concat(block));
          block = [];
          if (length % 7 === 0) packed.addPacked(new Uint8Array(0));
        }
        packed.addPacked(Buffer.concat(block));
        expect(packedRuns).toEqual(plainRuns);
        expect(packed.finish()).toEqual(plain.finish());
      }),
    );
  });

  it("refuses a block that is cut off, and keys out of order in one or from one to the next", () => {
    const [a, b] = ["a", "b"].map((key) => packedEntry(bytes(key), bytes("value"))) as [Buffer, Buffer];
    const refused = (code: string, ...blocks: Uint8Array[]) => {
      const digester = new RangeDigester(sha256);
      expect(() => {
        for (const block of blocks) digester.addPacked(block);
      }).toThrow(expect.objectContaining({ code }));
    };
    refused("ERR_SCRUBBER_ORDER", Buffer.concat([b, a]));
    refused("ERR_SCRUBBER_ORDER", b, a);
    refused("ERR_SCRUBBER_ORDER", Buffer.concat([a, a]));
    for (let length = 1; length < a.length; length++) refused("ERR_SCRUBBER_ARGUMENT", b, a.subarray(0, length));
  });

  it("is the same however long the values are", () => {
    const long = "x".repeat(200_000);
    const expected = createHash("sha256");
    const header = Buffer.alloc(8);
    header.writeUInt32LE(1, 0);
    header.writeUInt32LE(long.length, 4);
    expect(hex(digestOf([["k", long]]).hash)).toBe(expected.update(header).update(`k${long}`).digest("hex"));
  });
});

it("a memory replica counts its bytes through puts and deletes", () => {
  const { store } = memoryReplica("a");
  store.put(bytes("key"), bytes("value"));
  expect(store.bytes).toBe(8);
  store.put(bytes("key"), bytes("v"));
  expect(store.bytes).toBe(4);
  expect([store.delete(bytes("key")), store.delete(bytes("key")), store.bytes, store.size]).toEqual([
    true,
    false,
    0,
    0,
  ]);
});
