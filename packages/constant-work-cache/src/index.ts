export { ConstantWorkCache } from "./cache.js";
export { Absent } from "./core/absent.js";
export { ConstantWorkPoller, type PollerOptions, type PollerStats } from "./poller.js";
export { CacheError, type CacheErrorCode } from "./errors.js";
export type { CacheOptions, Source, SourceAnswer } from "./options.js";
export type { CacheStats } from "./stats.js";
