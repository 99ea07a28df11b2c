import { expect, it } from "vitest";
import { BucketLevel, BurstBucket, KeyedBuckets, KeyedLevels, TokenBucket, tryTakeAll } from "../src/index.js";

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

it("names what is missing, what is no options object, and an option that there is not", () => {
  const node = new TokenBucket({ ratePerSecond: 1, capacity: 1 });
  const made: Readonly<Record<string, (options?: unknown) => unknown>> = {
    TokenBucket: (options) => new TokenBucket(options as never),
    BurstBucket: (options) => new BurstBucket(options as never),
    KeyedBuckets: (options) => new KeyedBuckets(options as never),
    BucketLevel: (options) => new BucketLevel(options as never, 0),
    KeyedLevels: (options) => new KeyedLevels(options as never, 0),
  };
  for (const [name, make] of Object.entries(made)) {
    expect(() => make(), name).toThrow(refusal(name === "BurstBucket" ? "node" : "ratePerSecond"));
    expect(() => make({}), name).toThrow(refusal(name === "BurstBucket" ? "node" : "ratePerSecond"));
  }
  for (const name of ["TokenBucket", "BurstBucket", "KeyedBuckets"]) {
    for (const options of [null, 100, "100/s"]) expect(() => made[name]?.(options)).toThrow(refusal("options"));
    const options = { ratePerSecond: 1, capacity: 1, ...(name === "BurstBucket" && { node }), keysMx: 5 };
    expect(() => made[name]?.(options)).toThrow(refusal(`an option of ${name}`));
    expect(() => made[name]?.({ ...options, keysMx: undefined })).toThrow(refusal(`an option of ${name}`));
    expect(() => made[name]?.({ ratePerSecond: 1, capacity: 1, node, now: null })).toThrow();
  }
  expect(() => new TokenBucket({ ratePerSec: 5, capacity: 1 } as never)).toThrow(
    'an option of TokenBucket must be ratePerSecond, but is "ratePerSec"',
  );
  expect(() => new TokenBucket({ ratePerSecond: 1, capacity: 1, waitersMax: null } as never)).toThrow(
    refusal("waitersMax"),
  );
});

it("names the argument of a method that is called without it", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1, capacity: 1 });
  const keyed = new KeyedBuckets({ ratePerSecond: 1, capacity: 1, keysMax: 1 });
  const none = undefined as never;
  expect(() => bucket.debit(none)).toThrow(refusal("tokens"));
  expect(() => bucket.refund(none)).toThrow(refusal("tokens"));
  expect(() => keyed.tryTake(none)).toThrow(refusal("key"));
  expect(() => tryTakeAll(none)).toThrow(refusal("buckets"));
  expect(() => tryTakeAll([none])).toThrow(refusal("buckets"));
  for (const one of [bucket, keyed, new BurstBucket({ ratePerSecond: 1, node: bucket })]) {
    expect(() => one.reconfigure(5 as never)).toThrow(refusal("options"));
    expect(() => one.reconfigure({ rate: 5 } as never)).toThrow(refusal("an option of reconfigure"));
  }
});

it("says what was given in a few characters, also where it has no text or a long one", () => {
  const make = (ratePerSecond: unknown) => () => new TokenBucket({ ratePerSecond, capacity: 1 } as never);
  const untold = {
    toString: () => {
      throw new Error("no text");
    },
  };
  for (const given of [Object.create(null), untold]) expect(make(given)).toThrow(/but is \[object Object\]$/);
  expect(make(async () => 5)).toThrow(/but is \[object AsyncFunction\]$/);
  expect(make("5".repeat(1000))).toThrow(/but is "5{64}…"$/);
});

it("charges nothing where the further buckets are not a list of buckets", async () => {
  const now = () => 0;
  const node = new TokenBucket({ ratePerSecond: 10, capacity: 10, now });
  const bucket = new BurstBucket({ ratePerSecond: 10, node, now });
  const before = [bucket.stats(), node.stats()];
  for (const further of [node, 5, "ab", {}, null, [null], [{}], [node, 5]] as never[]) {
    expect(() => bucket.tryTake(1, further)).toThrow(refusal("further"));
    expect(() => bucket.has(1, 0, further)).toThrow(refusal("further"));
    expect(() => bucket.msUntil(1, 0, further)).toThrow(refusal("further"));
    expect(() => bucket.debit(1, 0, further)).toThrow(refusal("further"));
    expect(() => bucket.refund(1, further)).toThrow(refusal("further"));
    await expect(bucket.take(1, { further })).rejects.toEqual(refusal("further"));
  }
  expect([bucket.stats(), node.stats()]).toEqual(before);
});

it("refuses an option of take that there is not, and a signal in the place of the options, and takes nothing", async () => {
  const node = new TokenBucket({ ratePerSecond: 1, capacity: 5, now: () => 0 });
  for (const one of [node, new BurstBucket({ ratePerSecond: 1, node, now: () => 0 })]) {
    for (const options of [{ sginal: undefined }, new AbortController().signal])
      await expect(one.take(1, options as never)).rejects.toEqual(refusal("an option of take"));
    await expect(one.take(1, null as never)).rejects.toEqual(refusal("options"));
    expect(one.stats().taken).toBe(0);
  }
});
