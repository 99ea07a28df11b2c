import { expect, test } from "vitest";
import { Splitting } from "../src/control/splitting.js";
import type { PartitionRecord } from "../src/metadata/records.js";
import { eventually } from "./support/store.js";

const SLOT_BYTES = 4 * 1024;
const PARTS = [8, 9];

interface Fed {
  readonly part: number;
  readonly bytesMax: number;
  readonly lacked: number;
  readonly sealed: boolean;
}

/** A partition whose log grows while its parts are fed: by so many slots in the time that a step takes. */
function split({ copySteps, writtenWhileCopied, writtenInAStep }: Record<string, number>) {
  const record: PartitionRecord = { partition: 7, tableId: "t", hashFrom: 0, hashTo: 1_000, members: ["a"] };
  const splitting = { at: 500, lower: 8, upper: 9 };
  const whole: PartitionRecord = { ...record, splitting };
  const parts = PARTS.map((partition) => ({ ...record, partition, filledFrom: 7 }));
  const view = { partitions: new Map([whole, ...parts].map((one) => [one.partition, one])), closed: new Map() };
  let appliedThrough = 100;
  let sealed = false;
  const fed: Fed[] = [];
  const copies: { readonly part: number; readonly bytesMax: number }[] = [];
  const copied = new Map(PARTS.map((part) => [part, 0]));
  const call = async (_: number, __: unknown, method: string, params: Record<string, unknown>) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (method === "sealPartition") {
      if (!sealed) appliedThrough++;
      sealed = true;
      return { sealed: { slot: appliedThrough, timeMs: 1, told: true, inherited: [] } };
    }
    if (method === "openPart") return { slot: 1 };
    if (method !== "feedPart") throw new Error(`nobody asks for ${method}`);
    const { part, progress, bytesMax } = params as {
      part: PartitionRecord;
      progress?: { slot: number; copied?: true };
      bytesMax: number;
    };
    const steps = (copied.get(part.partition) ?? 0) + 1;
    copied.set(part.partition, steps);
    const from = progress?.slot ?? appliedThrough;
    const end = appliedThrough;
    const isCopied = progress?.copied === true;
    if (!isCopied) copies.push({ part: part.partition, bytesMax });
    else fed.push({ part: part.partition, bytesMax, lacked: end - from, sealed });
    if (!sealed && part.partition === PARTS[0]) appliedThrough += (isCopied ? writtenInAStep : writtenWhileCopied) ?? 0;
    const slot = isCopied ? Math.min(end, from + bytesMax / SLOT_BYTES) : from;
    const next = { of: 7, slot, ...((isCopied || steps >= (copySteps ?? 0)) && { copied: true as const }) };
    return { progress: next, timeMs: 1, behind: appliedThrough - slot };
  };
  const takenOver: number[] = [];
  const control = new Splitting({
    view,
    calls: { call: call as never },
    splits: {
      takenOver: async (_: number, { slot }: { slot: number }) => {
        takenOver.push(slot);
        view.partitions.delete(7);
      },
    } as never,
    restorableMs: 1,
    nowMs: () => 0,
  });
  return { control, fed, copies, takenOver };
}

test("what was written while items were copied is brought over before the partition is sealed, in small steps", async () => {
  const { control, fed, takenOver } = split({ copySteps: 5, writtenWhileCopied: 100, writtenInAStep: 2 });
  control.round();
  await eventually("the parts have taken over", () => takenOver.length > 0);
  const before = fed.filter(({ sealed }) => !sealed);
  expect(before[0]?.lacked).toBeGreaterThan(300);
  expect(before.map(({ bytesMax }) => bytesMax)).toEqual(before.map(() => 128 * 1024));
  const after = fed.filter(({ sealed }) => sealed);
  expect(after.map(({ part }) => part)).toEqual(PARTS);
  for (const { lacked } of after) expect(lacked).toBeLessThan(12);
  await control.close();
});

test("items are copied in steps of a few, both parts in step", async () => {
  const { control, copies, takenOver } = split({ copySteps: 5, writtenWhileCopied: 1, writtenInAStep: 1 });
  control.round();
  await eventually("the parts have taken over", () => takenOver.length > 0);
  expect(copies).toEqual(Array.from({ length: 5 }, () => PARTS.map((part) => ({ part, bytesMax: 32 * 1024 }))).flat());
  await control.close();
});

test("where writes come faster than small steps bring them over, steps grow", async () => {
  const { control, fed, takenOver } = split({ copySteps: 2, writtenWhileCopied: 100, writtenInAStep: 60 });
  control.round();
  await eventually("the parts have taken over", () => takenOver.length > 0);
  const largest = Math.max(...fed.filter(({ sealed }) => !sealed).map(({ bytesMax }) => bytesMax));
  expect(largest).toBeGreaterThan(128 * 1024);
  // A step's worth of writes is lacked at any time, and no more.
  for (const { lacked, sealed } of fed) if (sealed) expect(lacked).toBeLessThan(150);
  await control.close();
});

test("where even the largest do not, it is sealed once little enough is lacked", async () => {
  const { control, fed, takenOver } = split({ copySteps: 2, writtenWhileCopied: 20, writtenInAStep: 160 });
  control.round();
  await eventually("the parts have taken over", () => takenOver.length > 0);
  expect(Math.max(...fed.map(({ lacked }) => lacked))).toBeLessThanOrEqual(600);
  await control.close();
});
