import fc from "fast-check";
import { expect, test } from "vitest";
import { GentlePace, type GentlePaceOptions, SLICE_BYTES } from "../src/storage-node/gentle-pace.js";

/** Time that passes only where it is said, and what was paused. */
function world(random: () => number = () => 0.5, options: GentlePaceOptions = {}) {
  const pauses: number[] = [];
  const time = { nowMs: 0 };
  const pace = new GentlePace({
    ...options,
    nowMs: () => time.nowMs,
    random,
    sleep: async (ms) => {
      pauses.push(ms);
      time.nowMs += ms;
    },
  });
  return { pace, pauses, time };
}

test("a slice is over after so many bytes, and after so long, whatever comes first", async () => {
  const { pace, time } = world();
  expect(pace.isOver(SLICE_BYTES - 1)).toBe(false);
  expect(pace.isOver(1)).toBe(true);
  await pace.pause();
  // Many small things: it is not their bytes that take time.
  let small = 0;
  while (!pace.isOver(1)) {
    small++;
    time.nowMs += 0.004;
  }
  expect(small).toBeLessThan(100);
  await pace.pause();
  expect(pace.isOver(1)).toBe(false);
});

test("who works all the time works an eighth of it, and where all takes longer pauses are longer", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0.2, max: 0.9, noNaN: true }), { minLength: 50, maxLength: 200 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      async (slices, randoms) => {
        const { pace, pauses, time } = world(() => randoms.next().value ?? 0);
        for (const tookMs of slices) {
          time.nowMs += tookMs;
          await pace.pause();
          expect(pauses.at(-1)).toBeGreaterThanOrEqual(3.5 * tookMs);
          expect(pauses.at(-1)).toBeLessThanOrEqual(10.5 * tookMs + 1);
        }
      },
    ),
  );
});

test("a pause has an end, however long a machine that stood still made the slice", async () => {
  const { pace, pauses, time } = world();
  time.nowMs += 60_000;
  await pace.pause();
  expect(pauses).toEqual([10]);
});

test("what was waited for elsewhere is no work", async () => {
  const { pace, pauses, time } = world();
  time.nowMs += 1_000;
  pace.resume();
  time.nowMs += 0.1;
  await pace.pause();
  expect(pauses).toEqual([1]);
});

test("what is not to be faster than so many bytes a second comes in slices at even distances, and is no less gentle for it", async () => {
  const { pace, pauses, time } = world(undefined, { bytesPerSecondMax: 1_000_000 });
  pace.isOver(20_000);
  pace.isOver(10_000);
  time.nowMs += 2;
  await pace.pause();
  // All of what was read before the last pause is paid for.
  expect(pauses).toEqual([28]);
  pace.isOver(1_000);
  time.nowMs += 1;
  await pace.pause();
  expect(pauses).toEqual([28, 7]);
});
