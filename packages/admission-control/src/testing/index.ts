export {
  type ConformanceCase,
  type CoordinatorUnderTest,
  coordinatorCases,
  type CoordinatorTerms,
} from "./coordinator.js";
