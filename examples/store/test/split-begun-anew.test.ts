import { expect, test } from "vitest";
import { Splitting } from "../src/control/splitting.js";
import { type PartitionRecord, partitionKey, putRecord } from "../src/metadata/records.js";
import { SplitService } from "../src/metadata/split-service.js";
import { type MetadataChange, MetadataView } from "../src/metadata/view.js";
import type { Write } from "../src/storage-node/command.js";
import { StoreError } from "../src/storage-node/errors.js";
import { eventually } from "./support/store.js";

const whole: PartitionRecord = {
  partition: 7,
  tableId: "t",
  hashFrom: 0,
  hashTo: 1_000,
  members: ["a1", "b1", "c1"],
  splitting: { at: 500, lower: 8, upper: 9 },
};
const parts: PartitionRecord[] = [
  { partition: 8, tableId: "t", hashFrom: 0, hashTo: 500, members: whole.members, filledFrom: 7 },
  { partition: 9, tableId: "t", hashFrom: 500, hashTo: 1_000, members: whole.members, filledFrom: 7 },
];

/** The metadata as the leader's replica has them, without a log. */
function metadata(records: readonly PartitionRecord[]) {
  let apply!: (changes: readonly MetadataChange[], slot: number) => void;
  const replica = { appliedThrough: 0, range: () => [], observe: (take: typeof apply) => (apply = take) };
  const view = new MetadataView({ ...replica, observeTakeOver: () => undefined } as never, {
    changed: () => undefined,
    replaced: () => undefined,
  });
  const change = async (decide: (view: MetadataView) => readonly Write[]): Promise<number> => {
    const slot = view.appliedThrough + 1;
    apply(
      decide(view).map((write) => ({ key: write.key, json: write.op === "put" ? write.bytes : undefined })),
      slot,
    );
    return slot;
  };
  const all = [putRecord(Buffer.from("n"), { next: 10 }), ...records.map((one) => putRecord(partitionKey(one), one))];
  return { view, change, ready: change(() => all) };
}

/** Of the parts 8 and 9 nothing can be filled in any more. */
function split(view: MetadataView, change: (decide: (view: MetadataView) => readonly Write[]) => Promise<number>) {
  const lost = new StoreError("ERR_STORE_TRIMMED", "the archive of p7 does not hold slot 12");
  const call = async (_: number, __: unknown, method: string, params: { part?: PartitionRecord }) => {
    if (method === "sealPartition") return { sealed: { slot: 20, timeMs: 1, told: true, inherited: [] } };
    if (method === "openPart") return { slot: 1 };
    if (method !== "feedPart") return {};
    if ((params.part?.partition ?? 0) < 10) throw lost;
    return { progress: { of: 7, slot: 20, copied: true }, timeMs: 1, behind: 0 };
  };
  const splits = new SplitService({ metadata: { change } });
  const control = new Splitting({ view, calls: { call: call as never }, splits, restorableMs: 1, nowMs: () => 1_234 });
  return control;
}

test("a split whose parts lack what neither log nor archive have any more is begun anew, with other parts", async () => {
  const { view, change, ready } = metadata([whole, ...parts]);
  await ready;
  const control = split(view, change);
  await eventually("the parts have taken over", () => {
    control.round();
    return view.closed.has(7);
  });
  await control.close();
  expect(view.partitionsOf("t").map(({ partition, hashFrom, hashTo }) => [partition, hashFrom, hashTo])).toEqual([
    [10, 0, 500],
    [11, 500, 1_000],
  ]);
  // The nodes leave what they do not find any more, and what is in the archive is removed.
  expect([...view.partitions.keys()].sort()).not.toContain(8);
  expect([...view.remains.values()]).toEqual([8, 9].map((partition) => ({ partition, goneAtMs: 1_234 })));
  expect(view.nextPartition).toBe(12);
});

test("not while one of the members is being replaced: its parts would have too few", async () => {
  const replaced: PartitionRecord = { ...whole, members: ["a1", "c1"], log: ["d1"] };
  const { view, change, ready } = metadata([replaced, ...parts]);
  await ready;
  const control = split(view, change);
  control.round();
  await eventually("the attempt has failed", () => control.lastFailure !== undefined);
  await control.close();
  expect(view.partitions.get(7)?.splitting?.lower).toBe(8);
});
