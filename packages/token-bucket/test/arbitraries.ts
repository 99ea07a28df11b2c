import fc from "fast-check";

/** 1e-9 to 1e12, every order of magnitude alike, rarely a round number. */
export const rate = fc
  .tuple(fc.integer({ min: -9, max: 11 }), fc.double({ min: 1, max: 10, noNaN: true }))
  .map(([e, m]) => m * 10 ** e);

export const amount = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.double({ min: 0, max: 1e3, noNaN: true }),
  fc.constantFrom(0.5, 1e6, 1e9),
);

/** Milliseconds by which a clock moves: mostly a little, and now and then one of `leaps`. */
export const stepsMs = (...leaps: number[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: 0, max: 50, noNaN: true }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 1000 }) },
    { weight: 1, arbitrary: fc.constantFrom(...leaps) },
  );
