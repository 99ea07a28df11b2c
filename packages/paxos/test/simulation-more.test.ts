import { describe, it } from "vitest";
import { half, weather } from "./support/weather-report.js";

describe.skipIf(process.env.PAXOS_SEED !== undefined)("three replicas in other bad weather", () => {
  it(
    `${half} more seeds: linearizable, one value a slot, promises kept, one lease, and writes go on afterwards`,
    () => weather(half + 1),
    900_000,
  );
});
