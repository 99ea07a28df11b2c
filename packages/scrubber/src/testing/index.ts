export {
  type ConformanceCase,
  replicaSourceCases,
  type ReplicaSourceCasesOptions,
  type SourceUnderTest,
} from "./replica-source.js";
