export { Scrubber, type ScrubberOptions, type PassRunOptions, type SavedText, type ScrubberStats } from "./scrubber.js";
export {
  ScrubSchedule,
  type ScrubScheduleOptions,
  type ScrubScheduleStats,
  type ScrubUnit,
  type ScheduleClock,
} from "./schedule.js";
export type { StepDone } from "./core/pass.js";
export type { PassReport, Divergence, Unreadable, Absent, Since } from "./core/finding.js";
export type { Repairer, RepairOrder, RepairResult, Audit, AuditRecord } from "./core/repair.js";
export { jsonLinesAudit } from "./audit.js";
export { PairScrubber, type PairScrubberOptions } from "./pair-scrubber.js";
export type { PairSide, PairReport, PairDivergence } from "./core/pair.js";

export {
  sortedReplica,
  memoryReplica,
  referenceFrom,
  type SortedReplicaOptions,
  type MemoryReplicaOptions,
  type ReferenceFromOptions,
} from "./replicas.js";
export { iterableReplica, type IterableReplicaOptions, type IterableView } from "./iterable-replica.js";
export { logReplica, sequenceKey, keySequence, type LogReplicaOptions, type LogEntry } from "./log-replica.js";
export type { EntriesFrom } from "./core/forward.js";
export { MemoryStore, MemoryReplica } from "./core/memory.js";
export {
  Reference,
  type ReferenceOptions,
  type ReferenceEntry,
  type ReferenceApply,
  type ReferenceSnapshot,
} from "./core/reference.js";
export type { ReferenceState, ReferenceStore, ReferenceView } from "./core/reference-store.js";
export { ScratchStore, type ScratchStoreOptions } from "./scratch/scratch-store.js";

export type {
  ReplicaSource,
  ReplicaSnapshot,
  SourceKind,
  Position,
  KeyRange,
  Digest,
  Entry,
  SplitOptions,
  KeptDigests,
} from "./core/source.js";
export { MerkleIndex } from "./core/merkle.js";
export type { MerkleView, MerkleViewOptions } from "./core/merkle-view.js";
export { streamingSnapshot, type StreamingOptions } from "./core/streaming.js";
export { RangeDigester, DIGEST_VERSION, type CreateHash, type IncrementalHash } from "./core/digest.js";
export { RunDigester, KEPT_DIGEST_VERSION } from "./core/run-digest.js";
export { compareBytes } from "./core/bytes.js";
export { sha256 } from "./sha256.js";

export { ScrubberError, behind, type ScrubberErrorCode } from "./core/errors.js";
