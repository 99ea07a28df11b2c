import { expect, it } from "vitest";
import { PageTurns } from "../src/router/page-turns.js";

/** Reads that end when they are told to. */
function reads(turns: PageTurns, count: number) {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const outcomes = Array.from({ length: count }, (_, i) =>
    turns.take(() => {
      begun.push(i);
      return new Promise<number>((resolve, reject) => {
        ends[i] = () => (i % 2 === 0 ? resolve(i) : reject(new Error(`${i}`)));
      });
    }),
  );
  for (const outcome of outcomes) outcome.catch(() => undefined);
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { begun, ends, outcomes, settled };
}

it("has 32 pages read at a time, and the others in the order in which they came, whatever becomes of those before", async () => {
  const { begun, ends, outcomes, settled } = reads(new PageTurns(60_000), 40);
  await settled();
  expect(begun).toHaveLength(32);
  for (const i of [5, 0, 31]) ends[i]?.();
  await settled();
  expect(begun.slice(32)).toEqual([32, 33, 34]);
  for (let i = 0; i < 40; i++) {
    ends[i]?.();
    await settled();
  }
  expect(begun).toEqual(Array.from({ length: 40 }, (_, i) => i));
  await expect(outcomes[38]).resolves.toBe(38);
  await expect(outcomes[39]).rejects.toThrow("39");
});

it("refuses who has waited for too long, and is free again when all have gone", async () => {
  const turns = new PageTurns(-1);
  const { begun, ends, outcomes, settled } = reads(turns, 34);
  await settled();
  for (let i = 0; i < 32; i++) ends[i]?.();
  for (const late of outcomes.slice(32)) await expect(late).rejects.toMatchObject({ code: "ERR_STORE_OVERLOADED" });
  expect(begun).toHaveLength(32);
  const again = reads(turns, 32);
  await again.settled();
  expect(again.begun).toHaveLength(32);
});
