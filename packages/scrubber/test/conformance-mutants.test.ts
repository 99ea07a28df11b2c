import { describe, expect, it } from "vitest";
import { type Entry, memoryReplica, type ReplicaSnapshot, type ReplicaSource } from "../src/index.js";
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

describe("the conformance suite catches a source that", () => {
  it.each(Object.entries(mutants))("%s", async (_, mutate) => {
    let failed: string | undefined;
    for (const { name, run } of casesOf(mutate)) {
      await run().catch(() => {
        failed = name;
      });
      if (failed !== undefined) break;
    }
    expect(failed).toBeDefined();
  });

  it("and nothing in a source that is right", async () => {
    for (const { run } of casesOf((source) => source)) await run();
  });
});
