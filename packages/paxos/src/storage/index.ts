export { memoryStorage } from "./memory.js";
export type { GroupStorage, LoadedState, LogWeight, StorageMemory, WriteCaller } from "./storage.js";
export type { UncertainTailLike } from "./doubts.js";
export { walStorage } from "./wal.js";
export type { WalLike, WalStorageOptions, WalStreamLike } from "./wal-like.js";
export type { Ballot } from "../core/ballot.js";
export { PaxosError, type PaxosErrorCode } from "../core/errors.js";
export type { Entry, PersistedState, PersistWrite, Position } from "../core/types.js";
