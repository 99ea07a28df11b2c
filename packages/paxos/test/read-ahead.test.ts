import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { weightOf } from "../src/core/log.js";
import { ReadAhead } from "../src/host/read-ahead.js";
import { type Entry, type GroupStorage, memoryStorage } from "../src/index.js";

const ballot = { round: 1, node: "a" };
const entries = (count: number, sizes: readonly number[]): Entry[] =>
  Array.from({ length: count }, (_, i) => ({
    slot: i + 1,
    ballot,
    kind: "command",
    command: new Uint8Array(sizes[i % sizes.length] as number).fill(i),
  }));

describe("a log that is read ahead", () => {
  it("gives what reading it would have given, however it is asked", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(40), { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 1, max: 400 }),
        fc.array(
          fc.record({ jump: fc.option(fc.integer({ min: 1, max: 60 })), bytes: fc.integer({ min: 1, max: 300 }) }),
        ),
        async (sizes, aheadBytes, asks) => {
          const storage = memoryStorage()("g");
          const all = entries(60, sizes);
          await storage.write({ entries: all, chosenThrough: 60 });
          const ahead = new ReadAhead(storage, aheadBytes);
          let from = 1;
          for (const { jump, bytes } of asks) {
            from = jump ?? from;
            const taken = await ahead.take(from, 60, bytes);
            expect(taken).toEqual(all.slice(from - 1, from - 1 + taken.length));
            const weight = taken.reduce((sum, entry) => sum + weightOf(entry), 0);
            if (from <= 60) expect(taken.length).toBeGreaterThan(0);
            if (taken.length > 1) expect(weight).toBeLessThanOrEqual(bytes);
            from += taken.length;
          }
          await ahead.settled();
        },
      ),
      { numRuns: 200 },
    );
  });

  it("reads while nobody asks, and tells what is wrong when that is all there is to say", async () => {
    // Each weighs 40 bytes.
    const all = entries(40, [8]);
    const asked: number[] = [];
    const storage = {
      read: async (from: number, through: number, bytesMax: number) => {
        asked.push(from);
        if (from > 20) throw new Error("rot");
        return all.slice(from - 1, Math.min(through, from - 1 + Math.max(1, Math.floor(bytesMax / 40)), 20));
      },
    } as unknown as GroupStorage;
    const ahead = new ReadAhead(storage, 400);
    expect((await ahead.take(1, 40, 240)).length).toBe(6);
    await ahead.settled();
    expect(asked).toEqual([1, 11]);
    expect((await ahead.take(7, 40, 400)).length).toBe(10);
    await ahead.settled();
    expect((await ahead.take(17, 40, 400)).map(({ slot }) => slot)).toEqual([17, 18, 19, 20]);
    await ahead.settled();
    await expect(ahead.take(21, 40, 400)).rejects.toThrow("rot");
    // And it can be asked again.
    expect((await ahead.take(3, 40, 80)).map(({ slot }) => slot)).toEqual([3, 4]);
    await ahead.settled();
  });
});
