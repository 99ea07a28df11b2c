import { packageTests } from "../../vitest.base.js";

export default packageTests({
  longest: [
    "mutants",
    "sleep",
    "simulation",
    "simulation-more",
    "explore-nights",
    "explore",
    "explore-mutants",
    "real-networks",
    "real-disks",
    "upgrade",
    "sigkill",
    "packed-groups",
  ],
  apart: ["mutants", "pending-reads"],
});
