import { expect, test } from "vitest";
import { BACKUPS_MAX, backupId } from "../src/api/control/backups.js";
import { BackupService } from "../src/metadata/backup-service.js";
import type { BackupRecord, PartitionRecord, TableEntry } from "../src/metadata/records.js";

const partition: PartitionRecord = { partition: 7, tableId: "id", hashFrom: 0, hashTo: 2 ** 32, members: ["a1"] };
const table = { name: "people", tableId: "id", status: "ACTIVE" } as TableEntry;
const record = (untilMs: number): BackupRecord => ({
  id: backupId(untilMs, "00000000"),
  name: "kept",
  table,
  untilMs,
  partitions: [partition],
});

function serviceOf(
  backups: readonly BackupRecord[],
  tables: readonly TableEntry[],
  archive: (
    view: { tables: Map<string, TableEntry> },
    partitions: readonly PartitionRecord[],
  ) => Promise<void> = async () => undefined,
) {
  const view = {
    tables: new Map(tables.map((one) => [one.name, one])),
    backups: new Map(backups.map((one) => [one.id, one])),
    partitionsAt: (): PartitionRecord[] => [partition],
  };
  const written: number[] = [];
  const change = async (decide: (given: never) => readonly unknown[]) => written.push(decide(view as never).length);
  const service = new BackupService({
    metadata: { change, read: async (read: (given: never) => unknown) => read(view as never) } as never,
    view: view as never,
    newDistinction: () => "11111111",
    archive: (partitions) => archive(view, partitions),
  });
  return { service, view, written };
}

test("so many backups are kept and no more", async () => {
  const all = Array.from({ length: BACKUPS_MAX }, (_, i) => record(i + 1));
  await expect(serviceOf(all, [table]).service.create("people", "another", 5_000)).rejects.toMatchObject({
    type: "LimitExceededException",
  });
  await serviceOf(all.slice(1), [table]).service.create("people", "another", 5_000);
});

test("a table that took another's name while that was archived is not what was asked for", async () => {
  const { service, written } = serviceOf([], [table], async ({ tables }) => {
    tables.set("people", { ...table, tableId: "another" });
  });
  await expect(service.create("people", "late", 5_000)).rejects.toMatchObject({ type: "TableNotFoundException" });
  expect(written).toEqual([0]);
});

test("what a partition was split into while it was archived is archived as well", async () => {
  const parts = [12, 13].map((one) => ({ ...partition, partition: one }));
  const asked: number[][] = [];
  const { service, view } = serviceOf([], [table], async (_, partitions) => {
    asked.push(partitions.map((one) => one.partition));
    view.partitionsAt = () => parts;
  });
  await service.create("people", "split", 5_000);
  expect(asked).toEqual([[7], [12, 13]]);
});

test("a backup that a table is being restored from is not deleted", async () => {
  const restoring = { ...table, name: "again", tableId: "other", restore: { partitions: [partition], untilMs: 9 } };
  const { service, written } = serviceOf([record(9), record(10)], [table, restoring]);
  await expect(service.delete(record(9).id)).rejects.toMatchObject({ type: "BackupInUseException" });
  expect(written).toEqual([]);
  expect(await service.delete(record(10).id)).toEqual(record(10));
});

test.each([
  ["CREATING", {}, "ContinuousBackupsUnavailableException"],
  ["CREATING", { restore: { partitions: [partition], untilMs: 9 } }, "TableNotFoundException"],
  ["DELETING", {}, "TableNotFoundException"],
  ["ARCHIVED", {}, "TableInUseException"],
] as const)("of a table that is %s %j there is no backup: %s", async (status, more, type) => {
  const { service, written } = serviceOf([], [{ ...table, ...more, status }]);
  await expect(service.create("people", "early", 5_000)).rejects.toMatchObject({ type });
  expect(written).toEqual([]);
});

test("a table whose stream begins or ends is kept as any other", async () => {
  const { service } = serviceOf([], [{ ...table, status: "UPDATING" }]);
  expect(await service.create("people", "meanwhile", 5_000)).toMatchObject({ name: "meanwhile" });
});
