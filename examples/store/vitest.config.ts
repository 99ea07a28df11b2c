import { defineConfig } from "vitest/config";
import base from "../../vitest.base.js";

/**
 * Without the condition `module` of the common set: it would lead to the AWS SDK's bundler build, which Node cannot load as it is, and
 * the tests are to meet the SDK that a user's program meets.
 */
export default defineConfig({
  ...base,
  ssr: { resolve: { conditions: ["@evenkeel/source", "node", "development|production"] } },
  // Most of these tests wait for other processes, disks and time-outs: a third worker has what the other two leave of two processors. A worker loads the SDK and the store once,
  // not for each file again, which took a quarter of the time: nothing at the top of a module here may be changed by a test.
  //
  // The SDK has a word to say about Node 20 at each start; one line a process would bury what a test prints.
  test: {
    ...base.test,
    maxWorkers: 3,
    isolate: false,
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
  },
});
