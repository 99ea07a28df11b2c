import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { ArchiveSchedule } from "../src/control/archive-schedule.js";
import { Controller } from "../src/control/controller.js";
import type { MetadataService } from "../src/metadata/service.js";
import type { MetadataView } from "../src/metadata/view.js";
import type { Caller } from "../src/rpc/protocol.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { Store } from "../src/store.js";
import { eventually, temporaryDir } from "./support/store.js";

/** A partition that leads and has enough to archive at once; what its archive does is the test's to say. */
function partitionHost(partition: number, archive: () => Promise<number>, failure?: Error): PartitionHost {
  return {
    partition,
    group: { status: () => ({ ready: true, trimmedThrough: 0, failure }) },
    archiving: { archive, archivedThrough: 0 },
    status: () => ({ appliedThrough: 50_000, archivedThrough: 0, trimmedThrough: 0 }),
  } as unknown as PartitionHost;
}

test("a partition whose archive fails keeps no other one waiting", async () => {
  const archived: number[] = [];
  const partitions = [
    partitionHost(1, () => Promise.reject(new Error("no room"))),
    partitionHost(2, async () => archived.push(2)),
    partitionHost(3, async () => archived.push(3)),
  ];
  const schedule = new ArchiveSchedule({ partitions: () => partitions, members: [], callerTo: () => ({}) as Caller });
  await expect(schedule.round()).rejects.toThrow("could not be archived: 1");
  expect(archived).toEqual([2, 3]);
  await expect(schedule.round()).rejects.toThrow("could not be archived: 1");
});

test("a group that has stopped is told of, once", async () => {
  const told: unknown[] = [];
  let rounds = 0;
  const failure = new Error("the log is poisoned");
  const controller = new Controller({
    metadata: {
      get leading() {
        rounds++;
        return false;
      },
    } as MetadataService,
    view: { tables: new Map() } as unknown as MetadataView,
    archive: memoryObjectStore(),
    partitions: () => [partitionHost(1, async () => 0), partitionHost(2, async () => 0, failure)],
    members: [],
    callerTo: () => ({}) as Caller,
    onFailure: (error) => told.push(error),
  });
  for (let round = 1; round <= 3; round++) {
    controller.wake();
    await eventually(`round ${round}`, () => rounds >= round);
  }
  await controller.close();
  expect(told).toEqual([failure]);
});

test("tables come and go while the archive cannot be written, and one that is stuck keeps no other one waiting", async () => {
  const deleting = (name: string) => ({ name, status: "DELETING", tableId: name });
  const forgotten: string[] = [];
  const controller = new Controller({
    metadata: {
      leading: true,
      async forget({ name }: { name: string }) {
        if (name === "stuck") throw new Error("stuck");
        forgotten.push(name);
      },
    } as unknown as MetadataService,
    view: {
      tables: new Map([deleting("stuck"), deleting("free")].map((table) => [table.name, table])),
    } as unknown as MetadataView,
    archive: memoryObjectStore(),
    partitions: () => [partitionHost(1, () => Promise.reject(new Error("no room")))],
    members: [],
    callerTo: () => ({}) as Caller,
    onFailure: () => undefined,
  });
  controller.wake();
  await eventually("the free table is forgotten", () => forgotten.includes("free"));
  await controller.close();
  expect(controller.lastFailure).toEqual(new Error("stuck"));
});

test("a store that could not be opened has let go of everything: the next attempt, in the same process, succeeds", async () => {
  const { dir, remove } = await temporaryDir();
  // The third node's B-tree cannot be, after its log was opened and the other two nodes were.
  mkdirSync(join(dir, "nodes", "c1"), { recursive: true });
  writeFileSync(join(dir, "nodes", "c1", "tree"), "a regular file");
  const open = () => Store.open({ dir, port: 0, mode: "single" });
  await expect(open()).rejects.toMatchObject({ code: "EEXIST" });
  rmSync(join(dir, "nodes", "c1", "tree"));
  const store = await open();
  await store.close();
  await remove();
});
