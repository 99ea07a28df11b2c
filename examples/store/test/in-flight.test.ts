import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { InFlight } from "../src/rpc/in-flight.js";
import { Overlay } from "../src/storage-node/overlay.js";
import { PendingWrites } from "../src/storage-node/pending-writes.js";

/** Forces collections: `--expose-gc` may be set while a program runs. */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;
const oldBytes = () =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === "old_space")?.space_used_size ?? 0;

/** Bytes among the old objects that were not there before: they stay until the whole heap is marked again. */
async function grownOld(work: () => void | Promise<void>): Promise<number> {
  collect();
  const before = oldBytes();
  await work();
  collect({ type: "minor" });
  return oldBytes() - before;
}

describe("what waits for an answer", () => {
  test("is found by its id until it is taken out, and nothing else is, however many come and go", () => {
    const under = new InFlight<{ readonly id: number; readonly name: string }>();
    const add = (name: string): number => {
      const id = under.next();
      under.add({ id, name });
      return id;
    };
    const patient = add("patient");
    for (let i = 0; i < 40; i++) {
      const ids = Array.from({ length: 100 }, (_, n) => add(`${i}/${n}`));
      expect(new Set([patient, ...ids]).size).toBe(101);
      expect(under.size).toBe(101);
      for (const [n, id] of ids.entries()) {
        expect(under.get(id)?.name).toBe(`${i}/${n}`);
        expect(under.take(id)?.name).toBe(`${i}/${n}`);
        expect(under.take(id)).toBeUndefined();
      }
    }
    expect(under.all().map(({ name }) => name)).toEqual(["patient"]);
    // Whoever is answered too late is nobody.
    expect(under.get(patient + 1)).toBeUndefined();
    expect(under.take(patient)?.name).toBe("patient");
    expect(under.size).toBe(0);
  });

  test("leaves nothing behind when it is answered", async () => {
    const under = new InFlight<{ readonly id: number; readonly held: readonly number[] }>();
    const ids: number[] = [];
    const grown = await grownOld(() => {
      for (let i = 0; i < 50_000; i++) {
        const id = under.next();
        under.add({ id, held: Array.from({ length: 20 }, () => i) });
        ids.push(id);
        if (ids.length > 20) under.take(ids.shift() as number);
      }
    });
    expect(grown).toBeLessThan(2_000_000);
  });
});

test("writes that are chosen leave nothing behind", async () => {
  const pending = new PendingWrites();
  const grown = await grownOld(async () => {
    for (let entry = 0; entry < 10_000; entry++) {
      const done = Promise.resolve();
      for (let i = 0; i < 20; i++) {
        const key = Buffer.from(`key ${entry} ${i}`);
        pending.add(key.toString(), { op: "put", key, itemSizeBytes: 1, bytes: Buffer.from("an item") }, done);
      }
      await done;
    }
  });
  expect([...pending.values()]).toEqual([]);
  expect(grown).toBeLessThan(4_000_000);
});

test("neither do applied ones that are in the B-tree", async () => {
  const overlay = new Overlay<{ readonly name: string; readonly held: readonly number[] }>();
  const grown = await grownOld(() => {
    for (let move = 0; move < 200; move++) {
      const entries = Array.from({ length: 500 }, (_, i) => ({
        name: `key ${move} ${i}`,
        held: Array.from({ length: 20 }, () => i),
      }));
      for (const entry of entries) overlay.set(entry);
      overlay.remove(entries);
    }
  });
  expect(grown).toBeLessThan(4_000_000);
});
