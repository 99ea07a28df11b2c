export type { ConformanceCase } from "./cases.js";
export { type StateMachineCasesOptions, type StateMachineUnderTest, stateMachineCases } from "./state-machine.js";
export { type NodeStorage, type StorageCasesOptions, type StorageUnderTest, storageCases } from "./storage.js";
export { type TransportCasesOptions, type TransportsUnderTest, transportCases } from "./transport.js";
export { PaxosError, type PaxosErrorCode } from "../core/errors.js";
