import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Entry,
  type KeyRange,
  MerkleIndex,
  memoryReplica,
  RangeDigester,
  Scrubber,
  sha256,
} from "../src/index.js";
import { bytes, text } from "./support/sources.js";

const ALL: KeyRange = { from: bytes(""), to: undefined };
const keyOf = (i: number) => bytes(`item/${String(i).padStart(8, "0")}`);
const item = (i: number, generation = 0) => Buffer.alloc(900, `item ${i} of generation ${generation} `);

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
        arbitrary: fc.record({ look: fc.tuple(key, fc.option(key, { nil: undefined })), later: fc.boolean() }),
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
              expect(await snapshot.kept?.digests(ranges)).toEqual(await snapshot.digests(ranges));
            };
            if (one.later) looks.push(look);
            else await look();
          } else if ("size" in one) replica.store.put(one.key, Buffer.alloc(one.size, one.mark));
          else replica.store.delete(one.key);
        }
        for (const look of looks) await look();
        const last = await replica.snapshot(1);
        expect(await last.kept?.digests([ALL])).toEqual(await last.digests([ALL]));
      }),
      { numRuns: 200 },
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
    const digester = new RangeDigester(sha256);
    for (const { key, value } of entries(ALL)) digester.add(key, value);
    expect(await view.digests([ALL])).toEqual([kept]);
    expect(digester.finish()).not.toEqual(kept);
    const at = (i: number): KeyRange => ({ from: keyOf(i), to: keyOf(i + 1) });
    expect(await view.intact(at(250))).toBe(false);
    expect(await view.intact(at(50))).toBe(true);
    index.touch(keyOf(50));
    expect(await index.view({ entries }).intact(at(50))).toBeUndefined();
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
