import { describe, expect, it } from "vitest";
import {
  type Entry,
  memoryReplica,
  RangeDigester,
  type ReplicaSnapshot,
  type ReplicaSource,
  sha256,
  streamingSnapshot,
} from "../src/index.js";
import { replicaSourceCases } from "../src/testing/index.js";
import { spoiled } from "./support/sources.js";

const entriesOf = (snapshot: ReplicaSnapshot, ...args: Parameters<ReplicaSnapshot["entries"]>) => [
  ...(snapshot.entries(...args) as Iterable<Entry>),
];

/** Sources with one mistake each, such as somebody might make; the suite has to see it. */
const mutants: Record<string, (source: ReplicaSource) => ReplicaSource> = {
  "includes the end of a range": (source) =>
    spoiled(source, (snapshot) => ({
      entries: ({ from, to }) => entriesOf(snapshot, { from, to: to === undefined ? to : Uint8Array.from([...to, 0]) }),
    })),
  "leaves out the start of a range": (source) =>
    spoiled(source, (snapshot) => ({
      entries: ({ from, to }) =>
        entriesOf(snapshot, { from: from.length === 0 ? from : Uint8Array.from([...from, 0]), to }),
    })),
  "sorts by another collation": (source) =>
    spoiled(source, (snapshot) => ({ entries: (range) => entriesOf(snapshot, range).reverse() })),
  "leaves out empty values": (source) =>
    spoiled(source, (snapshot) => ({
      entries: (range) => entriesOf(snapshot, range).filter(({ value }) => value.length > 0),
    })),
  "answers for the ranges in another order": (source) =>
    spoiled(source, (snapshot) => ({
      digests: async (ranges) => [...(await snapshot.digests([...ranges].reverse()))],
    })),
  "digests the keys alone": (source) =>
    spoiled(source, (snapshot) => ({
      digests: async (ranges) =>
        (await snapshot.digests(ranges)).map((digest) => ({ ...digest, hash: new Uint8Array(32) })),
    })),
  "hashes nothing where there is nothing": (source) =>
    spoiled(source, (snapshot) => ({
      digests: async (ranges) =>
        (await snapshot.digests(ranges)).map((one) => (one.keys === 0 ? { ...one, hash: sha256().digest() } : one)),
    })),
  "digests otherwise the second time": (source) => {
    let times = 0;
    return spoiled(source, (snapshot) => ({
      digests: async (ranges) =>
        (await snapshot.digests(ranges)).map((one) => ({ ...one, hash: one.hash.map((byte) => byte ^ times++) })),
    }));
  },
  "mixes up what is asked at once": (source) =>
    spoiled(source, (snapshot) => {
      const digester = new RangeDigester(sha256);
      return {
        digests: async (ranges) => {
          const digests = [];
          for (const range of ranges) {
            for (const { key, value } of entriesOf(snapshot, range)) {
              await Promise.resolve();
              digester.add(key, value);
            }
            digests.push(digester.finish());
          }
          return digests;
        },
      };
    }),
  "can be read once": (source) =>
    spoiled(source, (snapshot) => {
      const once = entriesOf(snapshot, { from: new Uint8Array(0), to: undefined })[Symbol.iterator]();
      return { entries: () => once };
    }),
  "shows what is written after it": (source) => ({
    name: source.name,
    snapshot: async (at) => {
      await (await source.snapshot(at)).close();
      const { store } = source as ReturnType<typeof memoryReplica>;
      return streamingSnapshot({ entries: ({ from, to }) => store.view().range(from, to), createHash: sha256 });
    },
  }),
  "keeps digests in another form than it says": (source) =>
    spoiled(source, (snapshot) => ({
      kept: { ...(snapshot.kept as NonNullable<typeof snapshot.kept>), digests: snapshot.digests },
    })),
  "takes what it keeps for rotten": (source) =>
    spoiled(source, ({ kept }) =>
      kept === undefined
        ? {}
        : {
            kept: {
              digests: (ranges) => kept.digests(ranges),
              splits: (range, options) => kept.splits(range, options),
              intact: async () => false,
            },
          },
    ),
  "has no name": (source) => ({ name: "", snapshot: (at) => source.snapshot(at) }),
  "cuts at every key": (source) =>
    spoiled(source, (snapshot) => ({
      splits: async (range) =>
        entriesOf(snapshot, range)
          .slice(1)
          .map(({ key }) => key),
    })),
  "never cuts": (source) => spoiled(source, () => ({ splits: async () => [] })),
  "cuts at the start of the range": (source) =>
    spoiled(source, () => ({ splits: async ({ from }) => [from, from, from] })),
  "keeps digests that no write changes": (source) => {
    let first: ReplicaSnapshot["kept"];
    return {
      name: source.name,
      snapshot: async (at) => {
        const snapshot = await source.snapshot(at);
        first ??= snapshot.kept;
        return first === undefined ? snapshot : { ...snapshot, kept: first };
      },
    };
  },
  "answers at any position": (source) => ({
    name: source.name,
    snapshot: async () => source.snapshot((source as ReturnType<typeof memoryReplica>).position),
  }),
};

function casesOf(mutate: (source: ReplicaSource) => ReplicaSource) {
  return replicaSourceCases(
    (entries) => {
      const held = memoryReplica("a", { position: 1 });
      for (const { key, value } of entries) held.store.put(key, value);
      const source = mutate(held);
      return {
        source,
        at: 1,
        write: (key, value) => {
          if (value === undefined) held.store.delete(key);
          else held.store.put(key, value);
          return ++held.position;
        },
      };
    },
    { entriesMany: 200 },
  );
}

async function failedBy(mutate: (source: ReplicaSource) => ReplicaSource): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of casesOf(mutate)) await run().catch(() => failed.push(name));
  return failed;
}

describe("the conformance suite catches a source that", () => {
  it.each(Object.entries(mutants))("%s", async (_, mutate) => {
    expect(await failedBy(mutate)).not.toEqual([]);
  });

  it("and each of its cases catches one of these", async () => {
    const failed = new Set<string>();
    for (const mutate of Object.values(mutants)) for (const name of await failedBy(mutate)) failed.add(name);
    expect(casesOf((source) => source).filter(({ name }) => !failed.has(name))).toEqual([]);
  });

  it("and nothing in a source that is right", async () => {
    for (const { run } of casesOf((source) => source)) await run();
  });
});
