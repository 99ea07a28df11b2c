import { beforeEach, expect, test, vi } from "vitest";
import type { StreamRecord } from "../src/api/streams/model.js";
import { HASH_END, type PartitionRecord, partitionKey, putRecord, type TableEntry } from "../src/metadata/records.js";
import { RECORDS_KEPT_MS } from "../src/metadata/stream-lifetime.js";
import { newStream, putStream, StreamService } from "../src/metadata/stream-service.js";
import { Metadata } from "./support/metadata.js";

const NOW_MS = Date.UTC(2026, 0, 1);
const table = { name: "orders", tableId: "t", keySchema: { partition: { name: "pk", type: "S" } } } as TableEntry;
const part = (partition: number, hashFrom: number, hashTo: number): PartitionRecord => {
  return { partition, tableId: "t", hashFrom, hashTo, members: ["a1"] };
};
const PARTS = [part(1, 0, 5), part(2, 5, HASH_END)];
const slots = (...partitions: number[]) =>
  partitions.map((partition) => ({ partition, hashFrom: 0, slot: 10 * partition }));

let metadata: Metadata;
let streams: StreamService;
const nowMs = vi.fn(() => NOW_MS);
beforeEach(() => {
  nowMs.mockReturnValue(NOW_MS);
  metadata = new Metadata();
  streams = new StreamService({ metadata, nowMs });
  metadata.write(...PARTS.map((one) => putRecord(partitionKey(one), one)));
  metadata.write(newStream(metadata.view, table, "KEYS_ONLY", NOW_MS).write);
});
const stream = () => metadata.view.streamsOf("t")[0] as StreamRecord;
const through = () => stream().shards.map(({ partition, throughSlot }) => [partition, throughSlot]);

test("a stream begins and ends when every partition that there is by then has said from or through where", async () => {
  await streams.settled(table, slots(1, 7));
  expect(stream()).toMatchObject({ status: "ENABLING", shards: [] });
  await streams.settled(table, slots(1, 2));
  expect(stream()).toMatchObject({ status: "ENABLED", shards: [{ fromSlot: 10 }, { fromSlot: 20 }] });
  metadata.write(putStream({ ...stream(), status: "DISABLING" }));
  await streams.settled(table, slots(2));
  expect(stream().status).toBe("DISABLING");
  await streams.settled(table, slots(1, 2));
  expect(stream()).toMatchObject({ status: "DISABLED", endedAtMs: NOW_MS });
  expect(through()).toEqual([
    [1, 10],
    [2, 20],
  ]);
});

test("of a table that goes its stream stays, as it ended, where every partition has archived it", async () => {
  await streams.settled(table, slots(1, 2));
  await streams.tableGoes(table, slots(1));
  expect(stream()).not.toHaveProperty("tableGone");
  await streams.tableGoes(table, slots(1, 2));
  expect(stream()).toMatchObject({ status: "DISABLED", tableGone: true, endedAtMs: NOW_MS });
  nowMs.mockReturnValue(NOW_MS + 5);
  await streams.tableGoes(table, slots(1, 2));
  expect(stream().endedAtMs, "when it ended first").toBe(NOW_MS);
  await streams.forget(stream());
  expect(metadata.view.streams.size).toBe(1);
  nowMs.mockReturnValue(NOW_MS + RECORDS_KEPT_MS);
  await streams.forget(stream());
  expect(metadata.view.streams.size).toBe(0);
});

test("of a table that goes nothing stays of a stream that never began, or that could not be archived", async () => {
  await streams.tableGoes(table, slots(1, 2));
  expect(metadata.view.streams.size).toBe(0);
  metadata.write(newStream(metadata.view, table, "KEYS_ONLY", NOW_MS).write);
  await streams.settled(table, slots(1, 2));
  await streams.tableGoes(table, undefined);
  expect(metadata.view.streams.size).toBe(0);
});

test("streams are listed in pages, each once, and the later one of a table has the greater label", async () => {
  for (let i = 0; i < 2; i++) metadata.write(newStream(metadata.view, table, "KEYS_ONLY", NOW_MS - 9_000).write);
  metadata.write(newStream(metadata.view, { ...table, name: "people" }, "KEYS_ONLY", NOW_MS).write);
  const first = await streams.list({ tableName: "orders", limitMax: 2 });
  expect(first).toMatchObject({ more: true, streams: [{ label: "2026-01-01T00:00:00.000" }, {}] });
  const rest = await streams.list({ tableName: "orders", after: first.streams[1], limitMax: 1 });
  expect(rest).toMatchObject({ more: false, streams: [{ label: "2026-01-01T00:00:00.002" }] });
  expect((await streams.list({ limitMax: 100 })).streams).toHaveLength(4);
});
