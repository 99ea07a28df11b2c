import { expect, test, vi } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { Backlog } from "../src/storage-node/backlog.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { Replica } from "../src/storage-node/replica.js";
import { eventually } from "./support/store.js";
import { ownTree } from "./support/tree.js";

const own = ownTree();

const turn = () => new Promise((resolve) => setImmediate(resolve));

const put = (key: number, size = 1) =>
  encodeCommand({
    kind: "writes",
    timeMs: 1,
    writes: [{ op: "put", key: Uint8Array.of(key), bytes: new Uint8Array(size), itemSizeBytes: size }],
  });

test("after a failed commit nothing more is committed: no slot may cover writes that are not there", async () => {
  const failures: unknown[] = [];
  const applier = new Applier(own.tree, (error) => failures.push(error));
  const backlog = new Backlog(1, { writesEnough: 1 });
  const replica = new Replica(1, own.tree, applier, backlog);
  const full = new Error("no space left");
  vi.spyOn(own.tree, "commit").mockRejectedValueOnce(full);
  replica.apply({ slot: 1, command: put(1) });
  applier.hurry();
  await eventually("the failure is told", () => failures.length > 0);
  replica.apply({ slot: 2, command: put(2) });
  await applier.close();
  expect(failures).toEqual([full]);
  expect(backlog.hasRoom, "nobody waits for room that will not come").toBe(true);
  expect(own.tree.appliedThrough(1)).toBe(0);
  expect(own.tree.get(1, Uint8Array.of(2))).toBeUndefined();
});

test("what is thrown after a commit, such as for a snapshot that cannot be had, is told as well", async () => {
  const failures: unknown[] = [];
  const applier = new Applier(own.tree, (error) => failures.push(error));
  const replica = new Replica(1, own.tree, applier);
  vi.spyOn(own.tree, "snapshot").mockImplementationOnce(() => {
    throw new Error("too many readers");
  });
  replica.apply({ slot: 1, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
  await eventually("the failure is told", () => failures.length > 0);
  await applier.close();
});

test("what does not fit into a transaction beside another partition's writes is in the next one", async () => {
  const applier = new Applier(own.tree, () => undefined);
  const writes = Array.from({ length: 4_000 }, (_, i) => {
    return { op: "put", key: Uint8Array.of(1, i >> 8, i & 255), bytes: new Uint8Array(), itemSizeBytes: 0 } as const;
  });
  new Replica(1, own.tree, applier).apply({ slot: 1, command: encodeCommand({ kind: "writes", timeMs: 1, writes }) });
  new Replica(2, own.tree, applier).apply({ slot: 1, command: put(1) });
  await applier.drain();
  expect([1, 2].map((partition) => own.tree.appliedThrough(partition))).toEqual([1, 1]);
  await applier.close();
});

test("a partition can be dropped while others are written without a pause", async () => {
  const applier = new Applier(own.tree, () => undefined);
  const busy = new Replica(1, own.tree, applier);
  const dropped = new Replica(2, own.tree, applier);
  let slot = 0;
  let going = true;
  const write = (): void => {
    if (!going) return;
    busy.apply({ slot: ++slot, command: put(slot % 256) });
    applier.hurry();
    setImmediate(write);
  };
  write();
  dropped.apply({ slot: 1, command: put(1) });
  await eventually("a commit under load", () => own.tree.appliedThrough(1) > 0);
  dropped.close();
  await applier.settled();
  await own.tree.removePartition(2);
  expect(own.tree.partitions()).toEqual([1]);
  going = false;
  await applier.close();
  expect(own.tree.partitions()).toEqual([1]);
});

test("many writes are made ready in pieces, and are there all at once", async () => {
  const applier = new Applier(own.tree, () => undefined);
  const replica = new Replica(1, own.tree, applier);
  const key = (i: number) => Uint8Array.of(1, i >> 8, i & 255);
  const count = 1_000;
  for (let slot = 1; slot <= count; slot++) {
    // Each key is written twice: the first time goes no further than the log.
    const write = { op: "put", key: key(slot % 500), bytes: Buffer.from(`${slot}`), itemSizeBytes: 1 } as const;
    replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: slot, writes: [write] }) });
  }
  applier.hurry();
  let turns = 0;
  let seen = 0;
  for (; seen === 0; turns++) {
    await turn();
    seen = [...own.tree.range(1, {})].length;
  }
  expect(seen).toBe(500);
  expect(turns).toBeGreaterThan(5);
  expect(own.tree.appliedThrough(1)).toBe(count);
  expect([...own.tree.range(1, {})].map(({ value }) => value.slot)).toEqual(
    Array.from({ length: 500 }, (_, i) => (i === 0 ? 1_000 : 500 + i)),
  );
  await applier.close();
});

test("a state that is switched to waits for a commit that is being made ready, which belongs to the one before", async () => {
  const applier = new Applier(own.tree, () => undefined);
  const replica = new Replica(1, own.tree, applier);
  for (let slot = 1; slot <= 256; slot++) replica.apply({ slot, command: put(slot % 256) });
  applier.hurry();
  while (replica.takenBytes === 0) await turn();
  await replica.takeOver({ slot: 1_000, timeMs: 1 });
  await applier.drain();
  expect(own.tree.applied(1).slot).toBe(1_000);
  expect([...own.tree.range(1, {})]).toEqual([]);
  expect([...replica.range({})]).toEqual([]);
  await applier.close();
});
