import { expect, it } from "vitest";
import { type Position, Scrubber } from "../src/index.js";
import { bytes, many, replica, text } from "./support/sources.js";

const KEYS = 200;
const NAMES = ["a", "b", "c"];

/** Three replicas that are written to whenever a position grows stale, and how many of their snapshots are open at once. */
function moving(isStale: (at: Position) => boolean) {
  const replicas = NAMES.map((name) => replica(name, many(KEYS)));
  const asked: Position[] = [];
  let open = 0;
  let openMax = 0;
  const scrubber = new Scrubber({
    replicas: replicas.map((source) => ({
      name: source.name,
      async snapshot(at) {
        const snapshot = await source.snapshot(at);
        openMax = Math.max(openMax, ++open);
        return {
          ...snapshot,
          async close() {
            open--;
            await snapshot.close?.();
          },
        };
      },
    })),
    position() {
      // What was written since the part before: all have it, none at the position of that part.
      for (const one of replicas) {
        one.position++;
        one.store.put(bytes("00000199"), bytes(`written at ${one.position}`));
      }
      const at = replicas[0]?.position as number;
      asked.push(at);
      return at;
    },
    isStale,
    stepBytes: 500,
  });
  return { replicas, scrubber, asked, opened: () => ({ open, openMax }) };
}

it("a pass whose position grows stale goes on at a new one: every key is compared once, and no snapshot is held for the next", async () => {
  const { replicas, scrubber, asked, opened } = moving(() => true);
  replicas[0]?.store.put(bytes("00000003"), bytes("early"));
  replicas[2]?.store.put(bytes("00000150"), bytes("late"));
  const report = await scrubber.pass();
  expect(report).toMatchObject({ complete: true, compared: NAMES, absent: [], keys: KEYS, at: asked[0] });
  expect(asked.length).toBeGreaterThan(5);
  expect(opened()).toEqual({ open: 0, openMax: NAMES.length });
  const [early, late] = report.divergences;
  expect(report.divergences.map(({ key, replica }) => [text(key), replica])).toEqual([
    ["00000003", "a"],
    ["00000150", "c"],
  ]);
  expect(early?.at).toBe(asked[0]);
  expect(late?.at).toBeGreaterThan(asked[0] as number);
});

it("what a later pass finds dates from after the first position of the one before", async () => {
  const { replicas, scrubber, asked } = moving(() => true);
  await scrubber.pass();
  const [first] = asked;
  replicas[1]?.store.delete(bytes("00000100"));
  const [found] = (await scrubber.pass()).divergences;
  expect(found?.since).toEqual({ after: first, by: found?.at });
});

it("a pass at a position that was asked for stays there", async () => {
  const { replicas, scrubber, asked } = moving(() => true);
  const at = replicas[0]?.position as number;
  expect(await scrubber.pass({ at })).toMatchObject({ complete: true, at, keys: KEYS });
  expect(asked).toEqual([]);
});

it("one that falls behind between two positions is absent, and the others are compared to the end", async () => {
  let steps = 0;
  const { replicas, scrubber } = moving(() => {
    const last = replicas[2] as (typeof replicas)[number];
    if (++steps === 3) Object.defineProperty(last, "position", { get: () => 0, set() {} });
    return true;
  });
  const report = await scrubber.pass();
  expect(report).toMatchObject({ complete: true, compared: ["a", "b"], keys: KEYS, divergences: [] });
  expect(report.absent).toMatchObject([{ replica: "c", why: "behind" }]);
});
