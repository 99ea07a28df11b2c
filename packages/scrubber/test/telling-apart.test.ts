import { expect, it } from "vitest";
import { type ReplicaSource, Scrubber, sortedReplica } from "../src/index.js";
import { bytes, many, replica, text, trio } from "./support/sources.js";

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
