import { packageTests } from "../../vitest.base.js";

/**
 * Without the condition `module` of the common set: it would lead to the AWS SDK's bundler build, which Node cannot load as it is, and
 * the tests are to meet the SDK that a user's program meets.
 */
export default packageTests({
  ssr: { resolve: { conditions: ["@evenkeel/source", "node", "development|production"] } },
  test: {
    // Most of these tests wait for other processes, disks and time-outs: a third worker has what the other two leave of two processors.
    maxWorkers: 3,
    // The SDK has a word to say about Node 20 at each start; one line a process would bury what a test prints.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
  },
  longest: [
    "scrub-repair",
    "transaction-chaos",
    "scrub-forged",
    "splits-unasked",
    "command-line",
    "chaos",
    "laggard",
    "indexes/kills",
    "scrub-splits",
    "splits-paging",
    "scrub",
    "power-off",
    "splits",
    "flush",
  ],
  apart: ["in-flight"],
});
