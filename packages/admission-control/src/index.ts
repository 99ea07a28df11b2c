// A member: local decisions, settled with a coordinator.

export { Admission } from "./admission.js";
export type { AdmissionOptions, AdmissionStats } from "./admission-options.js";
export type { AwayPolicy, ShareMode } from "./core/member-share.js";
export type { LimitOptions, MemberLimitOptions } from "./core/protocol.js";
export type { Limit, LimitStats } from "./limit.js";

// A coordinator.

export {
  type MemoryCoordinator,
  type MemoryCoordinatorOptions,
  type MemoryCoordinatorStats,
  memoryCoordinator,
} from "./memory-coordinator.js";

// What both say to each other, for coordinators of your own.

export type { Coordinator, Grant, Settlement } from "./core/protocol.js";

// What can go wrong.

export { AdmissionError, type AdmissionErrorCode } from "./core/errors.js";
