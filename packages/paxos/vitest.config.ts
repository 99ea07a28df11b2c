import { packageTests } from "../../vitest.base.js";

export default packageTests({
  // A third of the time goes into waiting for leases and beats.
  test: { maxWorkers: 4 },
  longest: [
    "explore",
    "simulation",
    "resumed-snapshots",
    "packed-groups",
    "members",
    "real-networks",
    "simulation-more",
    "explore-nights",
    "real-disks",
    "snapshots",
    "idle-groups",
    "upgrade",
    "local-reads",
    "sigkill",
    "group-host",
    "mutants",
    "clients",
    "explore-mutants",
    "kept-logs",
    "newcomers",
    "sleep",
    "room",
    "torn-log",
    "gray-failures",
    "tcp-cluster",
  ],
  apart: ["mutants", "pending-reads"],
});
