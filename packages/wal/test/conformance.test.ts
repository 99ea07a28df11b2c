import { describe, expect, it } from "vitest";
import { ArchiveError, checkKey, checkPut, type ObjectStore } from "../src/archive/index.js";
import { objectStoreCases } from "../src/testing/index.js";

/** One promise each that a store of somebody's may break, and by which the suite has to notice it. */
const mistakes = {
  "overwrites in spite of createOnly": "refuses to create what exists, and leaves it alone",
  "looks, then writes": "lets one of twenty creators win, and its bytes stay",
  "takes the same bytes for its own": "refuses to create the same again",
  "does not check the bytes": "stores nothing when the bytes are not the announced ones",
  "keeps the caller's memory": "does not share memory with its callers, also not a Buffer's",
  "gives away its own memory": "does not share memory with its callers, also not a Buffer's",
  "keeps the whole buffer of a view": "keeps a view of a larger buffer without what is around it",
  "takes an empty object for none": "keeps an empty object, which is not the same as none",
  "gives something for nothing": "knows nothing of what was not put",
  "never replaces": "replaces an object unless told to create it",
  "cuts large objects": "keeps a large object",
  "decodes as text": "gives back what was put, to the byte",
  "writes in two steps": "shows the old or the new object while one replaces the other, never a mixture",
  "minds deleting nothing": "forgets what was deleted, and does not mind being told twice",
  "only hides what was deleted": "forgets what was deleted, and does not mind being told twice",
  "lists in the order of writing": "lists keys in order, by prefix and behind a key",
  "takes a prefix for a folder": "lists keys in order, by prefix and behind a key",
  "lists from a key on instead of behind it": "lists keys in order, by prefix and behind a key",
  "lists one page": "lists every one of many keys once, from anywhere",
  "lists what is written meanwhile at the end": "shows what is put while it lists at once or never, and nothing twice",
  "decodes keys": "keeps odd keys apart",
  "does not tell upper from lower case": "keeps odd keys apart",
  "takes any key": "refuses keys that would lead astray",
  "deletes a folder": "does not mix up a key and a folder",
  "does not listen to signals": "does nothing when it was told to stop before",
  "leaves half when stopped": "stops in the middle of a put with the reason given, and has stored all or nothing",
  "says AbortError instead of the reason": "does nothing when it was told to stop before",
  "lists to the end whatever it is told": "stops in the middle of a list",
  "forgets all at a restart": "keeps what was put for whoever opens it next",
} as const;
type Mistake = keyof typeof mistakes;

/** Right, but for one mistake. */
function storeWith(
  mistake: Mistake | undefined,
  objects = new Map<string, Uint8Array>(),
): ObjectStore & { reopen(): ObjectStore } {
  const is = (candidate: Mistake) => candidate === mistake;
  const named = (key: string) => {
    if (is("decodes keys")) return decodeURIComponent(key.replace(/%(?![0-9A-F]{2})/g, "%25"));
    return is("does not tell upper from lower case") ? key.toLowerCase() : key;
  };
  const listen = (signal: AbortSignal | undefined) => {
    if (is("does not listen to signals")) return;
    if (is("says AbortError instead of the reason") && signal?.aborted) throw new DOMException("stopped", "AbortError");
    signal?.throwIfAborted();
  };
  const check = (key: string) => {
    if (!is("takes any key")) checkKey(key);
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const taken = (key: string) => new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key });
  return {
    async put(key, bytes, options) {
      listen(options.signal);
      check(key);
      if (!is("does not check the bytes")) checkPut(is("takes any key") ? "k" : key, bytes, options);
      const name = named(key);
      const old = objects.get(name);
      if (options.createOnly === true && old !== undefined && !is("overwrites in spite of createOnly")) {
        if (is("takes the same bytes for its own") && Buffer.compare(old, bytes) === 0) return;
        throw taken(key);
      }
      if (is("never replaces") && old !== undefined) return;
      if (is("looks, then writes")) await turn();
      if (is("keeps the whole buffer of a view")) bytes = new Uint8Array(bytes.buffer);
      if (is("cuts large objects")) bytes = bytes.subarray(0, 100_000);
      if (is("decodes as text")) bytes = Buffer.from(Buffer.from(bytes).toString());
      const half = new Uint8Array(bytes.subarray(0, bytes.length >> 1));
      if (is("writes in two steps") || is("leaves half when stopped")) {
        objects.set(name, half);
        const { signal } = options;
        for (let n = 0; n < 20 || (is("leaves half when stopped") && signal?.aborted === false); n++) await turn();
        listen(options.signal);
      }
      objects.set(name, is("keeps the caller's memory") ? bytes : new Uint8Array(bytes));
    },
    async get(key, options) {
      listen(options?.signal);
      check(key);
      const bytes = objects.get(named(key));
      if (bytes === undefined) return is("gives something for nothing") ? new Uint8Array() : undefined;
      if (bytes.length === 0 && is("takes an empty object for none")) return undefined;
      return is("gives away its own memory") ? bytes : new Uint8Array(bytes);
    },
    async *list(prefix, options) {
      listen(options?.signal);
      if (is("takes a prefix for a folder") && !prefix.endsWith("/"))
        prefix = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      const after = options?.after ?? "";
      let keys: Iterable<string> = is("lists what is written meanwhile at the end")
        ? objects.keys()
        : [...objects.keys()];
      if (!is("lists in the order of writing") && Array.isArray(keys)) keys = keys.sort();
      let count = 0;
      for (const key of keys) {
        const behind = is("lists from a key on instead of behind it") ? key >= after : key > after;
        if (!key.startsWith(prefix) || !behind) continue;
        if (is("lists one page") && ++count > 50) return;
        yield key;
        if (!is("lists to the end whatever it is told")) listen(options?.signal);
      }
    },
    async delete(key, options) {
      listen(options?.signal);
      check(key);
      const name = named(key);
      if (is("minds deleting nothing") && !objects.has(name)) throw new Error("ENOENT");
      if (is("deletes a folder")) for (const one of objects.keys()) if (one.startsWith(`${name}/`)) objects.delete(one);
      if (is("only hides what was deleted")) objects.set(name, new Uint8Array());
      else objects.delete(name);
    },
    reopen: () => storeWith(mistake, is("forgets all at a restart") ? new Map() : objects),
  };
}

const casesFor = (mistake: Mistake | undefined) =>
  objectStoreCases(() => storeWith(mistake), {
    largeBytes: 300_000,
    keysMany: 60,
    reopen: (store) => (store as ReturnType<typeof storeWith>).reopen(),
  });

describe("the conformance suite", () => {
  it("passes a store without a mistake", async () => {
    for (const { name, run } of casesFor(undefined)) await expect(run(), name).resolves.toBeUndefined();
  });

  for (const [mistake, noticed] of Object.entries(mistakes) as [Mistake, string][]) {
    it(`notices a store that ${mistake}`, async () => {
      const found = casesFor(mistake).find(({ name }) => name === noticed);
      await expect(found?.run()).rejects.toThrow();
    });
  }
});
