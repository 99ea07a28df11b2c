import { type Entry, type KeyRange, type ReplicaSnapshot, sha256, streamingSnapshot } from "@evenkeel/scrubber";
import { expect, test } from "vitest";
import { GentlePace, inTurns, type Pace } from "../src/storage-node/gentle-pace.js";
import { digestsInSlices, splitsInSlices } from "../src/storage-node/in-slices.js";

const VALUE_BYTES = 1_000;
const SLICE_BYTES_MAX = 64 * 1024;
const entries: Entry[] = Array.from({ length: 1_000 }, (_, i) => ({
  key: Buffer.from(String(i).padStart(6, "0")),
  value: Buffer.alloc(VALUE_BYTES, i),
}));
const within = ({ from, to }: KeyRange): Entry[] =>
  entries.filter(
    ({ key }) => Buffer.compare(key, from) >= 0 && (to === undefined || Buffer.compare(key, Buffer.from(to)) < 0),
  );
const all: KeyRange = { from: new Uint8Array(0), to: undefined };
const atOnce: ReplicaSnapshot = streamingSnapshot({ entries: within, createHash: sha256 });

/** How often everybody else had a turn meanwhile. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isOver = true;
  return turns;
}

test.each<[string, () => Pace]>([
  ["gently", () => new GentlePace()],
  ["for somebody who waits", inTurns],
])("%s, digests and splits are those of the whole, and others have their turn after each slice", async (_, pace) => {
  const ranges: KeyRange[] = [
    all,
    { from: Buffer.from("0002"), to: Buffer.from("0005") },
    { from: Buffer.from("9"), to: undefined },
  ];
  expect(await digestsInSlices(within, ranges, pace())).toEqual(await atOnce.digests(ranges));
  for (const splitsMax of [1, 3, 99]) {
    const options = { bytes: 100_000, splitsMax };
    expect((await splitsInSlices(within, all, options, pace())).map(String)).toEqual(
      (await atOnce.splits(all, options)).map(String),
    );
  }
  const slices = Math.floor((entries.length * VALUE_BYTES) / SLICE_BYTES_MAX);
  expect(await turnsOf(() => digestsInSlices(within, [all], pace()))).toBeGreaterThanOrEqual(slices - 1);
  expect(
    await turnsOf(() => splitsInSlices(within, all, { bytes: 2 ** 30, splitsMax: 1 }, pace())),
  ).toBeGreaterThanOrEqual(slices - 1);
});

test("what was read may be let go of between two slices, which is then told", async () => {
  let reads = 0;
  const gone = new Error("the mark is gone");
  const once = (range: KeyRange): Entry[] => {
    if (reads++ > 0) throw gone;
    return within(range);
  };
  await expect(digestsInSlices(once, [all], inTurns())).rejects.toBe(gone);
});
