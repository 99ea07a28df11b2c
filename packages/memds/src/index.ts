export type { Entry } from "./core/block.js";
export type { Change } from "./core/diff.js";
export { MemdsError, type MemdsErrorCode } from "./core/errors.js";
export type { Hash } from "./core/node.js";
export { keyBytesMax, RangeTree, valueBytesMax } from "./core/range-tree.js";
export { sha256 } from "./digest.js";
