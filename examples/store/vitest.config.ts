import { packageTests } from "../../vitest.base.js";

/**
 * Without the condition `module` of the common set: it would lead to the AWS SDK's bundler build, which Node cannot load as it is, and
 * the tests are to meet the SDK that a user's program meets.
 */
export default packageTests({
  ssr: { resolve: { conditions: ["@evenkeel/source", "node", "development|production"] } },
  test: {
    // Most of these tests wait for other processes, disks and time-outs.
    maxWorkers: 3,
    // The SDK has a word to say about Node 20 at each start; one line a process would bury what a test prints.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
  },
  longest: [
    "command-line",
    "laggard",
    "snapshots",
    "transaction-recovery",
    "chaos",
    "scrub",
    "scrub-forged",
    "replacement",
    "node-failure",
    "transaction-chaos",
    "scrub-repair",
    "controller",
    "deletion-chaos",
    "scrub-splits",
    "indexes/kills",
    "power-off",
    "scrub-forged-trimmed",
    "splits-interrupted",
    "splits-unasked",
    "streams",
    "scrub-applied",
    "router/whole-store",
    "inventory/processes",
    "flush",
    "programs/python",
    "indexes/global",
    "router/protocol",
    "restart",
    "stream-chaos",
    "splits",
    "inventory/single",
    "splits-paging",
  ],
  apart: ["in-flight"],
});
