export { Archiver, type ArchiverOptions } from "./archiver.js";
export { type ArchiveReport, type RestoreOptions, restore, verifyArchive } from "./restore.js";
export { FileObjectStore } from "./file-object-store.js";
export { memoryObjectStore } from "./memory-object-store.js";
export { checkKey, checkPut, type ObjectStore, type PutOptions, sha256 } from "./object-store.js";
export type { ArchiveEntry } from "../core/archive-object.js";
export type { Manifest } from "./manifest.js";
export { ArchiveError, type ArchiveErrorCode } from "./errors.js";
