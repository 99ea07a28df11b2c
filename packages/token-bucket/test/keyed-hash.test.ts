import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyedHash } from "../src/core/keyed-hash.js";
import { halfSipHash } from "./half-sip-hash.js";

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** The authors' test vectors for HalfSipHash-2-4 of 0, 1, 2, ... bytes 00 01 02 ... under the key 00 01 ... 07. */
const vectors = [
  "218d1f59b9b83cc8",
  "be552412f8387315",
  "064f39ef7c50eb57",
  "ce0f1a45f7060679",
  "d5e78a175be52ea1",
  "cb9d7c3f2f3db580",
  "ce3e91358aa2bc25",
  "ff202728b07bc684",
  "edfee820bce4858c",
  "5b51cccc13888307",
  "95b0469f06a6f2ee",
  "ae26333994ddcd48",
];

function hashOf(key: string, seed: readonly [number, number]): [number, number] {
  const hash = new KeyedHash(seed);
  hash.hash(key);
  return [hash.low >>> 0, hash.high >>> 0];
}

describe("the hash of keys", () => {
  it("is compared with an implementation that passes the authors' vectors", () => {
    for (const [length, expected] of vectors.entries()) {
      const bytes = Uint8Array.from({ length }, (_, i) => i);
      const [first, second] = halfSipHash(bytes, [0x03020100, 0x07060504], { compression: 2, finalization: 4 });
      const out = Buffer.alloc(8);
      out.writeUInt32LE(first, 0);
      out.writeUInt32LE(second, 4);
      expect(out.toString("hex")).toBe(expected);
    }
  });

  it("is HalfSipHash-1-3 of the bytes of plain keys", () => {
    const plain = fc.string({ unit: "binary-ascii", maxLength: 300 });
    fc.assert(
      fc.property(fc.oneof(plain, fc.constant("é\u00ff\u0000")), word, word, (key, k0, k1) => {
        const [first] = halfSipHash(Buffer.from(key, "latin1"), [k0, k1], { compression: 1, finalization: 3 });
        expect(hashOf(key, [k0, k1])[0]).toBe(first);
      }),
    );
  });

  it("is that of UTF-16 where a character needs it, lone surrogates included, from another beginning", () => {
    const wide = fc.tuple(fc.string({ maxLength: 9 }), fc.constantFrom("\u0100", "\ud800", "\udfff", "日本", "😀"));
    fc.assert(
      fc.property(wide, fc.string(), word, word, ([head, middle], tail, k0, k1) => {
        const key = head + middle + tail;
        const options = { compression: 1, finalization: 3, tweak: 0x57494445 };
        const [first] = halfSipHash(Buffer.from(key, "utf16le"), [k0, k1], options);
        expect(hashOf(key, [k0, k1])[0]).toBe(first);
      }),
      { numRuns: 50 },
    );
  });

  it("tells apart what is nearly alike, and is never nothing", () => {
    const seed = [1, 2] as const;
    const keys = ["", "\0", "\0\0", "a", "a\0", "a\0\0\0", "\0a", "Ā", "\u0000\u0001", "__proto__", "\ud800", "\ud801"];
    const hashes = keys.map((key) => hashOf(key, seed).join());
    expect(new Set(hashes).size).toBe(keys.length);
    for (const key of keys) expect(hashOf(key, seed)[1] & 1).toBe(1);
  });

  it("depends on both words of the seed", () => {
    const seeds = [[1, 2] as const, [1, 3] as const, [0, 2] as const];
    expect(new Set(seeds.map((seed) => hashOf("key", seed).join())).size).toBe(3);
  });

  it("spreads 100,000 similar keys evenly by either word", () => {
    const counts = [new Uint32Array(1000), new Uint32Array(1000)];
    for (let i = 0; i < 100_000; i += 1) {
      for (const [which, value] of hashOf(`user:${i}`, [7, 9]).entries()) {
        const bin = Math.floor((value / 2 ** 32) * 1000);
        (counts[which] as Uint32Array)[bin] = ((counts[which] as Uint32Array)[bin] as number) + 1;
      }
    }
    for (const bins of counts) {
      const chiSquare = bins.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
      // 999 degrees of freedom, standard deviation 45; fixed seed, so this never flickers.
      expect(chiSquare).toBeGreaterThan(800);
      expect(chiSquare).toBeLessThan(1200);
    }
  });
});
