import { describe, it } from "vitest";
import { memoryCoordinator } from "../src/index.js";
import { coordinatorCases } from "../src/testing/index.js";

describe("the coordinator in memory", () => {
  const cases = coordinatorCases((terms) => {
    let nowMs = 0;
    return {
      coordinator: memoryCoordinator({ ...terms, now: () => nowMs }),
      async pass(ms) {
        nowMs += ms;
      },
      close() {},
    };
  });
  for (const { name, run } of cases) it(name, run);
});
