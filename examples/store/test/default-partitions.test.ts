import { expect, it } from "vitest";
import { defaultPartitions } from "../src/control/default-partitions.js";

it("gives a new table one partition where all processes share two processors, and several leaders where each can have its own", () => {
  expect([1, 2, 3, 4, 64].map((processors) => defaultPartitions(processors))).toEqual([1, 1, 1, 4, 4]);
});
