// The bucket.

export { TokenBucket, type TokenBucketOptions, type TokenBucketStats } from "./token-bucket.js";

// Provisioned tokens, and saved ones while the node has room.

export { BurstBucket, type BurstBucketOptions, type BurstBucketStats, type SharedBucket } from "./burst-bucket.js";

// A bucket for each key.

export { type KeyedBucket, KeyedBuckets, type KeyedBucketsOptions, type KeyedBucketsStats } from "./keyed-buckets.js";

// Several buckets as one decision.

export { type Chargeable, tryTakeAll } from "./core/all-or-nothing.js";

// What can go wrong.

export { TokenBucketError, type TokenBucketErrorCode } from "./core/errors.js";

// For those who bring their own time: the arithmetic without a clock, and the shapes of a clock and a timer.

export { KEYS_MAX, KeyedLevels, type KeyedLevelsOptions } from "./core/keyed-levels.js";
export { clockFrom, systemTimer } from "./clock.js";
export { BucketLevel, type BucketLevelOptions, RATE_MAX, TOKENS_MAX } from "./core/bucket-level.js";
export type { Clock, Timer } from "./core/time.js";
