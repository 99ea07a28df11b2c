import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isZero } from "../src/core/bytes.js";

describe("zeros", () => {
  it("are seen at any place, and so is any single byte that is not", () => {
    const places = fc.record({ offset: fc.nat(9), from: fc.nat(30), length: fc.nat(40), at: fc.nat(90) });
    fc.assert(
      fc.property(places, ({ offset, from, length, at }) => {
        const bytes = new Uint8Array(new ArrayBuffer(100), offset, 90);
        expect(isZero(bytes, from, from + length)).toBe(true);
        bytes[at] = 1;
        expect(isZero(bytes, from, from + length)).toBe(at < from || at >= Math.min(90, from + length));
      }),
      { numRuns: 2000 },
    );
  });
});
