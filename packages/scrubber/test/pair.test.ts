import fc from "fast-check";
import { expect, it } from "vitest";
import { memoryReplica, type PairReport, PairScrubber, type PairScrubberOptions } from "../src/index.js";
import { bytes, text } from "./support/sources.js";

/** Two regions: each applies its own writes at once, and the other's when they arrive. The later version wins; deletes leave nothing behind. */
class Regions {
  readonly left = new Region("left");
  readonly right = new Region("right");

  write(on: Region, key: string, value: string | undefined): void {
    on.write(key, value);
  }

  /** So many writes of each arrive at the other. */
  deliver(count: number): void {
    this.right.receive(this.left, count);
    this.left.receive(this.right, count);
  }

  scrubber(options: Partial<PairScrubberOptions> = {}): PairScrubber {
    const side = (region: Region) => ({
      source: region.replica,
      position: () => region.replica.position,
      appliedOfOther: () => region.applied,
    });
    return new PairScrubber({ left: side(this.left), right: side(this.right), waitMs: 1, stepBytes: 400, ...options });
  }
}

class Region {
  readonly replica;
  readonly sent: { key: string; value: string | undefined }[] = [];
  /** Writes of the other that have been applied here: the watermark. */
  applied = 0;
  /** Writes that get lost on the way, though the watermark passes them. */
  readonly lost = new Set<string>();

  constructor(name: string) {
    this.replica = memoryReplica(name);
  }

  write(key: string, value: string | undefined): void {
    this.#set(key, value);
    this.sent.push({ key, value });
    this.replica.position = this.sent.length;
  }

  receive(from: Region, count: number): void {
    for (let i = 0; i < count && this.applied < from.sent.length; i++) {
      const { key, value } = from.sent[this.applied++] as (typeof from.sent)[number];
      if (!this.lost.has(key)) this.#set(key, value);
    }
  }

  #set(key: string, value: string | undefined): void {
    if (value === undefined) this.replica.store.delete(bytes(key));
    else this.replica.store.put(bytes(key), bytes(value));
  }
}

const shown = ({ divergences }: PairReport) => divergences.map(({ key, kind }) => `${text(key)} ${kind}`);

/** Each side writes keys of its own, as regions do whose users stay where they are. */
function work(regions: Regions, random: () => number, writes: number): void {
  for (let i = 0; i < writes; i++) {
    const [side, prefix] = random() < 0.5 ? ([regions.left, "l"] as const) : ([regions.right, "r"] as const);
    const key = `${prefix}${Math.floor(random() * 40)}`;
    side.write(key, random() < 0.2 ? undefined : `${random()}`);
  }
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it("lag is never damage, whatever is under way; a write that was lost is, and so is what rotted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1e9), fc.integer({ min: 1, max: 12 }), fc.boolean(), async (seed, pace, damaged) => {
      const regions = new Regions();
      const random = seeded(seed);
      work(regions, random, 200);
      regions.deliver(50 + Math.floor(random() * 200));
      if (damaged) {
        regions.right.lost.add("lost");
        regions.left.write("lost", "never arrives");
        regions.left.write("rotten", "value");
        regions.deliver(500);
        regions.right.replica.store.put(bytes("rotten"), bytes("valve"));
      }
      const scrubber = regions.scrubber({
        looksMax: 60,
        take: () => {
          work(regions, random, 3);
          regions.deliver(pace);
        },
        left: {
          source: regions.left.replica,
          position: () => regions.left.replica.position,
          appliedOfOther: () => {
            // Time goes on while watermarks are asked.
            work(regions, random, 1);
            regions.deliver(pace + 1);
            return regions.left.applied;
          },
        },
      });
      const report = await scrubber.pass();
      expect(report.complete).toBe(true);
      expect(shown(report)).toEqual(damaged ? ["lost missing-right", "rotten different"] : []);
    }),
    { numRuns: 60 },
  );
});

it("a key that is written all the time, and a watermark that stands still, leave it open", async () => {
  const regions = new Regions();
  let count = 0;
  const scrubber = regions.scrubber({
    looksMax: 5,
    right: {
      source: regions.right.replica,
      position: () => regions.right.replica.position,
      appliedOfOther: () => {
        regions.deliver(1_000);
        regions.left.write("hot", `${count++}`);
        return regions.right.applied;
      },
    },
  });
  regions.left.write("hot", "first");
  expect(await scrubber.pass()).toMatchObject({ divergences: [], unsettled: [bytes("hot")], lagged: 0 });

  const still = new Regions();
  still.left.write("k", "under way");
  const asked = { count: 0 };
  const waiting = still.scrubber({
    waitsMax: 3,
    right: {
      source: still.right.replica,
      position: () => still.right.replica.position,
      appliedOfOther: () => {
        asked.count++;
        return still.right.applied;
      },
    },
  });
  expect(await waiting.pass()).toMatchObject({ divergences: [], unsettled: [bytes("k")] });
  expect(asked.count).toBe(4);
  still.deliver(1);
  expect(await waiting.pass()).toMatchObject({ divergences: [], unsettled: [], lagged: 0, keys: 1 });
});

it("one way: a copy that only follows", async () => {
  const regions = new Regions();
  for (let i = 0; i < 100; i++) regions.left.write(`k${i}`, `${i}`);
  regions.deliver(90);
  const scrubber = new PairScrubber({
    left: { source: regions.left.replica, position: () => regions.left.replica.position },
    right: {
      source: regions.right.replica,
      position: () => regions.right.replica.position,
      appliedOfOther: () => {
        regions.deliver(3);
        return regions.right.applied;
      },
    },
    waitMs: 1,
  });
  regions.right.replica.store.put(bytes("stray"), bytes("never written on the left"));
  const report = await scrubber.pass();
  expect(shown(report)).toEqual(["stray missing-left"]);
  expect(report.lagged).toBe(10);
});

it("refuses to guess without a watermark, and stops on a signal", async () => {
  const regions = new Regions();
  const side = { source: regions.left.replica, position: () => 0 };
  expect(() => new PairScrubber({ left: side, right: { ...side, source: regions.right.replica } })).toThrow(
    /watermark/,
  );
  regions.left.write("k", "v");
  const controller = new AbortController();
  const pass = regions.scrubber({ waitMs: 60_000 }).pass({ signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(pass).rejects.toThrow();
});

it("what is given as undefined is left out", async () => {
  const regions = new Regions();
  const none = { take: undefined, stepBytes: undefined, looksMax: undefined } as never;
  expect(await regions.scrubber(none).pass()).toMatchObject({ complete: true, keys: 0 });
});
