import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EntryType, entryHeaderBytes, putEntryHeader, sealEntries } from "../src/core/entry.js";
import { giveBackMemory, larger, PlainMemory, takeMemory } from "../src/fs/batch-memory.js";
import { type SealingMemory, sealingBytesMax, sealingMemory } from "../src/fs/compiled-crc.js";

/** Entries without their checksums, whose data is of these lengths. */
function unsealed(lengths: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + entryHeaderBytes + length, 0));
  let at = 0;
  for (const [n, length] of lengths.entries()) {
    for (let byte = 0; byte < length; byte++)
      bytes[at + entryHeaderBytes + byte] = (byte * 31 + n * 17 + (byte >> 5)) & 255;
    putEntryHeader(bytes, at, EntryType.record, 7, n + 1, 0, length);
    at += entryHeaderBytes + length;
  }
  return bytes;
}

function expectRight(memory: SealingMemory, plain: Uint8Array, from: number, previous: number): void {
  const to = from + plain.length;
  expect(memory.grow(to)).toBe(true);
  memory.bytes.fill(0xaa, 0, from);
  memory.bytes.set(plain, from);
  const whole = memory.sealEntries(from, to, previous);
  const expected = plain.slice();
  sealEntries(expected, 0, expected.length, crc32);
  expect(Buffer.compare(memory.bytes.subarray(from, to), expected)).toBe(0);
  expect(whole).toBe(crc32(expected, previous));
}

const compiled = () => sealingMemory() as SealingMemory;

describe("the checksums of a batch and its entries", () => {
  it("are zlib's, worked out in one pass", () => {
    const memory = compiled();
    const lengths = fc.array(fc.nat({ max: 600 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(lengths, fc.nat({ max: 50 }), fc.nat({ max: 0xffff_ffff }), (of, from, previous) =>
        expectRight(memory, unsealed(of), from, previous),
      ),
      { numRuns: 300 },
    );
  });

  it("are right for every length of an entry around what is done word by word, and around what the tables reach", () => {
    const memory = compiled();
    for (let length = 0; length < 200; length++) expectRight(memory, unsealed([length, 3]), 42, length);
    for (const length of [4077, 4078, 4079, 8191, 65_536, 1_000_003, sealingBytesMax - 1000]) {
      expectRight(memory, unsealed([5, length, 5]), 42, 9);
    }
  });

  it("are the same where there is no WebAssembly", () => {
    const plain = new PlainMemory(64);
    for (const lengths of [[0], [1, 2, 3], [300, 70_000]]) expectRight(plain, unsealed(lengths), 42, 0x1234_5678);
  });
});

describe("the memory of batches", () => {
  it("keeps what is in it when it grows, also past what is done in one pass", () => {
    let memory = takeMemory();
    memory.bytes.fill(5, 0, 100);
    for (const length of [3_000_000, sealingBytesMax, sealingBytesMax + 1]) {
      memory = larger(memory, length, 100);
      expect(memory.bytes.length).toBeGreaterThanOrEqual(length);
      expect(memory.bytes.subarray(0, 101)).toEqual(new Uint8Array([...new Uint8Array(100).fill(5), 0]));
    }
    expect(memory).toBeInstanceOf(PlainMemory);
    giveBackMemory(memory);
  });

  it("is used again, and is plain arrays for those that come when very many have some", () => {
    const taken = Array.from({ length: 100 }, () => takeMemory());
    expect(new Set(taken).size).toBe(100);
    expect(taken.filter((memory) => memory instanceof PlainMemory)).toHaveLength(36);
    for (const memory of taken) giveBackMemory(memory);
    const again = takeMemory();
    expect(taken).toContain(again);
    giveBackMemory(again);
  });
});
