export { memoryStorage } from "./memory.js";
export type { GroupStorage } from "./storage.js";
export { type WalLike, type WalStorageOptions, type WalStreamLike, walStorage } from "./wal.js";
export type { Ballot } from "../core/ballot.js";
export { PaxosError, type PaxosErrorCode } from "../core/errors.js";
export type { Entry, PersistedState, PersistWrite } from "../core/types.js";
