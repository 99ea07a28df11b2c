import type { Group } from "@evenkeel/paxos";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import type { Item, KeySchema, LocalIndex } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { AtOnce } from "../src/storage-node/at-once.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { nameAt } from "../src/storage-node/ended-transaction.js";
import { StoreError } from "../src/storage-node/errors.js";
import { IndexUpkeep } from "../src/storage-node/index-upkeep.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";
import { FIRST_ITEM_KEY } from "../src/storage-node/own-keys.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Tally } from "../src/storage-node/tally.js";
import {
  collectionKey,
  decodeCollection,
  decodeTally,
  encodeCollection,
  encodeTally,
  TALLY_KEY,
  type TallyRecord,
} from "../src/storage-node/tally-record.js";
import { Writer } from "../src/storage-node/writer.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { SteeredGroup } from "./support/steered-group.js";

const newReplica = freshReplicas();
const keySchema: KeySchema = { partition: { name: "pk", type: "S" }, sort: { name: "sk", type: "S" } };
const byColor = (number: number, projection: LocalIndex["projection"]): LocalIndex => ({
  name: `by-color-${number}`,
  number,
  keySchema: { partition: [keySchema.partition], sort: [{ name: "color", type: "S" }] },
  projection,
});
const table = { keySchema, localIndexes: [byColor(1, { type: "ALL" }), byColor(2, { type: "KEYS_ONLY" })] };

const keyOf = (item: Item) => itemKey(keySchema, item).bytes;
const put = (item: Item): NodeWriteOp => ({
  kind: "put",
  json: Buffer.from(JSON.stringify(item)),
  itemSizeBytes: itemBytes(item),
  returnValues: "NONE",
});
const remove: NodeWriteOp = { kind: "delete", returnValues: "NONE" };

interface Leader {
  writer: Writer;
  atOnce: AtOnce;
}

function lead(group: SteeredGroup, replica: Replica, collectionBytesMax?: number): Leader {
  const tally = new Tally(replica, () => table, collectionBytesMax === undefined ? {} : { collectionBytesMax });
  const indexes = new IndexUpkeep(replica, () => table);
  const writer = new Writer(group as unknown as Group<number>, replica, indexes, tally);
  return { writer, atOnce: new AtOnce(writer, replica) };
}

/** By looking at every item. */
function counted(replica: Replica) {
  const sums = { items: 0, bytes: 0, locals: new Map<number, { items: number; bytes: number }>() };
  const collections = new Map<string, number>();
  for (const { key, value } of replica.range({ from: FIRST_ITEM_KEY })) {
    const item = JSON.parse(Buffer.from(value.json).toString()) as Item;
    sums.items++;
    let bytes = itemBytes(item);
    sums.bytes += bytes;
    if (item.color !== undefined) {
      const { pk, sk, color } = item as Record<string, Item[string]>;
      for (const [number, shown] of [
        [1, item],
        [2, { pk, sk, color } as Item],
      ] as const) {
        const local = sums.locals.get(number) ?? { items: 0, bytes: 0 };
        sums.locals.set(number, { items: local.items + 1, bytes: local.bytes + itemBytes(shown) });
        bytes += itemBytes(shown);
      }
    }
    const collection = collectionKey(key).toString("hex");
    collections.set(collection, (collections.get(collection) ?? 0) + bytes);
  }
  return { sums, collections };
}

function expectCounted(replica: Replica): void {
  const { sums, collections } = counted(replica);
  const stored = replica.get(TALLY_KEY);
  const { locals, ...tally } = stored ? decodeTally(stored.json) : { locals: new Map(), items: 0, bytes: 0 };
  expect(tally).toEqual({ items: sums.items, bytes: sums.bytes });
  expect(new Map([...locals].filter(([, { items }]) => items > 0))).toEqual(sums.locals);
  const from = Buffer.from("0000000000007a", "hex");
  const kept = [...replica.range({ from, to: Buffer.from("0000000000007b", "hex") })];
  expect(
    new Map(kept.map(({ key, value }) => [Buffer.from(key).toString("hex"), decodeCollection(value.json)])),
  ).toEqual(collections);
}

const anItem = fc
  .record({
    pk: fc.constantFrom("a", "b"),
    sk: fc.constantFrom("1", "2", "3", "4"),
    color: fc.option(fc.constantFrom("red", "blue"), { nil: undefined }),
    text: fc.nat(30),
  })
  .map(
    ({ pk, sk, color, text }): Item => ({
      pk: { S: pk },
      sk: { S: sk },
      ...(color !== undefined && { color: { S: color } }),
      text: { S: "x".repeat(text) },
    }),
  );
type Step =
  | { readonly kind: "put" | "delete"; readonly item: Item }
  | { readonly kind: "together"; readonly items: readonly Item[] }
  | { readonly kind: "choose" | "lose" | "count" };
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("put" as const, "delete" as const), item: anItem }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("together" as const),
      items: fc.uniqueArray(anItem, { minLength: 1, maxLength: 4, selector: ({ pk, sk }) => JSON.stringify([pk, sk]) }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("choose" as const, "lose" as const, "count" as const) }) },
);

test("what is counted with each write is what is there, whoever leads and whatever was lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anItem, { maxLength: 6 }), fc.array(aStep, { maxLength: 40 }), async (before, steps) => {
      const replica = newReplica();
      const group = new SteeredGroup(replica);
      // Written by a program that did not count.
      for (const item of before) {
        const writes = [
          {
            op: "put" as const,
            key: keyOf(item),
            bytes: Buffer.from(JSON.stringify(item)),
            itemSizeBytes: itemBytes(item),
          },
        ];
        group.submit(encodeCommand({ kind: "writes", timeMs: 1, writes }));
      }
      await group.choose();
      let leader = lead(group, replica);
      const ends: Promise<unknown>[] = [];
      const begin = (work: Promise<unknown>) => ends.push(work.catch(() => undefined));
      for (const [i, step] of steps.entries()) {
        if (step.kind === "put") begin(leader.writer.write(keyOf(step.item), put(step.item)));
        else if (step.kind === "delete") begin(leader.writer.write(keyOf(step.item), remove));
        else if (step.kind === "together") {
          const actions = step.items.map((item) => ({ key: keyOf(item), op: put(item) }));
          begin(leader.atOnce.transact({ transaction: nameAt(Date.now(), String(i)), actions }, false));
        } else if (step.kind === "count") begin(leader.writer.count());
        else if (step.kind === "choose") await group.choose();
        else {
          await group.loseLeadership();
          leader = lead(group, replica);
        }
      }
      await group.choose();
      await group.choose();
      let more = true;
      while (more) {
        const counting = leader.writer.count();
        await group.choose();
        more = await counting;
      }
      await Promise.all(ends);
      expectCounted(replica);
    }),
    { numRuns: 60 },
  );
});

test("thousands that were there before are counted in steps, while they are written", async () => {
  const replica = newReplica();
  const group = new SteeredGroup(replica);
  const item = (n: number, text = ""): Item => ({ pk: { S: `p${n % 7}` }, sk: { S: String(n) }, text: { S: text } });
  const writes = Array.from({ length: 1_300 }, (_, n) => ({
    op: "put" as const,
    key: keyOf(item(n)),
    bytes: Buffer.from(JSON.stringify(item(n))),
    itemSizeBytes: itemBytes(item(n)),
  }));
  group.submit(encodeCommand({ kind: "writes", timeMs: 1, writes }));
  await group.choose();
  const { writer } = lead(group, replica);
  let steps = 0;
  for (let more = true; more; steps++) {
    const ends = [0, 1, 2, 3].map((i) =>
      writer.write(keyOf(item(300 * i + steps)), i === 0 ? remove : put(item(300 * i + steps, "longer"))),
    );
    const counting = writer.count();
    ends.push(writer.write(keyOf(item(5_000 + steps)), put(item(5_000 + steps))));
    await group.choose();
    await group.choose();
    more = await counting;
    await Promise.all(ends);
  }
  expect(steps).toBe(3);
  expectCounted(replica);
});

test("a collection grows to the limit and no further, and shrinks also from beyond it", async () => {
  const replica = newReplica();
  const group = new SteeredGroup(replica);
  const item = (sk: string, text: number): Item => ({ pk: { S: "p" }, sk: { S: sk }, text: { S: "x".repeat(text) } });
  const chosen = async <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => undefined);
    await group.choose();
    return await promise;
  };
  const big = lead(group, replica).writer;
  expect(await chosen(big.write(keyOf(item("1", 500)), put(item("1", 500))))).toMatchObject({
    collectionBytes: itemBytes(item("1", 500)),
  });
  const { writer, atOnce } = lead(group, replica, 300);
  const tooLarge = { type: "ItemCollectionSizeLimitExceededException" };
  const write = (one: Item) => chosen(writer.write(keyOf(one), put(one)));
  await expect(write(item("2", 1))).rejects.toMatchObject(tooLarge);
  await expect(write(item("1", 501))).rejects.toMatchObject(tooLarge);
  const transaction = {
    transaction: nameAt(Date.now(), "t"),
    actions: [{ key: keyOf(item("2", 1)), op: put(item("2", 1)) }],
  };
  expect(await chosen(atOnce.transact(transaction, false))).toMatchObject({ refusals: [tooLarge] });
  await write(item("1", 400));
  await write(item("1", 10));
  // An entry of an index counts as well.
  await expect(write({ ...item("1", 130), color: { S: "red" } })).rejects.toMatchObject(tooLarge);
  await write(item("2", 1));
  await write({ pk: { S: "other" }, sk: { S: "1" }, text: { S: "x".repeat(200) } });
  expectCounted(replica);
});

describe("on disk, version 1:", () => {
  const tallies: [string, TallyRecord][] = [
    ["01010000000000000003000000000000ffff00", { items: 3, bytes: 65_535, locals: new Map() }],
    [
      "010000000000000000010000000000000002020100000000000000010000000000000003050000000000000000000000000000000000000001aa",
      {
        items: 1,
        bytes: 2,
        locals: new Map([
          [1, { items: 1, bytes: 3 }],
          [5, { items: 0, bytes: 0 }],
        ]),
        through: Uint8Array.of(0, 0, 0, 1, 0xaa),
      },
    ],
    ["0100000000000000000000000000000000000000", { items: 0, bytes: 0, locals: new Map(), through: Uint8Array.of(0) }],
  ];
  test.each(tallies)("%s", (hex, tally) => {
    expect(encodeTally(tally).toString("hex")).toBe(hex);
    expect(decodeTally(Buffer.from(hex, "hex"))).toEqual(tally);
  });

  test("what is of another version, or cut short, is told", () => {
    for (const bytes of [
      Buffer.from("02010000", "hex"),
      Buffer.alloc(0),
      encodeTally(tallies[0]?.[1] as TallyRecord).subarray(0, 18),
    ])
      expect(() => decodeTally(bytes)).toThrow(StoreError);
    for (const hex of ["", "0100", "020000000000000001"])
      expect(() => decodeCollection(Buffer.from(hex, "hex"))).toThrow(StoreError);
    expect(encodeCollection(258).toString("hex")).toBe("010000000000000102");
    expect(decodeCollection(encodeCollection(258))).toBe(258);
  });
});
