export { Wal, type WalOptions, type WalStats } from "./wal.js";
export { type AppendOptions, type FollowOptions, type ReadOptions, WalStream } from "./stream.js";
export type { AppendWaiter } from "./pending-batch.js";
export type { WalRecord } from "./reader.js";
export {
  type Damage,
  type Salvage,
  type SalvagedSegment,
  type SalvagedStream,
  type SalvageOptions,
  salvage,
} from "./salvage.js";
export type { SequenceRange } from "./core/salvage-table.js";
export type { UncertainTail } from "./uncertain-file.js";
export { WalError, type WalErrorCode, type WalErrorDetails } from "./errors.js";
export type { WalFile, WalFileSystem } from "./fs/file-system.js";
export { nodeFileSystem } from "./fs/node-file-system.js";
