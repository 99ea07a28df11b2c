import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Digest,
  type IncrementalHash,
  type KeyRange,
  memoryReplica,
  RangeDigester,
  RunDigester,
  sha256,
} from "../src/index.js";
import { bytes, many, replica } from "./support/sources.js";

/** The two forms of digests: over everything that is read, and of runs, that can be kept. */
const forms = [
  { form: "a digest of a range", version: 4, Digester: RangeDigester },
  { form: "a digest that can be kept", version: 3, Digester: RunDigester },
];

const digestOf = (
  entries: readonly (readonly [string, string])[],
  digester: RangeDigester | RunDigester = new RangeDigester(sha256),
): Digest => {
  for (const [key, value] of entries) digester.add(bytes(key), bytes(value));
  return digester.finish();
};

function packedEntry(key: Uint8Array, value: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(key.length, 0);
  header.writeUInt32LE(value.length, 4);
  return Buffer.concat([header, key, value]);
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

/** As the drawing says: everything at once. */
function flatHash(entries: readonly (readonly [Uint8Array, Uint8Array])[]): string {
  const hash = createHash("sha256");
  for (const [key, value] of entries) hash.update(packedEntry(key, value));
  return entries.length === 0 ? "00".repeat(32) : hash.digest("hex");
}

const contents = (sizeMax: number) =>
  fc
    .uniqueArray(fc.tuple(fc.uint8Array({ maxLength: 9 }), fc.nat({ max: sizeMax }), fc.boolean()), {
      selector: ([key]) => hex(key),
      maxLength: 60,
    })
    .map((list) => list.sort(([x], [y]) => Buffer.compare(x, y)));

describe.each(forms)("$form", ({ version, Digester }) => {
  const make = () => new Digester(sha256);

  it("of this version is pinned: replicas of one version compare it, and others are told apart", () => {
    expect(digestOf([], make()).version).toBe(version);
    expect(hex(digestOf([], make()).hash)).toBe("00".repeat(32));
    expect(digestOf([["key", "value"]], make())).toMatchObject({ keys: 1, bytes: 8 });
    const one = createHash("sha256").update("\x03\0\0\0\x05\0\0\0keyvalue").digest("hex");
    expect(hex(digestOf([["key", "value"]], make()).hash)).toBe(one);
    expect(hex(digestOf(Object.entries(many(1000)), make()).hash)).toBe(
      {
        3: "e81d92fcdb61a48eb0cb1a5eaca8d848a5fe8b646f28d294bb08a932c91d58f4",
        4: "99f668cc2ba86f939970f9b003dd9a3bcdcfec3860c846fcc034a5bb5bc96966",
      }[version],
    );
  });

  it("changes with any entry", () => {
    const entry = fc.tuple(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }));
    const sorted = fc
      .uniqueArray(entry, { selector: ([key]) => key, maxLength: 30 })
      .map((list) => list.sort(([x], [y]) => Buffer.compare(bytes(x), bytes(y))));
    fc.assert(
      fc.property(sorted, sorted, (x, y) => {
        expect(hex(digestOf(x, make()).hash) === hex(digestOf(y, make()).hash)).toBe(
          JSON.stringify(x) === JSON.stringify(y),
        );
      }),
    );
  });

  it("refuses keys out of order or twice", () => {
    const pairs = [
      ["b", "a"],
      ["a", "a"],
      ["ab", "a"],
      ["a", ""],
    ];
    for (const keys of pairs)
      expect(() =>
        digestOf(
          keys.map((key) => [key, ""] as const),
          make(),
        ),
      ).toThrow(
        expect.objectContaining({ code: "ERR_SCRUBBER_ORDER", message: expect.stringMatching(/each key once/) }),
      );
  });

  it("is the same whether the hash can take all at once or not", () => {
    const entries = Object.entries(many(2000)).map(([key, value]) => [key, value.repeat(30)] as const);
    const plain = new Digester((): IncrementalHash => createHash("sha256"));
    expect(digestOf(entries, plain)).toEqual(digestOf(entries, make()));
  });

  it("is the same of entries in blocks, wherever those end, and mixed with others", () => {
    fc.assert(
      fc.property(contents(9_000), fc.boolean(), (list, mixed) => {
        const plain = make();
        const packed = make();
        addBoth(list, { plain, packed, mixed });
        expect(packed.finish()).toEqual(plain.finish());
      }),
    );
  });

  it("refuses a block that is cut off, and keys out of order in one or from one to the next", () => {
    const [a, b] = ["a", "b"].map((key) => packedEntry(bytes(key), bytes("value"))) as [Buffer, Buffer];
    const refused = (code: string, ...blocks: Uint8Array[]) => {
      const digester = make();
      expect(() => {
        for (const block of blocks) digester.addPacked(block);
      }).toThrow(expect.objectContaining({ code }));
    };
    refused("ERR_SCRUBBER_ORDER", Buffer.concat([b, a]));
    refused("ERR_SCRUBBER_ORDER", b, a);
    refused("ERR_SCRUBBER_ORDER", Buffer.concat([a, a]));
    for (let length = 1; length < a.length; length++) refused("ERR_SCRUBBER_ARGUMENT", b, a.subarray(0, length));
  });

  it("is the same however long the keys and values are", () => {
    for (const [keyBytes, valueBytes] of [
      [1, 200_000],
      [70_000, 3],
      [40_000, 70_000],
      [32_750, 200],
    ] as const) {
      const [key, value] = [Buffer.alloc(keyBytes, "k"), Buffer.alloc(valueBytes, "v")];
      const expected = flatHash([[key, value]]);
      const one = make();
      one.add(key, value);
      expect(hex(one.finish().hash)).toBe(expected);
      one.addPacked(packedEntry(key, value));
      expect(hex(one.finish().hash)).toBe(expected);
    }
  });
});

type Both = Pick<RunDigester, "add" | "addPacked">;

/** The same entries one by one to the one, and in blocks, some of them empty, to the other; with `mixed` those that are alone in theirs one by one as well. */
function addBoth(
  list: readonly (readonly [Uint8Array, number, boolean])[],
  { plain, packed, mixed = false }: { plain: Both; packed: Both; mixed?: boolean },
): void {
  let block: Uint8Array[] = [];
  for (const [key, length, ends] of list) {
    const value = Buffer.alloc(length, length);
    plain.add(key, value);
    block.push(packedEntry(key, value));
    if (!ends) continue;
    if (mixed && block.length === 1) packed.add(key, value);
    else packed.addPacked(Buffer.concat(block));
    block = [];
    if (length % 7 === 0) packed.addPacked(new Uint8Array(0));
  }
  packed.addPacked(Buffer.concat(block));
}

describe("the digest of a range", () => {
  it("is the hash of its entries one behind the other, whatever their sizes, and the digester is then as new", () => {
    const digester = new RangeDigester(sha256);
    fc.assert(
      fc.property(contents(20_000), (list) => {
        const entries = list.map(([key, length]) => [key, Buffer.alloc(length, length)] as const);
        for (const [key, value] of entries) digester.add(key, value);
        expect(hex(digester.finish().hash)).toBe(flatHash(entries));
      }),
    );
  });
});

describe("a digest that can be kept", () => {
  it("ends its runs at the same keys whether entries come one by one or in blocks", () => {
    fc.assert(
      fc.property(contents(9_000), (list) => {
        const plain = new RunDigester(sha256);
        const packed = new RunDigester(sha256);
        const [plainRuns, packedRuns]: [unknown[], unknown[]] = [[], []];
        plain.eachRun((end, sum) => plainRuns.push([hex(end), sum]));
        packed.eachRun((end, sum) => packedRuns.push([hex(end), sum]));
        addBoth(list, { plain, packed });
        expect(packedRuns).toEqual(plainRuns);
        expect(packed.finish()).toEqual(plain.finish());
      }),
    );
  });

  it("adds up from parts that are cut at the ends of runs", async () => {
    const filled = Object.entries(many(1000)).map(([key, value]) => [key, value.padEnd(100)]);
    const source = replica("a", Object.fromEntries(filled) as Record<string, string>);
    const snapshot = await source.snapshot(1);
    const digests = async (...ranges: KeyRange[]) => (await snapshot.digestsAsKept?.(ranges)) as readonly Digest[];
    const whole = (await digests({ from: bytes(""), to: undefined }))[0]?.hash as Uint8Array;
    let fitting = 0;
    for (let i = 1; i < 400; i++) {
      const at = bytes(String(i).padStart(8, "0"));
      const [left, right] = await digests({ from: bytes(""), to: at }, { from: at, to: undefined });
      const sum = new Uint8Array(32);
      const [l, r, s] = [left?.hash, right?.hash, sum].map(
        (hash) => new DataView((hash as Uint8Array).buffer, (hash as Uint8Array).byteOffset),
      );
      for (let lane = 0; lane < 32; lane += 4)
        s?.setUint32(lane, (l?.getUint32(lane, true) ?? 0) + (r?.getUint32(lane, true) ?? 0), true);
      if (hex(sum) === hex(whole)) fitting++;
    }
    // An entry of 116 bytes ends a run of 4 KiB once in 35.
    expect(fitting).toBeGreaterThan(1);
    expect(fitting).toBeLessThan(40);
  });
});

it("a memory replica counts its bytes through puts and deletes", () => {
  const { store } = memoryReplica("a");
  store.put(bytes("key"), bytes("value"));
  expect(store.bytes).toBe(8);
  store.put(bytes("key"), bytes("v"));
  expect(store.bytes).toBe(4);
  expect([store.delete(bytes("key")), store.delete(bytes("key")), store.bytes, store.size]).toEqual([
    true,
    false,
    0,
    0,
  ]);
});
