import { describe, expect, it } from "vitest";
import {
  behind,
  type Entry,
  iterableReplica,
  memoryReplica,
  type ReferenceEntry,
  referenceFrom,
  sortedReplica,
} from "../src/index.js";
import { replicaSourceCases, type SourceUnderTest } from "../src/testing/index.js";

function suite(title: string, ...args: Parameters<typeof replicaSourceCases>): void {
  describe(title, () => {
    for (const { name, run } of replicaSourceCases(...args)) it(name, run);
  });
}

suite("memoryReplica", (entries): SourceUnderTest => {
  const source = memoryReplica("a", { position: 5 });
  for (const { key, value } of entries) source.store.put(key, value);
  return {
    source,
    at: 5,
    write: (key, value) => {
      if (value === undefined) source.store.delete(key);
      else source.store.put(key, value);
      return ++source.position;
    },
  };
});

suite("sortedReplica", (entries): SourceUnderTest => {
  const { store } = memoryReplica("held");
  for (const { key, value } of entries) store.put(key, value);
  let position = 1;
  const source = sortedReplica({
    name: "b",
    open: (at) => {
      if (at > position) throw behind("b", at, `it is at ${position}`);
      const view = store.view();
      return {
        entries: async function* ({ from, to }) {
          for (const entry of view.range(from, to)) yield entry;
        },
      };
    },
  });
  return {
    source,
    at: 1,
    write: (key, value) => {
      if (value === undefined) store.delete(key);
      else store.put(key, value);
      return ++position;
    },
  };
});

/** An entry of the log: the key's length, the key, and the value, where there is one. */
const put = (key: Uint8Array, value: Uint8Array | undefined): Uint8Array =>
  Buffer.concat([Buffer.of(key.length, value === undefined ? 0 : 1), key, value ?? Buffer.alloc(0)]);

suite("Reference", async (entries: readonly Entry[]): Promise<SourceUnderTest> => {
  const log = entries.map(({ key, value }, index): ReferenceEntry => ({ sequence: index + 1, data: put(key, value) }));
  const source = await referenceFrom(log, {
    apply: (store, { data }) => {
      const key = data.subarray(2, 2 + (data[0] as number));
      if (data[1] === 0) store.delete(key);
      else store.put(key, data.subarray(2 + key.length));
    },
  });
  return {
    source,
    at: source.position,
    write: async (key, value) => {
      await source.advance([{ sequence: source.position + 1, data: put(key, value) }]);
      return source.position;
    },
  };
});

it("an iterable source is read once as long as its window holds what is looked at again, and holds no more than that", async () => {
  const { store } = memoryReplica("held");
  for (let i = 0; i < 500; i++) store.put(Buffer.from(`key/${String(i).padStart(4, "0")}`), Buffer.alloc(100, i));
  const opened: Record<number, number> = {};
  for (const windowBytes of [2_000, 1_000_000]) {
    opened[windowBytes] = 0;
    const source = iterableReplica({
      name: "c",
      windowBytes,
      open: () => ({
        from: (from) => {
          opened[windowBytes] = (opened[windowBytes] ?? 0) + 1;
          return store.view().range(from, undefined);
        },
      }),
    });
    const snapshot = await source.snapshot(1);
    const all = { from: new Uint8Array(0), to: undefined };
    for (let looks = 0; looks < 3; looks++) await snapshot.digests([all]);
    await snapshot.close();
  }
  expect(opened).toEqual({ 2000: 3, 1000000: 1 });
});

/** A source that can only be read from its start, and one with a window that holds next to nothing. */
for (const windowBytes of [1, 3_000, undefined]) {
  suite(
    `iterableReplica, with a window of ${windowBytes ?? "8 MiB"}`,
    (entries): SourceUnderTest => {
      const { store } = memoryReplica("held");
      for (const { key, value } of entries) store.put(key, value);
      let position = 1;
      const source = iterableReplica({
        name: "c",
        ...(windowBytes === undefined ? {} : { windowBytes }),
        open: (at) => {
          if (at > position) throw behind("c", at, `it is at ${position}`);
          const view = store.view();
          return {
            from: async function* (from) {
              yield* view.range(windowBytes === 1 ? new Uint8Array(0) : from, undefined);
            },
          };
        },
      });
      return {
        source,
        at: 1,
        write: (key, value) => {
          if (value === undefined) store.delete(key);
          else store.put(key, value);
          return ++position;
        },
      };
    },
    { entriesMany: 100 },
  );
}
