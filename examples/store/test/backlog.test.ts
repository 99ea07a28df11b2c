import type { Group } from "@evenkeel/paxos";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { untimely } from "../src/control/rounds.js";
import { Applier } from "../src/storage-node/applier.js";
import { Backlog } from "../src/storage-node/backlog.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { type NodeParts, nodeMethods } from "../src/storage-node/methods.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { Replica } from "../src/storage-node/replica.js";
import { Writer } from "../src/storage-node/writer.js";
import { gate } from "./support/gate.js";
import { SteeredGroup } from "./support/steered-group.js";
import { eventually } from "./support/store.js";
import { ownTree } from "./support/tree.js";

const PARTITION = 7;
const OVERLOADED = { code: "ERR_STORE_OVERLOADED" };

const turn = () => new Promise((resolve) => setImmediate(resolve));

function filled(writes: number, options: ConstructorParameters<typeof Backlog>[1]): Backlog {
  const backlog = new Backlog(PARTITION, options);
  for (let i = 0; i < writes; i++) backlog.applied(10);
  return backlog;
}

function drain(backlog: Backlog, writes: number): void {
  for (let i = 0; i < writes; i++) backlog.move(10);
  backlog.moved();
}

// Its times are its own.
let due: typeof untimely.due;
beforeAll(() => {
  due = untimely.due;
  untimely.due = (plannedMs) => plannedMs;
});
afterAll(() => {
  untimely.due = due;
});

test("who finds too much waiting for the B-tree goes on when there is room, in the order in which they came", async () => {
  const backlog = filled(10, { writesEnough: 10 });
  expect(backlog.hasRoom).toBe(false);
  const order: number[] = [];
  for (let i = 0; i < 200; i++) void backlog.room().then(() => order.push(i));
  await turn();
  expect(order).toEqual([]);
  drain(backlog, 1);
  // Whoever comes now stands behind those.
  expect(backlog.hasRoom).toBe(false);
  const last = backlog.room().then(() => order.push(200));
  await turn();
  expect(order.length).toBeLessThan(200);
  await last;
  expect(order).toEqual(Array.from({ length: 201 }, (_, i) => i));
  expect(backlog.hasRoom).toBe(true);
});

test("no more are let in than there is room for", async () => {
  const backlog = filled(10, { writesEnough: 10 });
  let letIn = 0;
  for (let i = 0; i < 300; i++)
    void backlog.room().then(() => {
      letIn++;
      backlog.applied(10);
    });
  drain(backlog, 1);
  await turn();
  await turn();
  // As many as are decided in one turn, before any of them counts.
  expect(letIn).toBeLessThanOrEqual(64);
  const before = letIn;
  drain(backlog, letIn - 2);
  await turn();
  expect(letIn).toBe(before);
  drain(backlog, 3);
  await turn();
  expect(letIn).toBeGreaterThan(before);
  backlog.close();
});

test("bytes count as well as writes", async () => {
  const backlog = new Backlog(PARTITION);
  backlog.applied(64 * 1024 * 1024);
  expect(backlog.hasRoom).toBe(false);
  backlog.move(64 * 1024 * 1024);
  expect(backlog.hasRoom).toBe(true);
});

test("where there is no room for too long they are told, and where the partition closes or its state is replaced they go on", async () => {
  await expect(filled(1, { writesEnough: 1, waitMsMax: 5 }).room()).rejects.toMatchObject(OVERLOADED);
  const closing = filled(1, { writesEnough: 1 });
  const waiting = closing.room();
  closing.close();
  await waiting;
  expect(closing.hasRoom).toBe(true);
  const replaced = filled(1, { writesEnough: 1 });
  const other = replaced.room();
  replaced.clear();
  await other;
});

const own = ownTree();
afterEach(() => void vi.restoreAllMocks());

const ENOUGH = 20;

function partition() {
  const applier = new Applier(own.tree, () => undefined);
  const replica = new Replica(PARTITION, own.tree, applier, new Backlog(PARTITION, { writesEnough: ENOUGH }));
  const group = new SteeredGroup(replica);
  const writer = new Writer(group as unknown as Group<number>, replica);
  const host = { writer, replica } as unknown as PartitionHost;
  const methods = nodeMethods({ partitionOf: () => host } as unknown as NodeParts);
  const write = async (i: number) => {
    const json = Buffer.from(`{"n":{"N":"${i}"}}`);
    const op = { kind: "put", json, itemSizeBytes: 3, returnValues: "NONE" } as const;
    return await methods.write({ partition: PARTITION, key: Buffer.from(`key ${i}`), op });
  };
  return { applier, replica, group, write };
}

test("a leader whose B-tree does not follow answers at the B-tree's pace, and refuses nobody", async () => {
  const { applier, replica, group, write } = partition();
  const slow = gate();
  const commit = own.tree.commit.bind(own.tree);
  vi.spyOn(own.tree, "commit").mockImplementation(async (writes) => {
    await slow.opened;
    await commit(writes);
  });
  for (let i = 0; i < ENOUGH; i++) {
    const done = write(i);
    await group.choose();
    await done;
  }
  applier.hurry();
  const waiting = Promise.all([1, 2, 3].map((i) => write(100 + i)));
  await group.choose();
  expect([replica.backlog.writes, group.submitted.length]).toEqual([ENOUGH, 0]);
  slow.open();
  await eventually("there is room in the B-tree", async () => {
    await group.choose();
    return replica.appliedThrough > ENOUGH;
  });
  await waiting;
  await applier.close();
  expect([...own.tree.range(PARTITION, {})].length).toBe(ENOUGH + 3);
});

test("a node that does not lead says so at once, however much waits there", async () => {
  const { applier, group, write } = partition();
  for (let i = 0; i < ENOUGH; i++) {
    const done = write(i);
    await group.choose();
    await done;
  }
  vi.spyOn(group, "status").mockReturnValue({ ...group.status(), ready: false, leader: "b1" });
  await expect(write(100)).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER", leader: "b1" });
  await applier.close();
});

test("what has gathered goes into the B-tree four thousand writes at a time", async () => {
  const sizes: number[] = [];
  const commit = own.tree.commit.bind(own.tree);
  vi.spyOn(own.tree, "commit").mockImplementation(async (writes) => {
    sizes.push(writes.reduce((sum, { puts }) => sum + [...puts].length, 0));
    await commit(writes);
  });
  const applier = new Applier(own.tree, () => undefined);
  const replica = new Replica(PARTITION, own.tree, applier);
  for (let slot = 1; slot <= 6_000; slot++) {
    const write = { op: "put", key: Buffer.from(`${slot}`), bytes: Buffer.from("{}"), itemSizeBytes: 1 } as const;
    replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: 1, writes: [write] }) });
  }
  await applier.drain();
  expect(sizes).toEqual([4_000, 2_000]);
  await applier.close();
});

test("a backlog is worked off without a pause, also when nothing comes any more", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const applier = new Applier(own.tree, () => undefined);
    const replica = new Replica(PARTITION, own.tree, applier);
    const commits = vi.spyOn(own.tree, "commit");
    const writes = Array.from({ length: 100 }, (_, i) => {
      const key = Buffer.from(`${i}`);
      return { op: "put", key, bytes: Buffer.from("{}"), itemSizeBytes: 1 } as const;
    });
    for (let slot = 1; slot <= 140; slot++)
      replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: 1, writes }) });
    while (replica.backlog.writes >= 4_000) await turn();
    expect([replica.backlog.writes, commits.mock.calls.length]).toEqual([2_000, 3]);
    await applier.close();
  } finally {
    vi.useRealTimers();
  }
});

test("writes gather while others come, for two seconds at most, and are committed soon when none does; many bytes wait for nobody", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const applier = new Applier(own.tree, () => undefined, { random: () => 0.5 });
    const replica = new Replica(PARTITION, own.tree, applier);
    const commits = vi.spyOn(own.tree, "commit");
    let slot = 0;
    const put = (bytes = 2) => {
      const key = Buffer.from(`${++slot}`);
      const write = { op: "put", key, bytes: Buffer.alloc(bytes), itemSizeBytes: 1 } as const;
      replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: 1, writes: [write] }) });
    };
    const pass = async (ms: number) => {
      await vi.advanceTimersByTimeAsync(ms);
      await turn();
    };
    put();
    await pass(499);
    expect(commits).toHaveBeenCalledTimes(0);
    await pass(1);
    expect(commits).toHaveBeenCalledTimes(1);
    while (replica.backlog.writes > 0) await turn();
    for (let ms = 0; ms < 1_900; ms += 100) {
      put();
      await pass(100);
    }
    expect(commits).toHaveBeenCalledTimes(1);
    put();
    await pass(100);
    expect(commits).toHaveBeenCalledTimes(2);
    while (replica.backlog.writes > 0) await turn();
    put(5 * 1024 * 1024);
    while (replica.backlog.writes > 0) await turn();
    expect(commits).toHaveBeenCalledTimes(3);
    await applier.close();
  } finally {
    vi.useRealTimers();
  }
});

test("replicas of the same writes do not commit them at the same time for long", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const random = [0, 0.99];
    const appliers = random.map((share) => new Applier(own.tree, () => undefined, { random: () => share }));
    const [early, late] = appliers.map((applier, i) => new Replica(PARTITION + i, own.tree, applier)) as [
      Replica,
      Replica,
    ];
    const writes = Array.from({ length: 100 }, (_, i) => {
      const key = Buffer.from(`${i}`);
      return { op: "put", key, bytes: Buffer.from("{}"), itemSizeBytes: 1 } as const;
    });
    const command = encodeCommand({ kind: "writes", timeMs: 1, writes });
    for (let slot = 1; slot <= 40; slot++) for (const replica of [early, late]) replica.apply({ slot, command });
    while (early.backlog.writes > 0) await turn();
    expect(late.backlog.writes).toBe(4_000);
    for (let slot = 41; slot <= 50; slot++) late.apply({ slot, command });
    while (late.backlog.writes > 1_000) await turn();
    for (const applier of appliers) await applier.close();
    expect(own.tree.appliedThrough(PARTITION + 1)).toBe(50);
  } finally {
    vi.useRealTimers();
  }
});
