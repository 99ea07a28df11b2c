import { mkdtempSync, rmSync } from "node:fs";
import { open as openFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { open, type RootDatabase } from "lmdb";
import { afterEach, describe, expect, it } from "vitest";
import { type Entry, memoryReplica, Scrubber } from "../src/index.js";
import { type LmdbChange, type LmdbLike, LmdbReplica, type LmdbReplicaOptions } from "../src/lmdb/index.js";
import { replicaSourceCases } from "../src/testing/index.js";
import { bytes, text } from "./support/sources.js";

const made: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const undo of made.splice(0).reverse()) await undo();
});

function tree(): { db: RootDatabase<Buffer, Buffer>; path: string } {
  const dir = mkdtempSync(join(tmpdir(), "evenkeel-lmdb-"));
  const path = join(dir, "data.mdb");
  const db = open<Buffer, Buffer>({ path, keyEncoding: "binary", encoding: "binary" });
  made.push(async () => {
    await db.close();
    rmSync(dir, { recursive: true });
  });
  return { db, path };
}

function replicaIn(db: LmdbLike, options: Partial<LmdbReplicaOptions> = {}): LmdbReplica {
  const replica = new LmdbReplica({ name: "a", db, waitMs: 20, ...options });
  made.push(() => replica.close());
  return replica;
}

const put = (key: string, value: string): LmdbChange => ({ key: bytes(key), value: bytes(value) });
const contents = async (replica: LmdbReplica, at: number): Promise<[string, string][]> => {
  const snapshot = await replica.snapshot(at);
  const found: [string, string][] = [];
  for await (const { key, value } of snapshot.entries({ from: new Uint8Array(0), to: undefined }))
    found.push([text(key) as string, text(value) as string]);
  await snapshot.close();
  return found;
};

describe("what every source has to do, among others in one database", () => {
  const cases = replicaSourceCases(
    async (entries: readonly Entry[]) => {
      const { db } = tree();
      await db.put(Buffer.from("orders/6/\u0001x"), Buffer.from("another replica's"));
      await db.put(Buffer.from("orders/8/\u0001x"), Buffer.from("another replica's"));
      const source = replicaIn(db, { prefix: bytes("orders/7/") });
      await source.apply(1, entries);
      return {
        source,
        at: 1,
        write: async (key, value) => {
          await source.apply(source.applied + 1, [{ key, value }]);
          return source.applied;
        },
      };
    },
    { entriesMany: 300 },
  );
  for (const { name, run } of cases) it(name, run);
});

it("a marked position is seen exactly, by whoever asks for it later, however far the writes have gone on", async () => {
  const { db } = tree();
  const replica = replicaIn(db);
  for (let at = 1; at <= 300; at++) void replica.apply(at, [put("counter", `${at}`)], { mark: at % 100 === 0 });
  await replica.apply(301, [put("counter", "the last")]);
  for (const at of [200, 100, 300]) expect(await contents(replica, at)).toEqual([["counter", `${at}`]]);
  expect(await contents(replica, 301)).toEqual([["counter", "the last"]]);
  await expect(replica.snapshot(150)).rejects.toMatchObject({ code: "ERR_SCRUBBER_BEHIND" });
  expect(replica.stats()).toMatchObject({ position: 301, pendingBytes: 0, held: 4 });
});

it("a position that is asked for before it is applied is waited for, and seen exactly without a mark", async () => {
  const { db } = tree();
  const replica = replicaIn(db, { waitMs: 10_000 });
  const asked = [contents(replica, 7), contents(replica, 7), contents(replica, 9)];
  for (let at = 1; at <= 20; at++) void replica.apply(at, [put("counter", `${at}`)]);
  expect((await Promise.all(asked)).flat()).toEqual([
    ["counter", "7"],
    ["counter", "7"],
    ["counter", "9"],
  ]);
});

it("whatever is written and looked at in whatever order, each snapshot is the state of its position, and so are the digests kept along", async () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ key, value: fc.option(fc.string({ maxLength: 40 }), { nil: undefined }) }) },
    { weight: 1, arbitrary: fc.constant("look" as const) },
    { weight: 1, arbitrary: fc.constant("wait" as const) },
    { weight: 1, arbitrary: fc.constant("settle" as const) },
  );
  const { db } = tree();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const replica = new LmdbReplica({ name: "a", db, prefix: bytes(`run ${run++}/`), heldMax: 100 });
      const model = memoryReplica("model");
      const looks: Promise<void>[] = [];
      let last: Promise<void> = Promise.resolve();
      for (const one of steps) {
        if (one === "wait") await last;
        else if (one === "settle") await replica.settle().catch((error) => expect(error.code).toMatch("BEHIND"));
        else if (one === "look") {
          const at = replica.applied;
          model.position = at;
          const wanted = await model.snapshot(at);
          looks.push(
            replica.snapshot(at).then(async (snapshot) => {
              const all = [{ from: new Uint8Array(0), to: undefined }];
              expect(await snapshot.kept?.digests(all)).toEqual(await wanted.kept?.digests(all));
              expect(await snapshot.digests(all)).toEqual(await wanted.digests(all));
              await snapshot.close();
            }),
          );
        } else {
          const value = one.value === undefined ? undefined : bytes(one.value);
          // Held by its mark: the look may come when the tree has gone on.
          last = replica.apply(replica.applied + 1, [{ key: bytes(one.key), value }], { mark: true });
          if (value === undefined) model.store.delete(bytes(one.key));
          else model.store.put(bytes(one.key), value);
        }
      }
      await Promise.all(looks);
      await replica.close();
    }),
    { numRuns: 40 },
  );
});

it("goes on where the tree is after a restart, and refuses what it has applied already", async () => {
  const { db } = tree();
  const before = replicaIn(db);
  await before.apply(41, [put("x", "1")]);
  await before.apply(42, [put("y", "2")]);
  expect(await before.flushed()).toBe(42);
  await before.close();
  await expect(before.apply(43, [])).rejects.toMatchObject({ code: "ERR_SCRUBBER_CLOSED" });

  const after = replicaIn(db);
  expect(after.stats()).toMatchObject({ position: 42, durablePosition: 42 });
  expect(() => after.apply(42, [])).toThrow("position must be an integer of at least 43, got 42");
  expect(await contents(after, 42)).toEqual([
    ["x", "1"],
    ["y", "2"],
  ]);
  expect(String(after.get(bytes("x")))).toBe("1");
});

it("lets go of snapshots past its bound and its time, but not under a reader's hands", async () => {
  const { db } = tree();
  const bounded = replicaIn(db, { heldMax: 2 });
  for (let at = 1; at <= 4; at++) await bounded.apply(at, [put("x", `${at}`)], { mark: true });
  expect(bounded.stats().held).toBe(2);
  await expect(bounded.snapshot(2)).rejects.toMatchObject({ code: "ERR_SCRUBBER_BEHIND" });

  const replica = replicaIn(tree().db, { heldMax: 2, heldMs: 50 });
  await replica.apply(1, [put("x", "1")], { mark: true });
  const reading = await replica.snapshot(1);
  for (let at = 2; at <= 4; at++) await replica.apply(at, [put("x", `${at}`)], { mark: true });
  await expect.poll(() => replica.stats().held).toBe(0);
  const found: string[] = [];
  for await (const { value } of reading.entries({ from: new Uint8Array(0), to: undefined }))
    found.push(text(value) as string);
  expect(found).toEqual(["1"]);
  await reading.close();
  await reading.close();
});

it("a database that is closed under a reader is a snapshot that was lost, not one that cannot be read", async () => {
  const { db } = tree();
  const replica = replicaIn(db);
  const changes = Array.from({ length: 500 }, (_, i) => put(`key ${i}`, "x".repeat(100)));
  await replica.apply(1, changes, { mark: true });
  const snapshot = await replica.snapshot(1);
  await replica.close();
  await db.close();
  const all = async () => {
    for await (const entry of snapshot.entries({ from: new Uint8Array(0), to: undefined })) void entry;
  };
  await expect(all()).rejects.toMatchObject({ code: "ERR_SCRUBBER_BEHIND" });
  await snapshot.close();
});

it("rot in the file of one of three replicas is named, and told from a wrong write, without a checksum in the values", async () => {
  const all = ["a", "b", "c"].map((name) => {
    const { db, path } = tree();
    return { path, replica: replicaIn(db, { name }) };
  });
  let position = 0;
  const value = (i: number) => `the value of ${i}, which is long enough to be found in a file`;
  for (let i = 0; i < 500; i++) {
    position++;
    for (const { replica } of all) void replica.apply(position, [put(`key/${i}`, value(i))]);
  }
  for (const { replica } of all) await replica.flushed();
  const replicas = all.map(({ replica }) => replica);
  const scrubber = new Scrubber({ replicas, position: () => position });
  expect(await scrubber.pass()).toMatchObject({ complete: true, keys: 500, divergences: [] });

  const [, b, c] = all;
  const file = await readFile(b?.path as string);
  const handle = await openFile(b?.path as string, "r+");
  // In the page that is in use, and in older copies of it.
  for (let at = file.indexOf(value(123)); at >= 0; at = file.indexOf(value(123), at + 1))
    await handle.write(Buffer.from("T"), 0, 1, at);
  await handle.close();
  position++;
  for (const { replica } of all) void replica.apply(position, [put("key/7", replica === c?.replica ? "wrong" : "new")]);
  for (const { replica } of all) await replica.flushed();

  // Nobody has written to it: what is kept knows nothing of rot, and of the wrong write everything.
  const kept = await scrubber.pass({ kept: true });
  expect(kept.divergences.map(({ key }) => text(key))).toEqual(["key/7"]);
  expect((await scrubber.pass()).divergences).toMatchObject([
    { key: bytes("key/123"), replica: "b", kind: "different", cause: "rot" },
    { key: bytes("key/7"), replica: "c", kind: "different", cause: "applied" },
  ]);
});

it("after a commit that failed it takes and answers nothing more", async () => {
  const { db } = tree();
  let broken = false;
  const failing = new Proxy(db, {
    get(target, property) {
      if (property === "batch" && broken) return () => Promise.reject(new Error("no space left on device"));
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const replica = replicaIn(failing as LmdbLike);
  await replica.apply(1, [put("x", "1")]);
  broken = true;
  const failed = { code: "ERR_SCRUBBER_LMDB", cause: { message: "no space left on device" } };
  const both = [replica.apply(2, [put("x", "2")]), replica.apply(3, [])];
  for (const one of both) await expect(one).rejects.toMatchObject(failed);
  await expect(replica.snapshot(1)).rejects.toMatchObject(failed);
  await expect(replica.flushed()).rejects.toMatchObject(failed);
  broken = false;
  expect(replicaIn(db).stats().position).toBe(1);
});

it("says what is wrong with what it is given", async () => {
  const { db } = tree();
  const dir = mkdtempSync(join(tmpdir(), "evenkeel-lmdb-"));
  const other = open({ path: join(dir, "data.mdb") });
  made.push(async () => {
    await other.close();
    rmSync(dir, { recursive: true });
  });
  expect(() => new LmdbReplica({ name: "a", db: other as LmdbLike })).toThrow(
    'db.encoding must be "binary", got undefined',
  );
  const replica = replicaIn(db, { prefix: bytes("p") });
  expect(() => replica.apply(1, [{ key: new Uint8Array(1977) }])).toThrow(
    "key must be at most 1976 bytes long, got 1977",
  );
  expect(() => replica.apply(0, [])).toThrow("position must be an integer of at least 1, got 0");

  await db.put(Buffer.from("q\u0000"), Buffer.from("0100000012345678000000000000002a", "hex"));
  expect(() => replicaIn(db, { prefix: bytes("q") })).toThrow("the record of the applied position is damaged");
});

it("reads the record of a position as the first release wrote it", async () => {
  const { db } = tree();
  const replica = replicaIn(db);
  await replica.apply(42, []);
  const record = "01000000" + "be9916bf" + "000000000000002a";
  expect(db.get(Buffer.of(0))?.toString("hex")).toBe(record);
});
