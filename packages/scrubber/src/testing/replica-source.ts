import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { compareBytes } from "../core/bytes.js";
import { type CreateHash, RangeDigester } from "../core/digest.js";
import { RunDigester } from "../core/run-digest.js";
import type { Digest, Entry, KeyRange, Position, ReplicaSnapshot, ReplicaSource } from "../core/source.js";
import { sha256 } from "../sha256.js";

export interface ConformanceCase {
  readonly name: string;
  /** Rejects with an AssertionError where the source does not keep the contract. */
  run(): Promise<void>;
}

export interface SourceUnderTest {
  readonly source: ReplicaSource;
  /** Where the source holds exactly the entries that it was made with. */
  readonly at: Position;
  /** Puts an entry, or deletes the key where the value is undefined; resolves with the position after it. Leave it out where nothing can be written. */
  write?(key: Uint8Array, value: Uint8Array | undefined): Promise<Position> | Position;
  close?(): Promise<void> | void;
}

export interface ReplicaSourceCasesOptions {
  /** The hash that the source uses. SHA-256 by default. */
  readonly createHash?: CreateHash;
  /** Whether the source knows positions and refuses one that it has not reached. True by default; a source that only knows "now" says false. */
  readonly positions?: boolean;
  /** Entries of the larger cases. 1,000 by default. */
  readonly entriesMany?: number;
  /** Keys that the source may hold. By default any bytes, the empty key among them; one that holds text alone says "text". */
  readonly keys?: "bytes" | "text";
}

type Make = (entries: readonly Entry[]) => SourceUnderTest | Promise<SourceUnderTest>;
type Check = (make: Make) => Promise<void>;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const entry = (key: string, value: string): Entry => ({ key: bytes(key), value: bytes(value) });
const ALL: KeyRange = { from: new Uint8Array(0), to: undefined };
const range = (from: string, to?: string): KeyRange => ({
  from: bytes(from),
  to: to === undefined ? undefined : bytes(to),
});

/** The same for each index, of many sizes, and some of them without a value. */
function manyEntries(count: number): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const length = (Math.imul(i + 7, 0x9e3779b1) >>> 24) * (i % 50 === 0 ? 20 : 1);
    const value = Uint8Array.from({ length }, (_, at) => Math.imul(i * 31 + at, 0x85ebca6b) >>> 24);
    return { key: bytes(`item/${String(i * 3).padStart(6, "0")}`), value };
  });
}

function within(entries: readonly Entry[], { from, to }: KeyRange): Entry[] {
  const found = entries.filter(
    ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
  );
  return found.sort((a, b) => compareBytes(a.key, b.key));
}

async function read(snapshot: ReplicaSnapshot, over: KeyRange): Promise<Entry[]> {
  const found: Entry[] = [];
  for await (const { key, value } of snapshot.entries(over))
    found.push({ key: Uint8Array.from(key), value: Uint8Array.from(value) });
  return found;
}

/** Readable where they differ. */
const shown = (entries: readonly Entry[]) =>
  entries.map(({ key, value }) => `${Buffer.from(key).toString("latin1")}=${Buffer.from(value).toString("base64")}`);

const plain = ({ version, hash, keys, bytes: size }: Digest) => ({
  version,
  hash: Buffer.from(hash).toString("hex"),
  keys,
  bytes: size,
});

/**
 * What every `ReplicaSource` must do, as cases for any test runner: `for (const { name, run } of replicaSourceCases(make)) test(name, run)`. `make` gives
 * a source that holds exactly these entries, which come in no order.
 */
export function replicaSourceCases(make: Make, options: ReplicaSourceCasesOptions = {}): ConformanceCase[] {
  const { createHash = sha256, positions = true, entriesMany = 1_000, keys = "bytes" } = options;
  const cases: Record<string, Check> = {
    ...reading(keys),
    ...digesting(createHash, entriesMany),
    ...cutting(entriesMany),
    ...moving(createHash, entriesMany),
    ...(positions ? refusing : {}),
  };
  return Object.entries(cases).map(([name, check]) => ({
    name,
    run: async () => {
      const made: SourceUnderTest[] = [];
      try {
        await check(async (entries) => {
          const one = await make(entries);
          made.push(one);
          return one;
        });
      } finally {
        for (const one of made) await one.close?.();
      }
    },
  }));
}

async function using(
  { source }: SourceUnderTest,
  at: Position,
  work: (snapshot: ReplicaSnapshot) => Promise<void>,
): Promise<void> {
  const snapshot = await source.snapshot(at);
  try {
    await work(snapshot);
  } finally {
    await snapshot.close();
  }
}

const odd: readonly Entry[] = [
  entry("b", "2"),
  entry("a", "1"),
  entry("a\u0000", ""),
  entry("ab", "3"),
  entry("~", "4"),
];
const oddBytes: readonly Entry[] = [
  { key: new Uint8Array(0), value: bytes("the empty key") },
  { key: Uint8Array.of(0xff, 0xff), value: bytes("the last") },
  { key: Uint8Array.of(0xc3, 0x28), value: bytes("no text") },
  { key: Uint8Array.of(0x00), value: Uint8Array.of(0x00) },
];

function reading(keys: "bytes" | "text"): Record<string, Check> {
  const contents = keys === "bytes" ? [...odd, ...oddBytes] : odd.filter(({ key }) => !key.includes(0));
  const ranges = [
    ALL,
    range("a"),
    range("a", "b"),
    range("a\u0000", "ab"),
    range("ab", "ab"),
    range("x", "y"),
    range("~~"),
  ];
  return {
    "has a name": async (make) => {
      const { source } = await make([]);
      ok(typeof source.name === "string" && source.name !== "", "the name is how findings call it");
    },
    "reads a range in order of its keys' bytes, its start included and its end not": async (make) => {
      const one = await make(contents);
      await using(one, one.at, async (snapshot) => {
        for (const over of ranges) deepStrictEqual(shown(await read(snapshot, over)), shown(within(contents, over)));
      });
    },
    "holds nothing when it holds nothing": async (make) => {
      const one = await make([]);
      await using(one, one.at, async (snapshot) => {
        deepStrictEqual(await read(snapshot, ALL), []);
        deepStrictEqual(await snapshot.splits(ALL, { bytes: 1, splitsMax: 10 }), []);
        const [digest] = await snapshot.digests([ALL]);
        deepStrictEqual(
          [digest?.keys, digest?.bytes, Buffer.from(digest?.hash ?? []).toString("hex")],
          [0, 0, "00".repeat(32)],
        );
      });
    },
    "lets a reader stop half-way, and begin again": async (make) => {
      const one = await make(contents);
      await using(one, one.at, async (snapshot) => {
        for (let times = 0; times < 3; times++) {
          for await (const { key } of snapshot.entries(ALL)) {
            strictEqual(compareBytes(key, within(contents, ALL)[0]?.key as Uint8Array), 0);
            break;
          }
        }
        strictEqual((await read(snapshot, ALL)).length, contents.length);
      });
    },
    "answers several questions at once": async (make) => {
      const one = await make(contents);
      await using(one, one.at, async (snapshot) => {
        const [digests, found, again] = await Promise.all([
          snapshot.digests(ranges),
          read(snapshot, ALL),
          snapshot.digests(ranges),
        ]);
        deepStrictEqual(digests.map(plain), again.map(plain));
        deepStrictEqual(shown(found), shown(within(contents, ALL)));
      });
    },
  };
}

function digesting(createHash: CreateHash, entriesMany: number): Record<string, Check> {
  return {
    "makes the digests that RangeDigester makes of its entries, one for each range, in order": async (make) => {
      const contents = [...odd, ...manyEntries(entriesMany)].filter(({ key }) => !key.includes(0));
      const one = await make(contents);
      await using(one, one.at, async (snapshot) => sameDigests(snapshot, contents, createHash));
    },
    "makes the same digests again, in another snapshot of the same position": async (make) => {
      const one = await make(manyEntries(entriesMany));
      const seen: unknown[] = [];
      for (let times = 0; times < 2; times++)
        await using(one, one.at, async (snapshot) => void seen.push((await snapshot.digests([ALL])).map(plain)));
      deepStrictEqual(seen[0], seen[1]);
    },
  };
}

/** Over everything, and over ranges that begin and end at entries, between them, and beyond. */
async function sameDigests(
  snapshot: ReplicaSnapshot,
  contents: readonly Entry[],
  createHash: CreateHash,
): Promise<void> {
  const sorted = within(contents, ALL);
  const ranges: KeyRange[] = [ALL];
  for (let i = 0; i < 10; i++) {
    const [x, y] = [Math.imul(i + 1, 0x9e3779b1) >>> 0, Math.imul(i + 1, 0x85ebca6b) >>> 0].map(
      (random) => sorted[random % Math.max(1, sorted.length)]?.key ?? bytes("m"),
    ) as [Uint8Array, Uint8Array];
    const [from, to] = compareBytes(x, y) < 0 ? [x, y] : [y, x];
    const between = Uint8Array.from([...to, 1]);
    ranges.push({ from, to }, { from, to: between }, { from: between, to: undefined }, { from: ALL.from, to });
  }
  const expected = (digester: RangeDigester | RunDigester) =>
    ranges.map((over) => {
      for (const { key, value } of within(sorted, over)) digester.add(key, value);
      return plain(digester.finish());
    });
  deepStrictEqual((await snapshot.digests(ranges)).map(plain), expected(new RangeDigester(createHash)));
  const asKept = expected(new RunDigester(createHash));
  if (snapshot.digestsAsKept !== undefined)
    deepStrictEqual((await snapshot.digestsAsKept(ranges)).map(plain), asKept, "what it makes for a kept pass");
  if (snapshot.kept === undefined) return;
  deepStrictEqual((await snapshot.kept.digests(ranges)).map(plain), asKept, "what it keeps along with its writes");
  for (const over of ranges.slice(0, 20)) strictEqual(await snapshot.kept.intact(over), true);
}

function cutting(entriesMany: number): Record<string, Check> {
  return {
    "cuts a range where it is asked to, into pieces of about the size asked for": async (make) => {
      const contents = manyEntries(entriesMany);
      const sizeOf = (entries: readonly Entry[]) =>
        entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
      const one = await make(contents);
      await using(one, one.at, async (snapshot) => {
        for (const over of [ALL, range("item/0001", "item/0040")]) {
          const wanted = Math.ceil(sizeOf(within(contents, over)) / 4);
          for (const cuts of [snapshot, ...(snapshot.kept === undefined ? [] : [snapshot.kept])]) {
            const splits = await cuts.splits(over, { bytes: wanted, splitsMax: 100 });
            ok(splits.length >= 1 && splits.length <= 6, `${splits.length} splits for four pieces`);
            const ends = [...splits, over.to];
            let { from } = over;
            for (const to of ends) {
              ok(
                compareBytes(from, over.from) >= 0 && (to === undefined || compareBytes(from, to) < 0),
                "splits ascend, inside the range",
              );
              const size = sizeOf(within(contents, { from, to }));
              ok(size <= wanted * 2 + 70_000, `a piece of ${size} bytes where ${wanted} were asked for`);
              from = to as Uint8Array;
            }
            strictEqual((await cuts.splits(over, { bytes: 1_000, splitsMax: 3 })).length, 3);
          }
        }
      });
    },
    "does not cut what is smaller than a piece": async (make) => {
      const one = await make(odd.filter(({ key }) => !key.includes(0)));
      await using(one, one.at, async (snapshot) =>
        deepStrictEqual(await snapshot.splits(ALL, { bytes: 1_000, splitsMax: 10 }), []),
      );
    },
  };
}

function moving(createHash: CreateHash, entriesMany: number): Record<string, Check> {
  return {
    "does not show in a snapshot what is written after it": async (make) => {
      const contents = manyEntries(200);
      const one = await make(contents);
      if (one.write === undefined) return;
      const { write } = one;
      await using(one, one.at, async (snapshot) => {
        await write(bytes("item/000003"), bytes("changed"));
        await write(bytes("item/000006"), undefined);
        await write(bytes("item/000007"), bytes("new"));
        await sameDigests(snapshot, contents, createHash);
        deepStrictEqual(shown(await read(snapshot, ALL)), shown(within(contents, ALL)));
      });
    },
    "shows all of it in the next one": async (make) => {
      const contents = new Map(manyEntries(entriesMany).map((one) => [Buffer.from(one.key).toString(), one]));
      const one = await make([...contents.values()]);
      if (one.write === undefined) return;
      let { at } = one;
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 25; i++) {
          const random = Math.imul(round * 25 + i + 1, 0x9e3779b1) >>> 0;
          const key = `item/${String(random % (entriesMany * 3)).padStart(6, "0")}`;
          const value = random % 3 === 0 ? undefined : bytes("x".repeat(random % 3000));
          at = await one.write(bytes(key), value);
          if (value === undefined) contents.delete(key);
          else contents.set(key, { key: bytes(key), value });
        }
        await using(one, at, async (snapshot) => sameDigests(snapshot, [...contents.values()], createHash));
      }
    },
  };
}

const refusing: Record<string, Check> = {
  "refuses a position that it has not reached with ERR_SCRUBBER_BEHIND": async (make) => {
    const one = await make(odd.filter(({ key }) => !key.includes(0)));
    await rejects(async () => one.source.snapshot(one.at + 1_000), { code: "ERR_SCRUBBER_BEHIND" });
  },
};
