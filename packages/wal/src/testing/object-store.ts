import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { type ObjectStore, sha256 } from "../archive/object-store.js";

export interface ConformanceCase {
  readonly name: string;
  /** Rejects with an AssertionError where the store does not keep the contract. */
  run(): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);

/**
 * What every `ObjectStore` must do, as cases for any test runner: `for (const { name, run } of objectStoreCases(make)) test(name, run)`. `make` gives
 * an empty store each time.
 */
export function objectStoreCases(make: () => ObjectStore | Promise<ObjectStore>): ConformanceCase[] {
  const put = (store: ObjectStore, key: string, text: string, createOnly?: boolean) =>
    store.put(key, bytes(text), { sha256: sha256(bytes(text)), ...(createOnly === undefined ? {} : { createOnly }) });
  const list = async (store: ObjectStore, prefix: string, after?: string) => {
    const keys: string[] = [];
    for await (const key of store.list(prefix, after === undefined ? {} : { after })) keys.push(key);
    return keys;
  };
  const read = async (store: ObjectStore, key: string) => {
    const found = await store.get(key);
    return found === undefined ? undefined : new TextDecoder().decode(found);
  };
  const cases: Record<string, (store: ObjectStore) => Promise<void>> = {
    "gives back what was put": async (store) => {
      await put(store, "a/b/c.log", "one");
      strictEqual(await read(store, "a/b/c.log"), "one");
      await put(store, "empty", "");
      strictEqual(await read(store, "empty"), "");
    },
    "knows nothing of what was not put": async (store) => {
      strictEqual(await store.get("a/b"), undefined);
      deepStrictEqual(await list(store, ""), []);
      await store.delete("a/b");
    },
    "replaces an object unless told to create it": async (store) => {
      await put(store, "k", "one");
      await put(store, "k", "two");
      strictEqual(await read(store, "k"), "two");
    },
    "refuses to create what exists, and leaves it alone": async (store) => {
      await put(store, "k", "one", true);
      await rejects(put(store, "k", "two", true), { code: "ERR_ARCHIVE_EXISTS" });
      await rejects(put(store, "k", "one", true), { code: "ERR_ARCHIVE_EXISTS" });
      strictEqual(await read(store, "k"), "one");
    },
    "lets one of many creators win, and its bytes stay": async (store) => {
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => put(store, "race", `writer ${n}`, true)),
      );
      const winners = results.flatMap((result, n) => (result.status === "fulfilled" ? [n] : []));
      strictEqual(winners.length, 1);
      strictEqual(await read(store, "race"), `writer ${winners[0]}`);
    },
    "stores nothing when the bytes are not the announced ones": async (store) => {
      await rejects(store.put("k", bytes("one"), { sha256: sha256(bytes("two")) }), { code: "ERR_ARCHIVE_CORRUPT" });
      strictEqual(await store.get("k"), undefined);
    },
    "does not share memory with its callers": async (store) => {
      const mine = bytes("one");
      await store.put("k", mine, { sha256: sha256(mine) });
      mine.fill(0);
      (await store.get("k"))?.fill(0);
      strictEqual(await read(store, "k"), "one");
    },
    "lists keys in order, by prefix and behind a key": async (store) => {
      for (const key of ["b/2", "a/1", "b/10", "b/1", "bb/1", "c"]) await put(store, key, key);
      deepStrictEqual(await list(store, ""), ["a/1", "b/1", "b/10", "b/2", "bb/1", "c"]);
      deepStrictEqual(await list(store, "b/"), ["b/1", "b/10", "b/2"]);
      deepStrictEqual(await list(store, "b"), ["b/1", "b/10", "b/2", "bb/1"]);
      deepStrictEqual(await list(store, "b/1", "b/1"), ["b/10"]);
    },
    "forgets what was deleted": async (store) => {
      await put(store, "a/k", "one");
      await store.delete("a/k");
      strictEqual(await store.get("a/k"), undefined);
      deepStrictEqual(await list(store, "a/"), []);
      await put(store, "a/k", "again", true);
      strictEqual(await read(store, "a/k"), "again");
    },
    "refuses keys that would lead astray": async (store) => {
      for (const key of ["", "/a", "a//b", "../a", "a/../b", "a/", "a\\b", "a\0b", ".hidden"]) {
        await rejects(put(store, key, "x"), { code: "ERR_ARCHIVE_ARGUMENT" }, JSON.stringify(key));
      }
    },
    "stops when told to": async (store) => {
      const signal = AbortSignal.abort(new Error("enough"));
      await rejects(store.put("k", bytes("one"), { sha256: sha256(bytes("one")), signal }), /enough/);
      strictEqual(await store.get("k"), undefined);
    },
  };
  return Object.entries(cases).map(([name, check]) => ({ name, run: async () => check(await make()) }));
}
