import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import type { Item } from "../../src/api/model.js";
import type { StoreError } from "../../src/storage-node/errors.js";
import { cursorKey, maintainedKey, outboxKey, readU64 } from "../../src/storage-node/global-index-keys.js";
import { IndexUpkeep } from "../../src/storage-node/index-upkeep.js";
import { decodeOutboxRecord, encodeOutboxRecord, type Touched } from "../../src/storage-node/outbox-record.js";
import { indexBy, tableKey } from "../support/kept-index.js";

const plain = (touched: readonly Touched[]) =>
  touched.map(({ key, indexes }) => ({
    key: Buffer.from(key).toString("hex"),
    indexes: indexes.map(({ index, was }) => ({ index, was: was && Buffer.from(was).toString("hex") })),
  }));

describe("a record for global indexes, version 1,", () => {
  const golden = JSON.parse(
    readFileSync(new URL("../fixtures/outbox-record-v1.json", import.meta.url), "utf8"),
  ) as Record<string, string>;
  const bytes = Buffer.from(Object.values(golden).join(""), "hex");
  const touched: Touched[] = [
    { key: Buffer.from("abc"), indexes: [{ index: 1, was: Buffer.from("k1") }, { index: 7 }] },
    { key: Buffer.from("z"), indexes: [{ index: 258, was: Buffer.from([0xff]) }] },
  ];

  test("reads as it was written", () => {
    expect(plain(decodeOutboxRecord(bytes))).toEqual(plain(touched));
    expect(encodeOutboxRecord(touched).equals(bytes)).toBe(true);
  });

  test("of a newer version, cut off anywhere, or with a tail, is refused as such", () => {
    const code = (one: Uint8Array) => {
      try {
        decodeOutboxRecord(one);
      } catch (error) {
        return (error as StoreError).code;
      }
      return undefined;
    };
    for (let length = 0; length < bytes.length; length++)
      expect(code(bytes.subarray(0, length))).toBe("ERR_STORE_FORMAT");
    expect(code(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe("ERR_STORE_FORMAT");
    const newer = Buffer.from(bytes);
    newer[0] = 2;
    expect(() => decodeOutboxRecord(newer)).toThrow("format version 2; this program reads version 1");
  });

  test("is read back as it was", () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 40 });
    const index = fc.record({ index: fc.nat(), was: key }, { requiredKeys: ["index"] });
    const records = fc.array(fc.record({ key, indexes: fc.array(index, { maxLength: 20 }) }), { maxLength: 5 });
    fc.assert(
      fc.property(records, (record) => {
        expect(plain(decodeOutboxRecord(encodeOutboxRecord(record)))).toEqual(plain(record));
      }),
    );
  });
});

describe("a partition's part in global indexes", () => {
  const index = indexBy("group", "KEYS_ONLY");
  const empty = { range: () => [][Symbol.iterator](), get: () => undefined };
  const upkeepOf = (outboxMax?: number) => {
    const upkeep = new IndexUpkeep(empty as never, () => undefined, outboxMax === undefined ? {} : { outboxMax });
    upkeep.keep(index);
    return upkeep;
  };
  const put = (item: Item) => ({
    op: "put" as const,
    key: itemKey(tableKey, item).bytes,
    bytes: Buffer.from(JSON.stringify(item)),
    itemSizeBytes: 1,
  });
  const item = (id: string, group?: string, more?: string): Item => ({
    id: { S: id },
    ...(group !== undefined && { group: { S: group } }),
    ...(more !== undefined && { more: { S: more } }),
  });
  const nothing = () => undefined;

  test("records what changes an index, and nothing else", () => {
    const upkeep = upkeepOf();
    expect(upkeep.effects([put(item("a"))], nothing).writes).toEqual([]);
    const shown = put(item("a", "g"));
    const [record] = upkeep.effects([shown], nothing).writes;
    expect(record?.key).toEqual(outboxKey(1));
    // What the index does not show may change as it likes.
    expect(upkeep.effects([put(item("a", "g", "more"))], () => shown.bytes).writes).toEqual([]);
    const { writes, units } = upkeep.effects([put(item("a", "h"))], () => shown.bytes);
    expect(writes.map(({ key }) => key)).toEqual([outboxKey(2)]);
    expect(units).toEqual({ "by-group": 2 });
    const [moved] = decodeOutboxRecord((writes[0] as { bytes: Uint8Array }).bytes);
    expect(moved?.indexes[0]?.was).toBeDefined();
  });

  test("throttles what changes an index when too much waits to be told, and goes on when it was", () => {
    const upkeep = upkeepOf(2);
    for (const id of ["a", "b"]) expect(upkeep.effects([put(item(id, "g"))], nothing).writes).toHaveLength(1);
    expect(() => upkeep.effects([put(item("c", "g"))], nothing)).toThrow(
      "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded",
    );
    // A transaction that was decided can be refused no more; what no index shows need not be.
    expect(upkeep.effects([put(item("c", "g"))], nothing, { always: true }).writes).toHaveLength(1);
    expect(upkeep.effects([put(item("d"))], nothing).writes).toEqual([]);
    const told = upkeep.told([1, 2]);
    expect(told.slice(0, 2)).toEqual([
      { op: "delete", key: outboxKey(1) },
      { op: "delete", key: outboxKey(2) },
    ]);
    expect(told[2]?.key).toEqual(cursorKey());
    expect(readU64((told[2] as { bytes: Uint8Array }).bytes)).toBe(2);
    expect(upkeep.effects([put(item("e", "g"))], nothing).writes).toHaveLength(1);
    expect(upkeep.told([1, 2]), "told before").toEqual([]);
  });

  test("keeps an index once, which is filled when its last record is told, and no more when it is dropped", () => {
    const upkeep = upkeepOf();
    expect(upkeep.keep(index)).toEqual([]);
    const { key } = put(item("a", "g"));
    expect(upkeep.backfilled(1, [key], key).map((write) => write.key)).toEqual([outboxKey(1), maintainedKey(1)]);
    expect(upkeep.globals.get(1)?.backfill).toEqual({ after: Buffer.from(key).toString("hex") });
    expect(upkeep.backfilled(1, [], undefined).map((write) => write.key)).toEqual([maintainedKey(1)]);
    expect(upkeep.globals.get(1)?.backfill).toEqual({ throughSeq: 1 });
    expect(upkeep.drop(1)).toEqual([{ op: "delete", key: maintainedKey(1) }]);
    expect(upkeep.drop(1)).toEqual([]);
    expect(upkeep.backfilled(1, [key], undefined)).toEqual([]);
    expect(upkeep.effects([put(item("a", "g"))], nothing).writes).toEqual([]);
  });
});
