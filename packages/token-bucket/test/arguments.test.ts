import { expect, it } from "vitest";
import { BurstBucket, KeyedBuckets, TokenBucket } from "../src/index.js";

const refusal = (argument: string): Error =>
  expect.objectContaining({
    code: "ERR_TOKEN_BUCKET_ARGUMENT",
    message: expect.stringMatching(new RegExp(`^${argument} must be`)),
  }) as Error;

it("refuses a timer that could not wake anybody when it is made, not when somebody waits", () => {
  const node = new TokenBucket({ ratePerSecond: 1, capacity: 1 });
  for (const timer of [null, 5, "timer", {}]) {
    const options = { ratePerSecond: 1, capacity: 1, timer } as never;
    expect(() => new TokenBucket(options)).toThrow(refusal("timer"));
    expect(() => new BurstBucket({ ...(options as object), node } as never)).toThrow(refusal("timer"));
  }
});

it("names a seed that is none", () => {
  for (const seed of [null, 5, "seed", {}]) {
    const options = { ratePerSecond: 1, capacity: 1, keysMax: 1, seed } as never;
    expect(() => new KeyedBuckets(options)).toThrow(refusal("seed"));
  }
});
