export { ConstantWorkCache } from "./cache.js";
export type { CacheOptions, Source } from "./options.js";
export { Absent } from "./core/absent.js";
export type { CacheStats } from "./stats.js";
export { CacheError } from "./errors.js";
export type { CacheErrorCode } from "./errors.js";
