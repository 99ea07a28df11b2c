import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  beganAt,
  decodeEnded,
  ENDED_FROM,
  type EndedTransaction,
  encodeEnded,
  endedKey,
  endedSince,
  nameAt,
} from "../src/storage-node/ended-transaction.js";
import { StoreError } from "../src/storage-node/errors.js";
import {
  commitMark,
  decodeLock,
  encodeLock,
  LOCKS_FROM,
  LOCKS_TO,
  type Lock,
  lockedItem,
  lockKey,
  readCommitMark,
} from "../src/storage-node/lock.js";
import { FIRST_ITEM_KEY, isOwnKey } from "../src/storage-node/own-keys.js";
import { ledgerItem, ledgerRecord } from "../src/transactions/ledger-record.js";

/** Written once, not by this program, and never again. */
const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

const transaction = "11111111-2222-4333-8444-555555555555";
const ledger = { partition: 7, key: Buffer.from("0badcafe0006742f6f6e6365", "hex") };
const bytes = Buffer.from('{"pk":{"S":"p1"},"n":{"N":"-1.5"}}');

const golden: [string, Lock][] = [
  ["lock-put-v1.bin", { transaction, ledger, outcome: { op: "put", bytes, itemSizeBytes: 23 } }],
  ["lock-delete-v1.bin", { transaction, ledger, outcome: { op: "delete" } }],
  ["lock-none-v1.bin", { transaction, ledger, outcome: { op: "none" } }],
];

test.each(golden)("a prepared item, version 1: %s", (name, lock) => {
  expect(decodeLock(fixture(name))).toEqual(lock);
  expect(encodeLock(lock)).toEqual(fixture(name));
});

test.each(golden)("a prepared item cut short, or of another version, is told: %s", (name) => {
  const whole = fixture(name);
  const ends = name === "lock-put-v1.bin" ? whole.length - bytes.length : whole.length;
  for (let end = 0; end < ends; end++) expect(() => decodeLock(whole.subarray(0, end))).toThrow(StoreError);
  for (const version of [0, 2]) {
    const other = Buffer.from(whole);
    other[0] = version;
    expect(() => decodeLock(other)).toThrow(/format version/);
  }
});

test("the mark of a commit, version 1", () => {
  const mark = commitMark(transaction, 1_767_225_600_123);
  expect(mark).toMatchObject({ op: "put", bytes: fixture("commit-mark-v1.bin") });
  expect(readCommitMark(mark)).toEqual({ transaction, timeMs: 1_767_225_600_123 });
  expect(readCommitMark({ op: "delete", key: mark.key })).toBeUndefined();
  const newer = Buffer.from([2, ...fixture("commit-mark-v1.bin").subarray(1)]);
  expect(() => readCommitMark({ op: "put", key: mark.key, bytes: newer, itemSizeBytes: 0 })).toThrow(/format version/);
  expect(readCommitMark({ op: "put", key: lockKey(mark.key), bytes, itemSizeBytes: 0 })).toBeUndefined();
});

test("a record of the ledger, version 1", () => {
  const item = JSON.parse(fixture("ledger-record-v1.json").toString()) as Parameters<typeof ledgerRecord>[0];
  const record = {
    id: "t/once",
    transaction,
    state: "committed",
    fingerprint: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    atMs: 1_767_225_600_200,
    partitions: [3, 5],
    committedAtMs: 1_767_225_600_123,
    sizes: [23, 0],
  } as const;
  expect(ledgerRecord(item)).toEqual(record);
  expect(ledgerItem(record)).toEqual(item);
});

test("an attempt at once is a record without an outcome", () => {
  const record = {
    id: "t/once",
    transaction: "019b76daa87b-one",
    state: "at-once",
    fingerprint: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    atMs: 1_767_225_600_123,
    partitions: [3],
    committedAtMs: 0,
    sizes: [],
  } as const;
  expect(ledgerItem(record)).toMatchObject({ state: { S: "O" } });
  expect(ledgerItem(record)).not.toHaveProperty("table");
  for (const one of [record, { ...record, tableId: "of-all-its-items" }])
    expect(ledgerRecord(ledgerItem(one))).toEqual(one);
});

const ended: [string, EndedTransaction][] = [
  ["01010003000000170000000000064000", { done: true, weights: [23, 0, 409_600] }],
  ["01000000", { done: false, weights: [] }],
];

test.each(ended)("an ended transaction, version 1: %s", (hex, transaction) => {
  const bytes = Buffer.from(hex, "hex");
  expect(decodeEnded(bytes)).toEqual(transaction);
  expect(encodeEnded(transaction)).toEqual(bytes);
  for (let end = 0; end < bytes.length; end++) expect(() => decodeEnded(bytes.subarray(0, end))).toThrow(StoreError);
  for (const version of [0, 2])
    expect(() => decodeEnded(Buffer.from([version, ...bytes.subarray(1)]))).toThrow(/format version/);
  expect(() => decodeEnded(Buffer.from([1, 2, ...bytes.subarray(2)]))).toThrow(StoreError);
});

test("ended transactions stand in the order in which they were begun, where no item does", () => {
  const name = nameAt(1_767_225_600_123, "one");
  expect(name).toBe("019b76daa87b-one");
  expect(beganAt(name)).toBe(1_767_225_600_123);
  const keys = [ENDED_FROM, endedSince(1_767_225_600_123), endedKey(name), endedSince(1_767_225_600_124)];
  expect([...keys].sort(Buffer.compare)).toEqual(keys);
  expect(Buffer.compare(keys[3] as Uint8Array, FIRST_ITEM_KEY)).toBeLessThan(0);
  expect(endedKey(name).toString("hex")).toBe(`000000000000782f${Buffer.from(name).toString("hex")}`);
});

test("keys of prepared items lie together, and where no item does", () => {
  const items = ["000000000001", "7f00ff010002aaff", "ffffffff0800ff"].map((hex) => Buffer.from(hex, "hex"));
  for (const item of items) {
    const key = lockKey(item);
    expect(isOwnKey(key)).toBe(true);
    expect(isOwnKey(item)).toBe(false);
    expect(Buffer.compare(key, FIRST_ITEM_KEY)).toBeLessThan(0);
    expect(Buffer.compare(item, FIRST_ITEM_KEY)).toBeGreaterThanOrEqual(0);
    expect(Buffer.compare(key, LOCKS_FROM)).toBeGreaterThanOrEqual(0);
    expect(Buffer.compare(key, LOCKS_TO)).toBeLessThan(0);
    expect(lockedItem(key)).toEqual(item);
    expect(lockedItem(item)).toBeUndefined();
    expect(lockedItem(endedKey(item.toString("hex")))).toBeUndefined();
  }
});
