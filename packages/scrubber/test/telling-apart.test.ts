import { expect, it } from "vitest";
import { type Entry, type ReplicaSource, Scrubber, sortedReplica } from "../src/index.js";
import { bytes, many, replica, spoiled, text, trio } from "./support/sources.js";

it("a finding dates from between the last pass that saw nothing there and the first that saw it", async () => {
  const { b, c, scrubber, advance } = trio(many(300));
  await scrubber.pass();
  for (let i = 0; i < 4; i++) advance();
  c.store.delete(bytes("00000007"));
  const first = await scrubber.pass();
  expect(first.divergences).toMatchObject([{ replica: "c", since: { after: 1, by: 5 } }]);
  advance();
  b.store.put(bytes("00000009"), bytes("else"));
  const second = await scrubber.pass();
  expect(second.divergences.map(({ key, since }) => [text(key), since])).toEqual([
    ["00000007", { after: 1, by: 5 }],
    ["00000009", { after: 5, by: 6 }],
  ]);
});

it("a replica that was behind was not seen to agree; a finding that was repaired and comes back is a new one", async () => {
  const { c, scrubber, advance } = trio(many(50));
  const at = c.position;
  c.position = 0;
  await scrubber.pass();
  c.position = at;
  c.store.delete(bytes("00000007"));
  expect((await scrubber.pass()).divergences).toMatchObject([{ since: { after: undefined, by: 1 } }]);
  c.store.put(bytes("00000007"), bytes("value of 7"));
  advance();
  expect((await scrubber.pass()).divergences).toEqual([]);
  advance();
  c.store.delete(bytes("00000007"));
  expect((await scrubber.pass()).divergences).toMatchObject([{ since: { after: 2, by: 3 } }]);
});

it("what a pass had no look at is as it was: a replica that was behind meanwhile, a range past the bound on findings", async () => {
  const { a, b, c, scrubber, advance } = trio(many(300), undefined, { findingsMax: 20, stepBytes: 500 });
  const sinceOf = async (key: string) =>
    (await scrubber.pass()).divergences.find((one) => text(one.key) === key)?.since;
  await scrubber.pass();
  for (let i = 0; i < 4; i++) advance();
  c.store.delete(bytes("00000290"));
  expect(await sinceOf("00000290")).toEqual({ after: 1, by: 5 });

  advance();
  c.position = 0;
  expect(await scrubber.pass()).toMatchObject({ complete: true, divergences: [], absent: [{ replica: "c" }] });
  c.position = 6;
  advance();
  expect(await sinceOf("00000290"), "it was behind").toEqual({ after: 1, by: 5 });

  for (let i = 100; i < 200; i++) b.store.delete(bytes(String(i).padStart(8, "0")));
  a.store.delete(bytes("00000295"));
  advance();
  expect((await scrubber.pass()).unexamined.map(({ to }) => to)).toContain(undefined);
  for (let i = 100; i < 200; i++) b.store.put(bytes(String(i).padStart(8, "0")), bytes(`value of ${i}`));
  advance();
  const { divergences } = await scrubber.pass();
  expect(divergences.map(({ key, since }) => [text(key), since])).toEqual([
    ["00000290", { after: 1, by: 5 }],
    ["00000295", { after: 7, by: 9 }],
  ]);
});

it("a kept pass and the rest of an interrupted one vouch for what they looked at alone", async () => {
  const { a, b, c, scrubber, advance } = trio(many(300));
  const rot = (source: typeof a, key: string): void => {
    const value = source.store.get(bytes(key)) as Uint8Array;
    value[0] = (value[0] as number) ^ 1; // in memory, behind the store's back
  };
  const found = async (options: Parameters<Scrubber["pass"]>[0] = {}) => {
    advance();
    return (await scrubber.pass(options)).divergences.map(({ key, since }) => [text(key), since]);
  };
  expect(await found()).toEqual([]);
  rot(a, "00000010");
  expect(await found()).toEqual([["00000010", { after: 2, by: 3 }]]);
  rot(b, "00000020");
  expect(await found({ kept: true })).toEqual([]);
  c.store.delete(bytes("00000250"));
  expect(await found({ kept: true })).toEqual([["00000250", { after: 4, by: 5 }]]);
  expect(await found({ from: bytes("00000030") })).toEqual([["00000250", { after: 4, by: 5 }]]);
  expect(await found()).toEqual([
    ["00000010", { after: 2, by: 3 }],
    ["00000020", { after: 3, by: 7 }],
    ["00000250", { after: 4, by: 5 }],
  ]);
});

it("what cannot be read is the same as before, however it is cut out, also in the next process; and a new one when it comes back", async () => {
  let saved: string | undefined;
  const state = {
    load: async () => saved,
    save: async (text: string) => {
      saved = text;
    },
  };
  const { a, b, c, advance } = trio(many(300));
  let rotten = "";
  const failing = spoiled(c, (snapshot) => {
    const entries: typeof snapshot.entries = function* (range) {
      for (const entry of snapshot.entries(range) as Iterable<Entry>) {
        if (text(entry.key) === rotten) throw new Error("checksum of page 17 is wrong");
        yield entry;
      }
    };
    const digests: typeof snapshot.digests = async (ranges) => {
      for (const range of ranges) Array.from(entries(range) as Iterable<Entry>);
      return snapshot.digests(ranges);
    };
    return { entries, digests };
  });
  const pass = async () => {
    const scrubber = new Scrubber({ replicas: [a, b, failing], position: () => a.position, state });
    const { unreadable, divergences } = await scrubber.pass();
    return { divergences, unreadable: unreadable.map(({ range, since }) => ({ from: text(range.from), since })) };
  };
  await pass();
  c.store.put(bytes("00000200"), bytes("differs"));
  advance();
  await pass();
  rotten = "00000200";
  advance();
  const [first] = (await pass()).unreadable;
  expect(first?.since).toEqual({ after: 2, by: 3 });
  // More keys before it: what is narrowed to is another range around it.
  for (const { store } of [a, b, c])
    for (let i = 0; i < 400; i++) store.put(bytes(`00000199/${i}`), bytes("x".repeat(i % 50)));
  advance();
  const [second] = (await pass()).unreadable;
  expect(second?.from).not.toBe(first?.from);
  expect(second?.since).toEqual({ after: 2, by: 3 });
  rotten = "";
  advance();
  // What differs there did so before, and could not be looked at meanwhile.
  expect(await pass()).toMatchObject({ unreadable: [], divergences: [{ since: { after: 1, by: 2 } }] });
  rotten = "00000200";
  advance();
  expect((await pass()).unreadable).toMatchObject([{ since: { after: 5, by: 6 } }]);
});

it("what earlier processes have seen dates findings too, where it is kept; what was kept and has rotted is forgotten", async () => {
  const state = {
    text: undefined as string | undefined,
    load: async () => state.text,
    save: async (saved: string) => {
      state.text = saved;
    },
  };
  const { a, b, c, scrubber, advance } = trio(many(300), undefined, { state });
  const anew = () => new Scrubber({ replicas: [a, b, c], position: () => a.position, state });
  await scrubber.pass();
  for (let i = 0; i < 4; i++) advance();
  c.store.delete(bytes("00000007"));
  expect((await anew().pass()).divergences).toMatchObject([{ replica: "c", since: { after: 1, by: 5 } }]);
  advance();
  expect((await anew().pass()).divergences).toMatchObject([{ replica: "c", since: { after: 1, by: 5 } }]);
  expect(state.text).toBe(
    `{"version":1,"read":[{"replica":"a","at":6},{"replica":"b","at":6},{"replica":"c","at":6}],"kept":[],"open":[{"replica":"c","key":"3030303030303037","since":{"after":1,"by":5}}]}\n868488be\n`,
  );
  state.text = state.text?.replace('"by":5', '"by":4');
  expect((await anew().pass()).divergences).toMatchObject([{ since: { after: undefined, by: 6 } }]);
});

it("a checksum in the value tells rot from another value; where nothing can tell, nothing is said", async () => {
  const made = (name: string, verify: boolean): ReplicaSource => {
    const { store } = replica(name, many(100));
    if (name !== "a") store.put(bytes("00000050"), bytes(name === "b" ? "!rotten" : "other"));
    return sortedReplica({
      name,
      open: () => ({
        entries: ({ from, to }) => store.view().range(from, to),
        ...(verify ? { verify: ({ value }) => value[0] !== bytes("!")[0] } : {}),
      }),
    });
  };
  for (const verify of [true, false]) {
    const replicas = ["a", "b", "c"].map((name) => made(name, verify));
    const report = await new Scrubber({ replicas, reference: replica("r", many(100)), position: () => 1 }).pass();
    expect(report.divergences).toMatchObject([
      { replica: "b", where: "tree", cause: verify ? "rot" : "unknown" },
      { replica: "c", where: "tree", cause: verify ? "applied" : "unknown" },
    ]);
  }
});

it("an entry that is gone is rot only where what was written is remembered", async () => {
  const { a, b, scrubber, advance } = trio(many(200));
  await scrubber.pass();
  const before = a.store.get(bytes("00000100")) as Uint8Array;
  before[0] = (before[0] as number) ^ 1; // in memory, behind the store's back
  b.store.delete(bytes("00000101"));
  advance();
  expect((await scrubber.pass()).divergences).toMatchObject([
    { replica: "a", kind: "different", cause: "rot" },
    { replica: "b", kind: "missing", cause: "applied" },
  ]);
});
