import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { type ObjectStore, type PutOptions, sha256 } from "../archive/object-store.js";

export interface ConformanceCase {
  readonly name: string;
  /** Rejects with an AssertionError where the store does not keep the contract. */
  run(): Promise<void>;
}

export interface ObjectStoreCasesOptions {
  /** Size of the objects that count as large: choose it beyond the size from which your store uploads in parts. Default 20 MiB. */
  readonly largeBytes?: number;
  /** How many keys to list: choose it beyond a few of your store's pages. Default 1,050, a little over one page of S3. */
  readonly keysMany?: number;
  /** Another instance over the same objects, as after a restart. Without it, the case that needs one is left out. */
  readonly reopen?: (store: ObjectStore) => ObjectStore | Promise<ObjectStore>;
}

type Check = (store: ObjectStore) => Promise<void>;

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined) => (found === undefined ? undefined : new TextDecoder().decode(found));
const putBytes = (store: ObjectStore, key: string, data: Uint8Array, options: Partial<PutOptions> = {}) =>
  store.put(key, data, { sha256: sha256(data), ...options });
const put = (store: ObjectStore, key: string, content: string) => putBytes(store, key, bytes(content));
const create = (store: ObjectStore, key: string, content: string) =>
  putBytes(store, key, bytes(content), { createOnly: true });
const read = async (store: ObjectStore, key: string) => text(await store.get(key));

async function list(store: ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix, after === undefined ? {} : { after })) keys.push(key);
  return keys;
}

/** The same for each `mark`, different for different ones, and nothing that compresses to little. */
function large(size: number, mark: number): Uint8Array {
  const data = new Uint8Array(size);
  let state = mark + 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    data[at] = state >>> 24;
  }
  return data;
}

/** Without printing megabytes where they differ. */
function sameBytes(seen: Uint8Array | undefined, wanted: Uint8Array): void {
  strictEqual(seen?.length, wanted.length);
  strictEqual(sha256(seen ?? new Uint8Array()), sha256(wanted));
}

async function inChunks<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 20) await Promise.all(items.slice(at, at + 20).map(work));
}

/**
 * What every `ObjectStore` must do, as cases for any test runner: `for (const { name, run } of objectStoreCases(make)) test(name, run)`. `make` gives
 * an empty store each time.
 */
export function objectStoreCases(
  make: () => ObjectStore | Promise<ObjectStore>,
  options: ObjectStoreCasesOptions = {},
): ConformanceCase[] {
  const { largeBytes = 20 * 1024 * 1024, keysMany = 1_050, reopen } = options;
  const cases: Record<string, Check> = {
    ...storing(largeBytes),
    ...creating(largeBytes),
    ...listing(keysMany),
    ...naming,
    ...stopping(largeBytes),
  };
  if (reopen !== undefined) {
    cases["keeps what was put for whoever opens it next"] = async (store) => {
      await put(store, "a/k", "one");
      const again = await reopen(store);
      strictEqual(await read(again, "a/k"), "one");
      deepStrictEqual(await list(again, ""), ["a/k"]);
      await rejects(create(again, "a/k", "two"), { code: "ERR_ARCHIVE_EXISTS" });
    };
  }
  return Object.entries(cases).map(([name, check]) => ({ name, run: async () => check(await make()) }));
}

function storing(largeBytes: number): Record<string, Check> {
  return {
    "gives back what was put, to the byte": async (store) => {
      const every = Uint8Array.from({ length: 1024 }, (_, at) => at);
      await putBytes(store, "a/b/c.log", every);
      sameBytes(await store.get("a/b/c.log"), every);
    },
    "keeps an empty object, which is not the same as none": async (store) => {
      await create(store, "empty", "");
      strictEqual((await store.get("empty"))?.length, 0);
      deepStrictEqual(await list(store, ""), ["empty"]);
      await rejects(create(store, "empty", "x"), { code: "ERR_ARCHIVE_EXISTS" });
    },
    "keeps a large object": async (store) => {
      const data = large(largeBytes, 1);
      await putBytes(store, "large", data, { createOnly: true });
      sameBytes(await store.get("large"), data);
      await putBytes(store, "large", data.subarray(1));
      sameBytes(await store.get("large"), data.subarray(1));
    },
    "keeps a view of a larger buffer without what is around it": async (store) => {
      const whole = bytes("before|inside|after");
      await putBytes(store, "k", whole.subarray(7, 13));
      strictEqual(await read(store, "k"), "inside");
    },
    "knows nothing of what was not put": async (store) => {
      strictEqual(await store.get("a/b"), undefined);
      deepStrictEqual(await list(store, ""), []);
      await store.delete("a/b");
      await put(store, "a/bc", "one");
      strictEqual(await store.get("a/b"), undefined);
    },
    "replaces an object unless told to create it": async (store) => {
      await put(store, "k", "one, and a little more");
      await put(store, "k", "two");
      strictEqual(await read(store, "k"), "two");
      await putBytes(store, "k", bytes("three"), { createOnly: false });
      strictEqual(await read(store, "k"), "three");
    },
    "shows the old or the new object while one replaces the other, never a mixture": async (store) => {
      const versions = [large(200_000, 1), large(300_000, 2)] as const;
      const sums = versions.map(sha256);
      await putBytes(store, "k", versions[0]);
      for (let round = 0; round < 5; round++) {
        const writing = putBytes(store, "k", versions[(round + 1) % 2] as Uint8Array);
        const seen = await Promise.all([store.get("k"), store.get("k"), store.get("k")]);
        for (const found of seen) ok(sums.includes(sha256(found ?? new Uint8Array())), "a mixture was read");
        await writing;
      }
    },
    "stores nothing when the bytes are not the announced ones": async (store) => {
      const wrong = { sha256: sha256(bytes("two")) };
      await rejects(store.put("k", bytes("one"), wrong), { code: "ERR_ARCHIVE_CORRUPT" });
      await rejects(store.put("k", bytes("one"), { ...wrong, createOnly: true }), { code: "ERR_ARCHIVE_CORRUPT" });
      strictEqual(await store.get("k"), undefined);
      await put(store, "k", "before");
      await rejects(store.put("k", bytes("one"), wrong), { code: "ERR_ARCHIVE_CORRUPT" });
      strictEqual(await read(store, "k"), "before");
    },
    "does not share memory with its callers, also not a Buffer's": async (store) => {
      for (const mine of [bytes("one"), Buffer.from("one")]) {
        await putBytes(store, "k", mine);
        mine.fill(0);
        (await store.get("k"))?.fill(0);
        strictEqual(await read(store, "k"), "one");
      }
    },
    "forgets what was deleted, and does not mind being told twice": async (store) => {
      await put(store, "a/k", "one");
      await Promise.all([store.delete("a/k"), store.delete("a/k")]);
      await store.delete("a/k");
      strictEqual(await store.get("a/k"), undefined);
      deepStrictEqual(await list(store, "a/"), []);
      await create(store, "a/k", "again");
      strictEqual(await read(store, "a/k"), "again");
    },
  };
}

function creating(largeBytes: number): Record<string, Check> {
  const race = async (store: ObjectStore, key: string, contents: readonly Uint8Array[]) => {
    const results = await Promise.allSettled(contents.map((data) => putBytes(store, key, data, { createOnly: true })));
    const winners = contents.filter((_, n) => results[n]?.status === "fulfilled");
    for (const result of results) {
      if (result.status === "rejected") strictEqual((result.reason as { code?: unknown }).code, "ERR_ARCHIVE_EXISTS");
    }
    strictEqual(winners.length, 1, `${winners.length} of ${contents.length} were told that they created ${key}`);
    sameBytes(await store.get(key), winners[0] as Uint8Array);
  };
  return {
    "refuses to create what exists, and leaves it alone": async (store) => {
      await create(store, "k", "one");
      await rejects(create(store, "k", "two"), { code: "ERR_ARCHIVE_EXISTS", retryable: false });
      strictEqual(await read(store, "k"), "one");
    },
    "refuses to create the same again": async (store) => {
      await create(store, "k", "one");
      await rejects(create(store, "k", "one"), { code: "ERR_ARCHIVE_EXISTS" });
    },
    "lets one of twenty creators win, and its bytes stay": (store) =>
      race(
        store,
        "race",
        Array.from({ length: 20 }, (_, n) => bytes(`writer ${n}`)),
      ),
    "lets one of twenty creators win again, where something was deleted": async (store) => {
      await put(store, "race", "before");
      await store.delete("race");
      await race(
        store,
        "race",
        Array.from({ length: 20 }, (_, n) => bytes(`writer ${n}`)),
      );
    },
    "lets one creator of a large object win": (store) =>
      race(store, "race", [large(largeBytes, 1), large(largeBytes, 2), bytes("small")]),
  };
}

function listing(keysMany: number): Record<string, Check> {
  return {
    "lists keys in order, by prefix and behind a key": async (store) => {
      const keys = ["b/2", "a/1", "b/10", "b/1", "bb/1", "c", "b-1", "B", "~", "b/1.x/2"];
      for (const key of keys) await put(store, key, key);
      const sorted = [...keys].sort();
      deepStrictEqual(await list(store, ""), sorted);
      for (const prefix of ["b/", "b", "b/1", "bb/1", "x", "b/1.x/", "b/1.x/2/"]) {
        const wanted = sorted.filter((key) => key.startsWith(prefix));
        deepStrictEqual(await list(store, prefix), wanted, `prefix ${prefix}`);
        for (const after of ["b/1", "b/11", "a", "c", "zz", ""]) {
          const behind = wanted.filter((key) => key > after);
          deepStrictEqual(await list(store, prefix, after), behind, `prefix ${prefix}, after ${after}`);
        }
      }
    },
    "lists every one of many keys once, from anywhere": async (store) => {
      const keys = Array.from({ length: keysMany }, (_, n) => `many/${String(n).padStart(6, "0")}`);
      await inChunks(keys, (key) => put(store, key, ""));
      await put(store, "another", "");
      deepStrictEqual(await list(store, "many/"), keys);
      const middle = keysMany >> 1;
      deepStrictEqual(await list(store, "many/", keys[middle]), keys.slice(middle + 1));
      deepStrictEqual(await list(store, "many/", keys.at(-1)), []);
    },
    "can be listed in part": async (store) => {
      for (const key of ["a", "b", "c"]) await put(store, key, key);
      for await (const key of store.list("")) {
        strictEqual(key, "a");
        break;
      }
      deepStrictEqual(await list(store, ""), ["a", "b", "c"]);
    },
    "shows what is put while it lists at once or never, and nothing twice": async (store) => {
      for (let n = 0; n < 10; n++) await put(store, `k/${n}`, "");
      const seen: string[] = [];
      for await (const key of store.list("k/")) {
        seen.push(key);
        await put(store, `k/${key.slice(2, 3)}-more`, "");
      }
      deepStrictEqual(seen, [...new Set(seen)].sort());
      for (let n = 0; n < 10; n++) ok(seen.includes(`k/${n}`), `k/${n} was not listed`);
    },
  };
}

const naming: Record<string, Check> = {
  "keeps odd keys apart": async (store) => {
    const odd = [
      "a%2Fb",
      "a/b",
      "a%252Fb",
      "a+b",
      "a%20b",
      "a=b@c,d~e",
      "-",
      "_",
      "~",
      "%",
      "...".padStart(9, "x"),
      "K",
      "k",
      "0",
      "x".repeat(250),
      `${"deep/".repeat(100)}${"y".repeat(250)}`,
    ];
    for (const key of odd) await create(store, key, `I am ${key}`);
    for (const key of odd) strictEqual(await read(store, key), `I am ${key}`);
    deepStrictEqual(await list(store, ""), [...odd].sort());
    for (const key of odd) await store.delete(key);
    deepStrictEqual(await list(store, ""), []);
  },
  "refuses keys that would lead astray": async (store) => {
    const astray = ["", "/a", "a//b", "../a", "a/../b", "a/", "a\\b", "a\0b", ".hidden", "a/.b", "ü", "a b", "a?b"];
    for (const key of [...astray, "x".repeat(251), "long/".repeat(200)]) {
      const shown = JSON.stringify(key);
      await rejects(put(store, key, "x"), { code: "ERR_ARCHIVE_ARGUMENT" }, shown);
      await rejects(store.get(key), { code: "ERR_ARCHIVE_ARGUMENT" }, shown);
      await rejects(store.delete(key), { code: "ERR_ARCHIVE_ARGUMENT" }, shown);
    }
    deepStrictEqual(await list(store, ""), []);
  },
  "finds nothing under a prefix that would lead astray": async (store) => {
    await put(store, "a/b", "one");
    for (const prefix of ["../", "/", "a/../", "./", "a//"]) deepStrictEqual(await list(store, prefix), [], prefix);
  },
  "does not mix up a key and a folder": async (store) => {
    await put(store, "a/b", "below");
    strictEqual(await store.get("a"), undefined);
    strictEqual(await store.get("a/b/c"), undefined);
    await store.delete("a");
    await store.delete("a/b/c");
    strictEqual(await read(store, "a/b"), "below");
    for (const key of ["a", "a/b/c"]) {
      const result = await create(store, key, "apart").catch((error: unknown) => error as { code?: unknown });
      if (result === undefined) strictEqual(await read(store, key), "apart");
      else strictEqual(result.code, "ERR_ARCHIVE_ARGUMENT");
    }
    strictEqual(await read(store, "a/b"), "below");
  },
};

function stopping(largeBytes: number): Record<string, Check> {
  return {
    "does nothing when it was told to stop before": async (store) => {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const told = (error: unknown) => error === reason;
      await put(store, "kept", "one");
      await rejects(putBytes(store, "k", bytes("one"), { signal }), told);
      await rejects(putBytes(store, "k", bytes("one"), { signal, createOnly: true }), told);
      await rejects(store.get("kept", { signal }), told);
      await rejects(store.delete("kept", { signal }), told);
      await rejects(async () => {
        for await (const key of store.list("", { signal })) notStrictEqual(key, undefined);
      }, told);
      deepStrictEqual(await list(store, ""), ["kept"]);
    },
    "stops in the middle of a put with the reason given, and has stored all or nothing": async (store) => {
      const data = large(largeBytes, 3);
      for (const afterMs of [0, 1, 5, 20]) {
        const key = `stopped/${afterMs}`;
        const stop = new AbortController();
        const reason = new Error("enough");
        const timer = setTimeout(() => stop.abort(reason), afterMs);
        const result = await putBytes(store, key, data, { signal: stop.signal, createOnly: true }).then(
          () => undefined,
          (error: unknown) => error,
        );
        clearTimeout(timer);
        ok(result === undefined || result === reason, `rejected with ${String(result)}`);
        const stored = await store.get(key);
        if (stored !== undefined) sameBytes(stored, data);
        ok(stored !== undefined || result !== undefined, "resolved, and stored nothing");
      }
    },
    "stops in the middle of a list": async (store) => {
      for (let n = 0; n < 3; n++) await put(store, `k/${n}`, "");
      const stop = new AbortController();
      const reason = new Error("enough");
      const seen: string[] = [];
      await rejects(
        async () => {
          for await (const key of store.list("k/", { signal: stop.signal })) {
            seen.push(key);
            stop.abort(reason);
          }
        },
        (error) => error === reason,
      );
      deepStrictEqual(seen, ["k/0"]);
    },
  };
}
