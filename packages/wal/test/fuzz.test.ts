import { describe, expect, it } from "vitest";
import { seeded } from "./fault-file-system.js";
import { fuzz, seedLog } from "./support/fuzz.js";
import { fuzzArchive, seedArchive } from "./support/fuzz-archive.js";

const only = process.env.WAL_FUZZ_SEED;
const runs = 400;

/** Runs `once` for each seed, counts how it ended, and says how to replay what should not have happened. */
async function outcomes(once: (seed: number) => Promise<string>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const seeds = only === undefined ? Array.from({ length: runs }, (_, seed) => seed) : [Number(only)];
  for (const seed of seeds) {
    const outcome = await once(seed).catch((error: unknown) => {
      const replay = `replay: WAL_FUZZ_SEED=${seed} npx vitest run test/fuzz.test.ts`;
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${replay}`, { cause: error });
    });
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

describe("wrong structure under right checksums, or wrong bytes,", () => {
  it("in a log: is refused with a typed error or makes sense, for whatever reads it, in bounded memory", {
    timeout: 240_000,
  }, async () => {
    const whole = await seedLog(seeded(1));
    const counts = await outcomes((seed) => fuzz(seed, whole));
    if (only !== undefined) return;
    expect([...counts.keys()].sort()).toEqual(["ERR_WAL_CORRUPT", "ERR_WAL_UNSUPPORTED", "opened"]);
    for (const [outcome, times] of counts) expect(times, outcome).toBeGreaterThan(5);
  });

  it("in an archive: is refused with a typed error, or is restored without a hole", { timeout: 240_000 }, async () => {
    const whole = await seedArchive();
    const counts = await outcomes((seed) => fuzzArchive(seed, whole));
    if (only !== undefined) return;
    expect([...counts.keys()]).toEqual(expect.arrayContaining(["ERR_ARCHIVE_CORRUPT", "ERR_ARCHIVE_HOLE", "restored"]));
  });
});
