export { Archiver, type ArchiverOptions } from "./archiver.js";
export {
  type ArchivableStream,
  type ArchiveStreamOptions,
  archiveStream,
  StreamArchiving,
  type StreamArchivingStats,
} from "./archive-stream.js";
export { type ArchivePoint, type RestoreOptions, restore } from "./restore.js";
export { type SnapshotOptions, writeSnapshot } from "./snapshot.js";
export { type Restoration, type RestoreStateOptions, restoreState, type SnapshotToRestore } from "./restore-state.js";
export { type GapOptions, type LeftGap, leaveGap } from "./gap.js";
export { type VouchAgainOptions, vouchAgain } from "./vouch-again.js";
export { type RetainOptions, type RetentionReport, retain } from "./retain.js";
export { type ArchiveReport, type VerifyOptions, verifyArchive } from "./verify.js";
export { FileObjectStore } from "./file-object-store.js";
export { PatientObjectStore, type PatientObjectStoreStats } from "./patient-object-store.js";
export type { PatienceOptions, Throttle } from "./patience.js";
export { memoryObjectStore } from "./memory-object-store.js";
export { checkKey, checkPut, isKey, type ObjectStore, type PutOptions, sha256 } from "./object-store.js";
export type { ArchiveEntry, EntryToArchive } from "../core/archive-object.js";
export type { Compression } from "../core/stored-body.js";
export type { Manifest } from "./manifest.js";
export type { SnapshotManifest, SnapshotPart } from "./snapshot-manifest.js";
export { ArchiveError, type ArchiveErrorCode } from "./errors.js";
