import { Archiver, memoryObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { ArchiveSchedule, type ArchiveScheduleOptions } from "../src/control/archive-schedule.js";
import { Controller } from "../src/control/controller.js";
import { UPKEEP } from "../src/control/upkeep.js";
import type { PartitionRecord, TableEntry } from "../src/metadata/records.js";
import type { Caller } from "../src/rpc/protocol.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { StoreError } from "../src/storage-node/errors.js";
import { eventually } from "./support/store.js";

const members = ["a1", "b1", "c1"];
type Host = ReturnType<ArchiveScheduleOptions["partitions"]> extends Iterable<infer T> ? T : never;

/** A partition with so much in its log that it is archived, where this node leads it, and trimmed, in the next round. */
function hostOf(
  partition: number,
  archive: () => Promise<number>,
  more: { ready?: boolean; vouched?: number } = {},
): Host {
  const { ready = true, vouched = 0 } = more;
  const status = { ready, appliedThrough: 100_000, archivedThrough: vouched, trimmedThrough: 0 };
  return {
    partition,
    group: {
      status: () => status,
      leadership: () => status,
      trim: async (through: number) => {
        status.trimmedThrough = through;
      },
    },
    replica: { durableThrough: 90_000, appliedBytes: 0, appliedThrough: status.appliedThrough },
    archiving: {
      archive,
      archivedThrough: vouched,
      archivedBytes: 0,
      compare: async (through: number) => Math.min(through, vouched),
      lastSnapshot: async () => ({ slot: 0, bytes: 0, timeMs: 0 }),
    },
  } as unknown as Host;
}

const unreachable = new StoreError("ERR_STORE_UNREACHABLE", "down");
const failing = async () => {
  throw new Error("the archive is full");
};

function callerOf(answer: (node: string, method: string, params: unknown) => unknown): (node: string) => Caller {
  return (node) =>
    ({
      call: async (method: string, params: unknown) => answer(node, method, params),
      close: async () => undefined,
    }) as unknown as Caller;
}

test("a partition that cannot be archived, or takes for ever, keeps no other from its turn, and the failure is told", async () => {
  const archived: number[] = [];
  const good = hostOf(3, async () => archived.push(3));
  const schedule = new ArchiveSchedule({
    partitions: () => [hostOf(1, () => new Promise(() => undefined)), hostOf(2, failing), good],
    upkeep: UPKEEP,
  });
  await expect(schedule.round()).rejects.toMatchObject({ errors: [new Error("the archive is full")] });
  expect(archived).toEqual([3]);
});

test("a partition that fails is left alone for longer and longer", async () => {
  let tries = 0;
  const host = hostOf(1, () => {
    tries++;
    return failing();
  });
  const schedule = new ArchiveSchedule({ partitions: () => [host], upkeep: UPKEEP });
  await expect(schedule.round()).rejects.toThrow("could not be archived");
  for (let i = 0; i < 5; i++) await schedule.round();
  expect(tries).toBe(1);
});

test("a log is trimmed where the archive vouches for it and the B-tree has it, whoever leads, and whoever is away", async () => {
  const never = async () => {
    throw new Error("not led here");
  };
  const vouchedFor = hostOf(1, never, { ready: false, vouched: 95_000 });
  const partly = hostOf(2, never, { ready: false, vouched: 40_000 });
  const notAtAll = hostOf(3, never, { ready: false });
  const schedule = new ArchiveSchedule({ partitions: () => [vouchedFor, partly, notAtAll], upkeep: UPKEEP });
  await schedule.round();
  const trimmed = [vouchedFor, partly, notAtAll].map(({ group }) => group.status().trimmedThrough);
  expect(trimmed).toEqual([80_000, 30_000, 0]);
});

test("a log is trimmed though a snapshot of its partition is still being written, which may take long", async () => {
  const led = hostOf(1, async () => 95_000, { vouched: 95_000 });
  Object.assign(led.archiving, { lastSnapshot: () => new Promise(() => undefined) });
  const schedule = new ArchiveSchedule({ partitions: () => [led], upkeep: UPKEEP });
  await schedule.round();
  expect(led.group.status().trimmedThrough).toBe(80_000);
});

test("logs go on being archived while a state is being written, one state at a time", async () => {
  const archived: number[] = [];
  const asked: number[] = [];
  const led = [1, 2].map((partition) => hostOf(partition, async () => archived.push(partition), { vouched: 1 }));
  for (const { partition, archiving } of led)
    Object.assign(archiving, {
      lastSnapshot: () => {
        asked.push(partition);
        return new Promise(() => undefined);
      },
    });
  const schedule = new ArchiveSchedule({ partitions: () => led, upkeep: UPKEEP });
  await schedule.round();
  await schedule.round();
  expect(archived).toEqual([1, 2, 1, 2]);
  expect(asked).toEqual([1]);
});

const record = (partition: number, tableId: string): PartitionRecord => ({
  partition,
  tableId,
  hashFrom: 0,
  hashTo: 2 ** 32,
  members,
});

function tableOf(name: string, more: Partial<TableEntry> = {}): TableEntry {
  return {
    name,
    tableId: name,
    keySchema: { partition: { name: "id", type: "S" } },
    billingMode: "PAY_PER_REQUEST",
    readUnitsPerSecond: 0,
    writeUnitsPerSecond: 0,
    status: "CREATING",
    createdAtMs: 0,
    partitions: 1,
    ...more,
  };
}

interface Steered {
  readonly tables: TableEntry[];
  readonly answer: (node: string, method: string, params: unknown) => unknown;
  readonly hosts?: readonly Host[];
  readonly archive?: ReturnType<typeof memoryObjectStore>;
  leads: boolean;
  /** So many more times the lease is found to have lapsed. */
  lapses?: number;
  reign?: number;
}

function controllerOf(steered: Steered): {
  controller: Controller;
  activated: string[];
  tables: ReadonlyMap<string, TableEntry>;
} {
  const activated: string[] = [];
  const tables = new Map(steered.tables.map((table) => [table.name, table]));
  const controller = new Controller({
    archive: steered.archive ?? memoryObjectStore(),
    founders: members,
    nodeIds: () => members,
    group: {
      status: () => ({ departed: false }),
      members: () => ({ storage: members, log: [], chosen: true }),
    } as never,
    onReplaced: () => undefined,
    upkeep: UPKEEP,
    partitions: () => (steered.hosts ?? []) as never,
    callerTo: callerOf(steered.answer),
    view: {
      tables,
      closed: new Map(),
      partitions: new Map(),
      partitionsOf: (tableId) => [record([...tables.keys()].indexOf(tableId) + 1, tableId)],
      streams: new Map(),
      streamsOf: () => [],
      remains: new Map(),
      isRead: () => false,
      appliedThrough: 1,
    },
    splits: {} as never,
    streams: {} as never,
    metadata: {
      get leading() {
        return steered.leads;
      },
      get leadsAlone() {
        if (!steered.lapses) return steered.leads;
        steered.lapses--;
        return false;
      },
      get reign() {
        return steered.leads ? (steered.reign ?? 1) : undefined;
      },
      async activate(table) {
        activated.push(table.name);
        tables.set(table.name, { ...table, status: "ACTIVE" });
      },
      change: async () => 0,
      async changePartition() {
        return undefined;
      },
      async changeIndex() {},
      async restored({ restore: _done, ...table }) {
        tables.set(table.name, table);
      },
      async giveUp(table, reason) {
        tables.set(table.name, { ...table, status: "ARCHIVED", failure: { reason, atMs: 0 } });
      },
      async forget({ name }) {
        if (name === "stuck") throw new Error("stuck");
        tables.delete(name);
      },
    },
  });
  return { controller, activated, tables };
}

const ready = (node: string) => ({
  nodeId: node,
  partitions: [1, 2].map((partition) => ({ partition, ready: node === "a1", voting: true })),
});

test("a table becomes ACTIVE when every member that answers votes: it could lose any one of them from then on", async () => {
  let asked = 0;
  let mute = true;
  const { controller, activated } = controllerOf({
    tables: [tableOf("orders")],
    leads: true,
    answer: (node) => {
      if (node !== "c1" || !mute) return ready(node);
      asked++;
      // First not even joined, then joined and not voting.
      return { nodeId: node, partitions: asked < 3 ? [] : [{ partition: 1, ready: false, voting: false }] };
    },
  });
  controller.wake();
  await eventually("it has looked several times", () => asked >= 6);
  expect(activated).toEqual([]);
  mute = false;
  await eventually("the table is active", () => activated.includes("orders"));
  await controller.close();
});

test("nodes are asked once for all tables that are on their way, and of their partitions alone, however many others there are", async () => {
  const asked: unknown[] = [];
  const { controller, activated } = controllerOf({
    tables: [tableOf("new"), tableOf("newer"), ...["old", "older"].map((name) => tableOf(name, { status: "ACTIVE" }))],
    leads: true,
    answer: (node, _, params) => {
      // Who looks whether nodes are there asks of all.
      if ((params as { only?: unknown }).only !== undefined) asked.push([node, params]);
      return ready(node);
    },
  });
  controller.wake();
  await eventually("both are active", () => activated.length === 2);
  expect(asked).toEqual(members.map((node) => [node, { only: [1, 2] }]));
  await controller.close();
});

test("a table becomes ACTIVE while the archive fails and a node is down", async () => {
  const { controller, activated } = controllerOf({
    tables: [tableOf("orders")],
    hosts: [hostOf(1, failing)],
    leads: true,
    answer: (node) => {
      if (node === "c1") throw unreachable;
      return ready(node);
    },
  });
  controller.wake();
  await eventually("the table is active", () => activated.includes("orders"));
  await controller.close();
});

test("a table that cannot be forgotten keeps no other one waiting", async () => {
  const { controller, tables } = controllerOf({
    tables: [tableOf("stuck", { status: "DELETING" }), tableOf("free", { status: "DELETING" })],
    leads: true,
    answer: ready,
  });
  controller.wake();
  await eventually("the free table is forgotten", () => !tables.has("free"));
  await controller.close();
  expect(controller.lastFailure).toEqual(new Error("stuck"));
});

test("a restore that cannot be done keeps no other table from becoming ACTIVE", async () => {
  const archive = memoryObjectStore();
  archive.list = () => {
    throw new Error("the archive is away");
  };
  const { controller, activated } = controllerOf({
    archive,
    tables: [tableOf("restored", { restore: { partitions: [record(9, "source")], untilMs: 5 } }), tableOf("orders")],
    leads: true,
    answer: ready,
  });
  controller.wake();
  await eventually("the other table is active", () => activated.includes("orders"));
  await eventually("the failure is told", () => String(controller.lastFailure).includes("the archive is away"));
  expect(activated).toEqual(["orders"]);
  await controller.close();
});

test("of many restores eight are under way at once, and the others have their turn", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `restored ${i}`);
  const restore = { partitions: [record(9, "source")], untilMs: 5 };
  let underWay = 0;
  let most = 0;
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const { controller, activated } = controllerOf({
    archive: await archiveToRestore(),
    tables: names.map((name) => tableOf(name, { restore })),
    leads: true,
    answer: async (node, method) => {
      const partitions = names.map((_, i) => ({ partition: i + 1, ready: true, voting: true }));
      if (method !== "submit") return { nodeId: node, partitions };
      most = Math.max(most, ++underWay);
      await begun;
      underWay--;
      return { slot: 1 };
    },
  });
  controller.wake();
  await eventually("as many write as may", () => underWay >= 8);
  begin();
  await eventually("all are restored", () => activated.length === names.length);
  await controller.close();
  expect(most).toBe(8);
});

/** Of eight items, of which two go into each entry. */
async function archiveToRestore(): Promise<ReturnType<typeof memoryObjectStore>> {
  const archive = memoryObjectStore();
  const archiver = await Archiver.open({ store: archive, stream: "p9" });
  const bytes = Buffer.alloc(300 * 1024, 32);
  await archiver.archive(
    Array.from({ length: 8 }, (_, i) => ({
      sequence: i + 1,
      timeMs: 1,
      data: encodeCommand({
        kind: "writes",
        timeMs: 1,
        writes: [{ op: "put", key: Uint8Array.of(0, 0, 0, i), bytes, itemSizeBytes: bytes.length }],
      }),
    })),
  );
  return archive;
}

test.each([
  [
    "lease lapses for a moment goes on with its restore",
    (steered: Steered) => Object.assign(steered, { lapses: 5 }),
    4,
  ],
  ["node was elected again begins its restore anew", (steered: Steered) => Object.assign(steered, { reign: 2 }), 5],
])("a controller whose %s", async (_, happens, wanted) => {
  let submits = 0;
  const steered: Steered = {
    archive: await archiveToRestore(),
    tables: [tableOf("restored", { restore: { partitions: [record(9, "source")], untilMs: 5 } })],
    leads: true,
    answer: (node, method) => {
      if (method !== "submit") return ready(node);
      if (++submits === 1) happens(steered);
      return { slot: submits };
    },
  };
  const { controller, activated } = controllerOf(steered);
  controller.wake();
  await eventually("it is restored", () => activated.includes("restored"));
  await controller.close();
  expect(submits).toBe(wanted);
});

test("a controller that leads no more writes no more of a restore", async () => {
  let submits = 0;
  const steered: Steered = {
    archive: await archiveToRestore(),
    tables: [tableOf("restored", { restore: { partitions: [record(9, "source")], untilMs: 5 } })],
    leads: true,
    answer: (node, method) => {
      if (method !== "submit") return ready(node);
      submits++;
      // Deposed, as it may happen at any moment; the successor restores, and users write.
      steered.leads = false;
      return { slot: submits };
    },
  };
  const { controller, activated } = controllerOf(steered);
  controller.wake();
  await eventually("the first write", () => submits > 0);
  await controller.close();
  expect(submits).toBe(1);
  expect(activated).toEqual([]);
});

test("a restore that never can succeed ends in a state that says why, after it was tried again", async () => {
  const archive = memoryObjectStore();
  await (await Archiver.open({ store: archive, stream: "p9" })).archive([
    { sequence: 1, timeMs: 1, data: new Uint8Array(0) },
  ]);
  const { get } = archive;
  let reads = 0;
  archive.get = async (key, options) => {
    const bytes = await get.call(archive, key, options);
    if (!key.endsWith(".log") || bytes === undefined) return bytes;
    reads++;
    return bytes.map((byte, i) => (i === 80 ? byte ^ 1 : byte));
  };
  const { controller, activated, tables } = controllerOf({
    archive,
    tables: [tableOf("restored", { restore: { partitions: [record(9, "source")], untilMs: 5 } })],
    leads: true,
    answer: ready,
  });
  controller.wake();
  await eventually("it is given up", () => tables.get("restored")?.status === "ARCHIVED");
  await controller.close();
  expect(tables.get("restored")?.failure?.reason).toMatch(/^RESTORE_FAILED: ERR_ARCHIVE_CORRUPT: /);
  expect(reads).toBe(3);
  expect(activated).toEqual([]);
});
