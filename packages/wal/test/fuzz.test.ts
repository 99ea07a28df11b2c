import { describe, expect, it } from "vitest";
import { seeded } from "./fault-file-system.js";
import { fuzz, type Outcome, seedLog } from "./support/fuzz.js";

const only = process.env.WAL_FUZZ_SEED;
const runs = 1500;

describe("a log with wrong structure and right checksums, or wrong bytes", () => {
  it("is refused with a typed error or makes sense, for whatever reads it, in bounded memory", {
    timeout: 60_000,
  }, async () => {
    const whole = await seedLog(seeded(1));
    const outcomes = new Map<Outcome, number>();
    const seeds = only === undefined ? Array.from({ length: runs }, (_, seed) => seed) : [Number(only)];
    for (const seed of seeds) {
      const outcome = await fuzz(seed, whole).catch((error: unknown) => {
        const replay = `replay: WAL_FUZZ_SEED=${seed} npx vitest run test/fuzz.test.ts`;
        throw new Error(`${error instanceof Error ? error.message : String(error)}\n${replay}`, { cause: error });
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    if (only !== undefined) return;
    expect([...outcomes.keys()].sort()).toEqual(["ERR_WAL_CORRUPT", "ERR_WAL_UNSUPPORTED", "opened"]);
    for (const [outcome, times] of outcomes) expect(times, outcome).toBeGreaterThan(20);
  });
});
