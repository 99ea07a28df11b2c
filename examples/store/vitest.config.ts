import { defineConfig } from "vitest/config";
import base from "../../vitest.base.js";

/**
 * Without the condition `module` of the common set: it would lead to the AWS SDK's bundler build, which Node cannot load as it is, and
 * the tests are to meet the SDK that a user's program meets.
 */
export default defineConfig({
  ...base,
  ssr: { resolve: { conditions: ["@evenkeel/source", "node", "development|production"] } },
});
