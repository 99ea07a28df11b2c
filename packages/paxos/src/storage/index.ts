export { memoryStorage } from "./memory.js";
export type { GroupStorage, LoadedState } from "./storage.js";
export type { UncertainTailLike } from "./doubts.js";
export { type WalLike, type WalStorageOptions, type WalStreamLike, walStorage } from "./wal.js";
export type { Ballot } from "../core/ballot.js";
export { PaxosError, type PaxosErrorCode } from "../core/errors.js";
export type { Entry, PersistedState, PersistWrite, Position } from "../core/types.js";
