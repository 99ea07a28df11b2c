import { packageTests } from "../../vitest.base.js";

export default packageTests({
  longest: ["redis-faults", "redis-cluster", "http-coordinator", "conservation", "simulation"],
});
