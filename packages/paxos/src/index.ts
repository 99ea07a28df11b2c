// Running groups on a node.
export { GroupHost } from "./host/group-host.js";
export type { GroupHostStats } from "./host/host-stats.js";
export type { GroupHostOptions, GroupTuning } from "./host/options.js";
export type { JoinOptions } from "./host/join-options.js";
export type { AskedAs } from "./host/requests.js";
export type { ResultCodec } from "./host/results.js";
export type {
  Group,
  GroupMembers,
  GroupStatus,
  Leadership,
  LocalRead,
  LocalReadOptions,
  Submitted,
} from "./host/group.js";
export { collect, type IncomingSnapshot, type Snapshot, snapshotOf, type StateMachine } from "./host/state-machine.js";
export { memoryStorage } from "./storage/memory.js";
export type { GroupStorage, LoadedState, LogWeight, StorageMemory, WriteCaller } from "./storage/storage.js";
export type { Transport, TransportStats } from "./transport/transport.js";
export { type InProcessNetwork, inProcessNetwork } from "./transport/in-process.js";

// The protocol by itself, pure: for those who drive it with their own clock, network and disk.
export * from "./core/index.js";
