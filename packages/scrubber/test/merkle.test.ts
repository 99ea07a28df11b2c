import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Digest,
  type Entry,
  type KeyRange,
  MemoryStore,
  MerkleIndex,
  memoryReplica,
  RangeDigester,
  type ReplicaSnapshot,
  type ReplicaSource,
  RunDigester,
  Scrubber,
  sha256,
} from "../src/index.js";
import { bytes, text } from "./support/sources.js";

const ALL: KeyRange = { from: bytes(""), to: undefined };
const keyOf = (i: number) => bytes(`item/${String(i).padStart(8, "0")}`);
const item = (i: number, generation = 0) => Buffer.alloc(900, `item ${i} of generation ${generation} `);

/** The digests that reading it comes to, whatever it keeps. */
async function read(snapshot: ReplicaSnapshot, ranges: readonly KeyRange[]): Promise<Digest[]> {
  const digester = new RangeDigester(sha256);
  const digests: Digest[] = [];
  for (const range of ranges) {
    for await (const { key, value } of snapshot.entries(range)) digester.add(key, value);
    digests.push(digester.finish());
  }
  return digests;
}

/** Three replicas of items of 900 bytes, with the bytes that each of them hashes counted. */
function large(count: number) {
  const hashed = { bytes: 0 };
  const counting = Object.assign(
    () => {
      const hash = sha256();
      return {
        update: (data: Uint8Array) => {
          hashed.bytes += data.length;
          return hash.update(data);
        },
        digest: () => hash.digest(),
      };
    },
    {
      once: (data: Uint8Array) => {
        hashed.bytes += data.length;
        return sha256.once?.(data) as string;
      },
    },
  );
  const replicas = ["a", "b", "c"].map((name) => {
    const replica = memoryReplica(name, { position: 1, createHash: counting });
    for (let i = 0; i < count; i++) replica.store.put(keyOf(i), item(i));
    return replica;
  });
  const everywhere = (change: (replica: (typeof replicas)[number]) => void): void => {
    for (const replica of replicas) {
      change(replica);
      replica.position++;
    }
  };
  const scrubber = new Scrubber({ replicas, position: () => replicas[0]?.position ?? 0 });
  return { replicas, scrubber, hashed, everywhere };
}

describe("digests kept along with the writes", () => {
  it("agree in one exchange of a digest, over everything, and hash nothing that did not change", async () => {
    const { scrubber, hashed, everywhere } = large(4_000);
    expect(await scrubber.pass({ kept: true })).toMatchObject({ complete: true, exchanges: 3, keys: 4_000 });
    const first = hashed.bytes;
    expect(await scrubber.pass({ kept: true })).toMatchObject({ complete: true, exchanges: 3, keys: 4_000 });
    expect(hashed.bytes).toBe(first);
    everywhere(({ store }) => {
      for (let i = 0; i < 4; i++) store.put(keyOf(i * 977), item(i * 977, 1));
    });
    expect(await scrubber.pass({ kept: true })).toMatchObject({ complete: true, exchanges: 3, divergences: [] });
    // 0.1 % of the keys: of each, the run that it is in.
    expect(hashed.bytes - first).toBeLessThan(first / 50);
  });

  it("narrow a difference to its key in exchanges that grow with the logarithm of the keys", async () => {
    for (const [count, exchangesMax] of [
      [1_000, 3 * 4],
      [8_000, 3 * 5],
    ] as const) {
      const { replicas, scrubber, everywhere } = large(count);
      await scrubber.pass({ kept: true });
      everywhere(({ name, store }) => store.put(keyOf(700), item(700, name === "b" ? 2 : 1)));
      const report = await scrubber.pass({ kept: true });
      expect(report.divergences.map(({ key, replica, kind }) => `${text(key)} ${replica} ${kind}`)).toEqual([
        "item/00000700 b different",
      ]);
      expect(report.exchanges).toBeLessThanOrEqual(exchangesMax);
      expect(replicas.length).toBe(3);
    }
  });

  it("answer as streaming does, after any writes, in any order of looks", async () => {
    const key = fc.nat(40).map((i) => bytes(`k${i}`));
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ key, size: fc.constantFrom(0, 10, 300, 3000, 9000), mark: fc.nat(255) }) },
      { weight: 2, arbitrary: fc.record({ key }) },
      {
        weight: 2,
        arbitrary: fc.record({
          look: fc.tuple(key, fc.option(key, { nil: undefined })),
          later: fc.boolean(),
          close: fc.boolean(),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const replica = memoryReplica("a", { position: 1 });
        const looks: (() => Promise<void>)[] = [];
        for (const one of steps) {
          if ("look" in one) {
            const snapshot = await replica.snapshot(1);
            const [x, y] = one.look;
            const ranges: KeyRange[] = [ALL, { from: x, to: undefined }];
            if (y !== undefined && Buffer.compare(x, y) < 0) ranges.push({ from: x, to: y });
            const look = async (): Promise<void> => {
              expect(await snapshot.kept?.digests(ranges)).toEqual(await snapshot.digestsAsKept?.(ranges));
              expect(await snapshot.digests(ranges)).toEqual(await read(snapshot, ranges));
              if (one.close) await snapshot.close();
            };
            if (one.later) looks.push(look);
            else await look();
          } else if ("size" in one) replica.store.put(one.key, Buffer.alloc(one.size, one.mark));
          else replica.store.delete(one.key);
        }
        for (const look of looks) await look();
        const last = await replica.snapshot(1);
        expect(await last.kept?.digests([ALL])).toEqual(await last.digestsAsKept?.([ALL]));
      }),
      { numRuns: 200 },
    );
  });

  it("stay right while writes go on in the middle of looks, however these are closed", async () => {
    const key = fc.nat(30).map((i) => bytes(`k${i}`));
    const write = fc.record({ key, size: fc.constantFrom(0, 300, 3000, 9000), mark: fc.nat(255) });
    const step = fc.oneof(
      { weight: 6, arbitrary: write },
      { weight: 2, arbitrary: fc.record({ key }) },
      { weight: 3, arbitrary: fc.record({ look: key, close: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ turns: fc.nat(40) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const index = new MerkleIndex(sha256);
        const store = new MemoryStore(index);
        const looks: Promise<void>[] = [];
        const lookAt = async (from: Uint8Array, close: boolean): Promise<void> => {
          const view = store.view();
          const entries = async function* (range: KeyRange): AsyncGenerator<Entry> {
            for (const entry of view.range(range.from, range.to)) yield Promise.resolve(entry);
          };
          const digester = new RunDigester(sha256);
          const expected = [ALL, { from, to: undefined }].map((range) => {
            for (const entry of view.range(range.from, range.to)) digester.add(entry.key, entry.value);
            return digester.finish();
          });
          const kept = index.view({ entries });
          const digests = kept.digests([ALL, { from, to: undefined }]);
          // What is under way is brought to its end first.
          const closed = close ? kept.close() : undefined;
          expect(await digests).toEqual(expected);
          await closed;
          if (close) view.close();
          if (close) await expect(kept.digests([ALL])).rejects.toMatchObject({ code: "ERR_SCRUBBER_CLOSED" });
        };
        for (const one of steps) {
          if ("turns" in one) for (let turn = 0; turn < one.turns; turn++) await Promise.resolve();
          else if ("look" in one) looks.push(lookAt(one.look, one.close));
          else if ("size" in one) store.put(one.key, Buffer.alloc(one.size, one.mark));
          else store.delete(one.key);
        }
        await Promise.all([...looks, lookAt(bytes(""), true)]);
        await lookAt(bytes("k"), true);
      }),
      { numRuns: 100 },
    );
  });

  it("tell what lies there from what was written", async () => {
    const index = new MerkleIndex(sha256);
    const held = new Map(Array.from({ length: 500 }, (_, i) => [i, item(i)] as const));
    const entries = ({ from, to }: KeyRange): Entry[] =>
      [...held]
        .map(([i, value]) => ({ key: keyOf(i), value }))
        .filter(({ key }) => Buffer.compare(key, from) >= 0 && (to === undefined || Buffer.compare(key, to) < 0));
    const before = index.view({ entries });
    expect(await before.intact(ALL)).toBeUndefined();
    const [kept] = await before.digests([ALL]);
    (held.get(250) as Buffer).writeUInt8(7, 100);
    const view = index.view({ entries });
    const digester = new RunDigester(sha256);
    for (const { key, value } of entries(ALL)) digester.add(key, value);
    expect(await view.digests([ALL])).toEqual([kept]);
    expect(digester.finish()).not.toEqual(kept);
    const at = (i: number): KeyRange => ({ from: keyOf(i), to: keyOf(i + 1) });
    expect(await view.intact(at(250))).toBe(false);
    expect(await view.intact(at(50))).toBe(true);
    index.touch(keyOf(50));
    expect(await index.view({ entries }).intact(at(50))).toBeUndefined();
  });

  it("can be brought up to date between passes, by reading what was written to alone", async () => {
    const index = new MerkleIndex(sha256);
    const { store } = memoryReplica("held", { store: new MemoryStore(index) });
    for (let i = 0; i < 2_000; i++) store.put(keyOf(i), item(i));
    const options = () => {
      const view = store.view();
      return { entries: ({ from, to }: KeyRange) => view.range(from, to) };
    };
    expect(await index.settle(options())).toBe(store.bytes);
    expect(await index.settle(options())).toBe(0);
    store.put(keyOf(1_000), item(1_000, 1));
    store.delete(keyOf(1_500));
    const read = await index.settle(options());
    expect(read).toBeGreaterThan(900);
    expect(read).toBeLessThan(store.bytes / 10);
    const view = index.view(options());
    const digester = new RunDigester(sha256);
    for (const { key, value } of store.sorted()) digester.add(key, value);
    expect(await view.digests([ALL])).toEqual([digester.finish()]);
    expect(view.bytesRead).toBe(0);
  });

  it("lose one run to a write at its end, two where that ends none any more, and what cannot be read is asked for again", async () => {
    const index = new MerkleIndex(sha256);
    const store = new MemoryStore(index);
    for (let i = 0; i < 150; i++) store.put(keyOf(i), item(i));
    let fails = false;
    const entries = ({ from, to }: KeyRange): Iterable<Entry> => {
      if (fails) throw new Error("cannot be read");
      return store.view().range(from, to);
    };
    await index.settle({ entries });
    const runsOf = (): { end: string; bytes: number }[] => {
      const runs: { end: string; bytes: number }[] = [];
      const digester = new RunDigester(sha256);
      digester.eachRun((end, sum) => runs.push({ end: Buffer.from(end).toString(), bytes: sum.bytes }));
      for (const { key, value } of store.sorted()) digester.add(key, value);
      digester.finishSum();
      return runs;
    };
    const agree = async (): Promise<void> => {
      const digester = new RunDigester(sha256);
      for (const { key, value } of store.sorted()) digester.add(key, value);
      expect(await index.view({ entries }).digests([ALL])).toEqual([digester.finish()]);
    };
    for (let run = 0; run + 2 < runsOf().length; run += 3) {
      const { end, bytes: held } = runsOf()[run] as { end: string; bytes: number };
      store.put(bytes(end), item(run, 1));
      expect(await index.settle({ entries })).toBe(held);
      await agree();
      store.delete(bytes(end));
      fails = true;
      await expect(index.settle({ entries })).rejects.toThrow("cannot be read");
      fails = false;
      const joined = runsOf().find((one) => Buffer.compare(bytes(one.end), bytes(end)) > 0);
      const read = await index.settle({ entries });
      expect(read).toBeGreaterThanOrEqual(joined?.bytes ?? 0);
      expect(read).toBeLessThanOrEqual((joined?.bytes ?? 0) + held);
      await agree();
      expect(await index.settle({ entries })).toBe(0);
    }
  });

  it("are compared with what a source that keeps none comes to by reading, in the same form; where one knows no such form, all are read", async () => {
    const { replicas, everywhere } = large(500);
    const read = { kept: 0, other: 0 };
    const watched = (source: ReplicaSource, over: (snapshot: ReplicaSnapshot) => Partial<ReplicaSnapshot>) => ({
      name: source.name,
      snapshot: async (at: number) => {
        const snapshot = await source.snapshot(at);
        return { ...snapshot, ...over(snapshot) };
      },
    });
    const keeps = replicas.slice(0, 2).map((replica) =>
      watched(replica, (snapshot) => ({
        digests: (ranges) => {
          read.kept++;
          return snapshot.digests(ranges);
        },
      })),
    );
    const reads = (form: boolean) =>
      watched(replicas[2] as ReplicaSource, (snapshot) => ({
        kept: undefined,
        digestsAsKept: form ? snapshot.digestsAsKept : undefined,
        digests: (ranges) => {
          read.other++;
          return snapshot.digests(ranges);
        },
      }));
    for (const form of [true, false]) {
      const position = () => replicas[0]?.position ?? 0;
      const scrubber = new Scrubber({ replicas: keeps, reference: reads(form), position });
      const clean = await scrubber.pass({ kept: true });
      expect(clean).toMatchObject({ complete: true, absent: [], divergences: [], keys: 500 });
      everywhere(({ name, store }) => store.put(keyOf(300), item(300, name === "b" ? 2 : form ? 3 : 4)));
      const report = await scrubber.pass({ kept: true });
      expect(report.divergences.map(({ key, replica, kind }) => `${text(key)} ${replica} ${kind}`)).toEqual([
        "item/00000300 b different",
      ]);
      everywhere(({ store }) => store.put(keyOf(300), item(300)));
      expect(read.kept > 0).toBe(!form);
      expect(read.other > 0).toBe(!form);
    }
  });

  it("keep what a look learns while writes go on elsewhere: it is not read again", async () => {
    const index = new MerkleIndex(sha256);
    const store = new MemoryStore(index);
    for (let i = 0; i < 2_000; i++) store.put(keyOf(i), item(i));
    const view = () => {
      const held = store.view();
      return index.view({ entries: ({ from, to }) => held.range(from, to) });
    };
    await view().digests([ALL]);
    for (let i = 0; i < 2_000; i += 20) store.put(keyOf(i), item(i, 1));
    const first = view();
    store.put(keyOf(1), item(1, 2));
    await first.digests([ALL]);
    const second = view();
    await second.digests([ALL]);
    expect(first.bytesRead).toBeGreaterThan(store.bytes / 10);
    // The run that was written to, and its neighbour where it ends one.
    expect(second.bytesRead).toBeLessThan(first.bytesRead / 5);
  });

  it("are told of a write in steps that grow with the logarithm of the entries", async () => {
    /** How many bytes of the key are looked at: each comparison looks at most at all of them. */
    const looksOf = (index: MerkleIndex, key: Uint8Array): number => {
      let looks = 0;
      const watched = new Proxy(key, {
        get: (target, name) => {
          if (typeof name === "string" && /^\d+$/.test(name)) looks++;
          return Reflect.get(target, name, target) as unknown;
        },
      });
      index.touch(watched);
      return looks;
    };
    const looks: number[] = [];
    for (const count of [2_000, 64_000]) {
      const index = new MerkleIndex(sha256);
      const store = new MemoryStore(index);
      for (let i = 0; i < count; i++) store.put(keyOf(i), Buffer.alloc(1_000, i));
      await index.settle({ entries: ({ from, to }) => store.view().range(from, to) });
      const sample = Array.from({ length: 50 }, (_, i) => looksOf(index, keyOf(Math.floor((i * count) / 50))));
      looks.push(Math.max(...sample));
    }
    const [few = 0, many = 0] = looks;
    expect(few).toBeGreaterThan(0);
    // Thirty-two times as many.
    expect(many).toBeLessThan(few * 2);
  });

  it("a long first look pauses", async () => {
    const pauses: number[] = [];
    const replica = memoryReplica("a", { position: 1, pause: (size) => void pauses.push(size) });
    for (let i = 0; i < 5_000; i++) replica.store.put(keyOf(i), item(i));
    await (await replica.snapshot(1)).kept?.digests([ALL]);
    expect(pauses.length).toBe(4);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1024 * 1024);
  });
});
