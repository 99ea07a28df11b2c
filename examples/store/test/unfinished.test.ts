import { Archiver, memoryObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { Unfinished } from "../src/control/unfinished.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { StoreError } from "../src/storage-node/errors.js";
import { commitMark, encodeLock, lockKey } from "../src/storage-node/lock.js";

const key = Buffer.from("00000001000161", "hex");
const bytes = Buffer.from('{"id":{"S":"a"}}');
const item: Write = { op: "put", key, bytes, itemSizeBytes: 3 };
const transaction = "11111111-2222-4333-8444-555555555555";
const lock = encodeLock({
  transaction,
  ledger: { partition: 7, key },
  outcome: { op: "put", bytes, itemSizeBytes: 3 },
});
const prepared: Write = { op: "put", key: lockKey(key), bytes: lock, itemSizeBytes: lock.length };
const released: Write = { op: "delete", key: lockKey(key) };
const source = { partition: 9, tableId: "t", hashFrom: 0, hashTo: 2 ** 32, members: ["a1"] };

test("what was archived while a partition went is looked at as well", async () => {
  const archive = memoryObjectStore();
  const archived = async (timeMs: number, writes: Write[]) => {
    const archiver = await Archiver.open({ store: archive, stream: "p9" });
    const data = encodeCommand({ kind: "writes", timeMs, writes });
    await archiver.archive([{ sequence: archiver.archivedThrough + 1, timeMs, data }]);
  };
  await archived(10, [prepared]);
  const unfinished = new Unfinished();
  unfinished.take(prepared);
  const call = async () => {
    // Split, archived to its end and let go of between the look at the archive and this.
    await archived(30, [commitMark(transaction, 15), item, released]);
    throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", "a1 has no partition 9");
  };
  const request = { archive, calls: { call }, source, untilMs: 20, signal: new AbortController().signal };
  const found: Write[] = [];
  for await (const write of unfinished.committed(request, "p9", 2)) found.push(write);
  expect(found.map((write) => ({ ...write, key: Buffer.from(write.key) }))).toMatchObject([{ op: "put", key }]);
});

test("of an entry that others share, what a transaction has committed by the moment is taken, and nothing else", async () => {
  const itemOf = (name: string) => Buffer.from(`000000010001${Buffer.from(name).toString("hex")}`, "hex");
  const put = (name: string): Write => ({ op: "put", key: itemOf(name), bytes, itemSizeBytes: 3 });
  const lockOf = (name: string, of: string): Write => {
    const outcome = { op: "put", bytes, itemSizeBytes: 3 } as const;
    const locked = encodeLock({ transaction: of, ledger: { partition: 7, key }, outcome });
    return { op: "put", key: lockKey(itemOf(name)), bytes: locked, itemSizeBytes: 0 };
  };
  const free = (name: string): Write => ({ op: "delete", key: lockKey(itemOf(name)) });
  const archive = memoryObjectStore();
  const archiver = await Archiver.open({ store: archive, stream: "p9" });
  const entries: [number, Write[]][] = [
    [20, []],
    [
      30,
      [
        ...[put("v"), commitMark("a", 15), put("a"), free("a")],
        ...[put("w"), free("b")],
        ...[commitMark("c", 20), put("c"), free("c"), { op: "delete", key: itemOf("C") } as const, free("C")],
        ...[put("x"), lockOf("a", "later")],
      ],
    ],
    [40, [commitMark("d", 21), put("d"), free("d"), put("y"), commitMark("a", 15), put("z"), free("e")]],
  ];
  await archiver.archive(
    entries.map(([timeMs, writes], i) => {
      return { sequence: i + 1, timeMs, data: encodeCommand({ kind: "writes", timeMs, writes }) };
    }),
  );
  const unfinished = new Unfinished();
  for (const [name, of] of [
    ["a", "a"],
    ["b", "b"],
    ["c", "c"],
    ["C", "c"],
    ["d", "d"],
    ["e", "e"],
    ["f", "f"],
  ] as const)
    unfinished.take(lockOf(name, of));
  // Finished by the moment.
  unfinished.take(free("f"));
  // Never finished: its table went.
  unfinished.take(lockOf("g", "g"));
  const call = async () => {
    throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", "a1 has no partition 9");
  };
  const request = { archive, calls: { call }, source, untilMs: 20, signal: new AbortController().signal };
  const found: string[] = [];
  for await (const { op, key } of unfinished.committed(request, "p9", 2))
    found.push(`${op} ${Buffer.from(key).subarray(6)}`);
  expect(found).toEqual(["put a", "put c", "delete C"]);
});
