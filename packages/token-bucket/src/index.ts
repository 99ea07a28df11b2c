export type { Clock, Timer } from "./clock.js";
export { type Chargeable, tryTakeAll } from "./core/all-or-nothing.js";
/** For those who bring their own time: the arithmetic without a clock. */
export { BucketLevel, type BucketLevelOptions, RATE_MAX, TOKENS_MAX } from "./core/bucket-level.js";
export { TokenBucketError, type TokenBucketErrorCode } from "./core/errors.js";
export { TokenBucket, type TokenBucketOptions, type TokenBucketStats } from "./token-bucket.js";
