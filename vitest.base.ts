import { defineConfig } from "vitest/config";

const conditions = ["@evenkeel/source", "module", "node", "development|production"];

/** Tests run against the sources of every workspace: nothing has to be built first. */
export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
