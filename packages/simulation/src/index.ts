export { World, type WorldOptions, type RunOptions, type AsyncRunOptions, type RunEnd } from "./core/world.js";
export { SimNode } from "./core/node.js";
export { SimNetwork, type NetworkFaults, type NetworkCounters, type Deliver } from "./core/network.js";
export { SimDisk, type DiskFaults, type DiskCounters, type Done, type ReadDone } from "./core/disk.js";
export { PromiseDisk } from "./core/disk-promises.js";
export { SimJournal, type JournalDone, type JournalReadDone } from "./core/journal.js";
export { Random } from "./core/random.js";
export type { Scheduler } from "./core/scheduler.js";
export { forEachSeed, forEachSeedAsync, type SeedRun } from "./core/seeds.js";
export { History, type Operation, type Outcome } from "./core/history.js";
export { checkLinearizable, assertLinearizable, type CheckOptions, type Verdict } from "./core/linearizability.js";
export {
  registerModel,
  kvModel,
  kvKey,
  type Model,
  type RegisterInput,
  type RegisterOutput,
  type KvInput,
  type KvOutput,
} from "./core/model.js";
export { explore, assertHolds } from "./core/explore.js";
export type {
  ExploreModel,
  ExploreOptions,
  ExploreCounts,
  ExplorePath,
  ExploreStep,
  Exploration,
} from "./core/explore-model.js";
export { Interner } from "./core/interner.js";
export { eventLoopTurn } from "./event-loop.js";
export { SimulationError, type SimulationErrorCode } from "./core/errors.js";
