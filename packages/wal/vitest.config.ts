import { packageTests } from "../../vitest.base.js";

/** Without the condition `module` of the common set: it would lead to the AWS SDK's bundler build, which Node cannot load as it is. */
export default packageTests({
  ssr: { resolve: { conditions: ["@evenkeel/source", "node", "development|production"] } },
  // The SDK has a word to say about Node 20 at each start; one line a process would bury what a test prints.
  test: { env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" } },
  longest: [
    "power-cut",
    "mutants",
    "object-stores",
    "crashes",
    "archive-on-bad-days",
    "archive-sigkill",
    "fuzz",
    "sigkill",
  ],
  apart: ["mutants", "file-object-store", "checksum"],
});
