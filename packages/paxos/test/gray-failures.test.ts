import { forEachSeed } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { runGrayFailure, runHalfDeath } from "./support/gray-failure.js";

const count = Number(process.env.PAXOS_SEEDS ?? 250);

describe("one link that fails, one way or both, for good or flapping, loses everything or most of it, or is slow", () => {
  it(`causes no election in ${count} seeds`, () => {
    const kinds = new Set<string>();
    const replay = (seed: number) => `npm run soak -w @evenkeel/paxos -- --gray --seeds 1 --from ${seed}`;
    forEachSeed({ count, replay }, (seed) => void kinds.add(runGrayFailure(seed)));
    // Three kinds of failure, both ways or one, flapping or not; of groups that are asked all the time, and of such as sleep through it.
    const [asked, asleep] = [/(for good|flapping)$/, /, asleep$/].map((end) =>
      [...kinds].filter((kind) => end.test(kind)),
    );
    expect([asked?.length, asleep?.length]).toEqual([12, 12]);
  }, 600_000);
});

describe("a node that hears nobody, or that nobody hears", () => {
  const half = Math.ceil(count / 4);
  it(`disturbs nobody in ${half} seeds, and does not stay leader`, () => {
    const kinds = new Set<string>();
    const replay = (seed: number) => `PAXOS_SEEDS=${4 * seed} npx vitest run test/gray-failures.test.ts`;
    forEachSeed({ count: half, replay }, (seed) => void kinds.add(runHalfDeath(seed)));
    // Leader or follower, deaf or mute; followers now and then, too.
    expect(kinds.size).toBe(6);
  }, 600_000);
});
