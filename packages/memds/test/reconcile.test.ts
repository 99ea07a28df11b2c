import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { askRoot, reconcile, type SyncChannel } from "../src/core/sync-initiator.js";
import { SyncResponder } from "../src/core/sync-responder.js";
import { syncEdge } from "../src/digest.js";
import { type Change, type Entry, type RangeTree, sha256, RangeTree as Tree } from "../src/index.js";
import { bytes, entry } from "./helpers.js";

function session(remote: RangeTree, answerBytesMax = 1 << 20) {
  const responder = new SyncResponder({ version: 7, tree: remote }, { ...syncEdge, isReady: true, answerBytesMax });
  const counted = { bytes: 0, asked: [] as string[] };
  const channel: SyncChannel = {
    ask: async (what, payload) => {
      const sent = payload.slice();
      const answer = what === "root" ? responder.root() : responder[what](sent);
      counted.bytes += sent.length + answer.length;
      counted.asked.push(what);
      return answer.slice();
    },
  };
  return { channel, counted };
}

// The salt of the comparisons: for each test the same, whatever the ones before it have drawn.
let seed: number;
beforeEach(() => {
  seed = 1;
});
const edge = { ...syncEdge, random: () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) };

async function converge(own: RangeTree | undefined, remote: RangeTree, answerBytesMax?: number) {
  const { channel, counted } = session(remote, answerBytesMax);
  const root = await askRoot(channel);
  const tree = await reconcile(own, root, channel, edge);
  expect(tree.rootHash).toEqual(remote.rootHash);
  expect(tree.size).toBe(remote.size);
  return counted;
}

/** What one who knew would have to ship: new and changed entries, and the keys of those that are gone. */
function differingBytes(own: RangeTree, remote: RangeTree): number {
  return own.diff(remote).reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
}

const partitions = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => {
    const range = Math.floor(((i % 100) / 100) * 2 ** 32);
    const key = new Uint8Array(11);
    key.set(bytes(`t${String(Math.floor(i / 100)).padStart(5, "0")}/`));
    new DataView(key.buffer).setUint32(7, range);
    return { key, value: Uint8Array.of(i, i >> 8, i >> 16, i % 30, (i + 11) % 30, (i + 7) % 30) };
  });

describe("members that differ", () => {
  it("become equal, whatever each holds", async () => {
    const key = fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc.nat(300).map((n) => bytes(`k${n}`)),
      fc.nat(60).map((n) => bytes(`${"long-prefix-".repeat(3)}${n}`)),
    );
    const value = fc.nat(3).map((n) => bytes("v".repeat(n)));
    const entries = fc.uniqueArray(fc.record({ key, value }), { maxLength: 400, selector: ({ key: k }) => k.join() });
    const changes = fc.uniqueArray(fc.record({ key, value: fc.option(value) }), {
      maxLength: 40,
      selector: ({ key: k }) => k.join(),
    });
    await fc.assert(
      fc.asyncProperty(entries, changes, changes, async (all, ours, theirs) => {
        const common = Tree.from(all, sha256);
        await converge(common.apply(ours), common.apply(theirs));
      }),
      { numRuns: 80 },
    );
  });

  it("become equal through buckets in several levels, with answers in pieces, and by the whole", async () => {
    const all = partitions(6000);
    const common = Tree.from(all, sha256);
    const changes: Change[] = all
      .filter((_, i) => i % 40 === 0)
      .map(({ key }, i) => (i % 5 === 0 ? { key, value: null } : { key, value: bytes(`new ${i}`) }));
    const added = changes.map(({ key }) => ({ key: Uint8Array.of(...key, 1), value: bytes("added") }));
    const asked = (await converge(common, common.apply([...changes, ...added]), 2048)).asked;
    expect(asked.filter((what) => what === "fetch").length).toBeGreaterThan(1);
    expect(asked).not.toContain("whole");
    expect((await converge(common.apply(changes), common)).asked).not.toContain("whole");
    expect((await converge(undefined, common)).asked).toContain("whole");
    expect((await converge(Tree.empty(sha256), common)).asked).toContain("whole");
    await converge(common, Tree.empty(sha256));
    await converge(common, Tree.from([entry("other", "x")], sha256));
  });

  it("refuse what is no question, and what is no answer, without an answer of their own", async () => {
    const remote = Tree.from(partitions(1500), sha256);
    const own = remote.apply(
      partitions(1500)
        .slice(0, 40)
        .map(({ key }) => ({ key, value: bytes("other!") })),
    );
    const steps = ["split", "buckets", "descend", "fetch", "whole"] as const;
    const question = fc.record({ step: fc.constantFrom(...steps), payload: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(fc.array(question, { maxLength: 20 }), (questions) => {
        const responder = new SyncResponder(
          { version: 7, tree: remote },
          { ...syncEdge, isReady: true, answerBytesMax: 1000 },
        );
        for (const { step, payload } of questions) {
          try {
            responder[step](payload);
          } catch (error) {
            expect(error).toMatchObject({ code: "ERR_MEMDS_PROTOCOL" });
          }
        }
      }),
      { numRuns: 150 },
    );
    // One answer of a whole conversation is damaged: the tree is the right one, or there is none.
    await fc.assert(
      fc.asyncProperty(fc.nat(12), fc.nat(5000), fc.integer({ min: 1, max: 255 }), async (which, where, mask) => {
        const { channel } = session(remote);
        const root = await askRoot(channel);
        let asked = 0;
        const damaging: SyncChannel = {
          ask: async (what, payload) => {
            const answer = await channel.ask(what, payload);
            if (asked++ === which && answer.length > 0) answer[where % answer.length]! ^= mask;
            return answer;
          },
        };
        const tree = await reconcile(own, root, damaging, edge).catch((error: Error) => error);
        if (tree instanceof Tree) expect(tree.rootHash).toEqual(remote.rootHash);
        else expect(tree).toBeInstanceOf(Error);
      }),
      { numRuns: 50 },
    );
  });

  it("say no more than a root hash to one another when they are equal", async () => {
    const common = Tree.from(partitions(1000), sha256);
    const { bytes: shipped, asked } = await converge(common, common);
    expect(asked).toEqual(["root"]);
    expect(shipped).toBeLessThan(64);
  });

  it("find one change among many in a few bytes, wherever it is", async () => {
    const all = partitions(50_000);
    const common = Tree.from(all, sha256);
    for (const at of [0, 24_999, 49_999]) {
      const { bytes: shipped } = await converge(common, common.apply([{ key: all[at]!.key, value: bytes("moved!") }]));
      expect(shipped).toBeLessThan(2500);
    }
    // A table that only one of them has: first, last, and one that parts the others' common beginning.
    for (const name of ["a", "zz", "u"]) {
      const table = Array.from({ length: 100 }, (_, i) => entry(`${name}/${i}`, "x"));
      expect((await converge(common, common.apply(table))).bytes).toBeLessThan(8000);
      expect((await converge(common.apply(table), common)).bytes).toBeLessThan(8000);
    }
  });

  it.each([
    ["spread evenly", 100, 1],
    ["in one place", 1, 0.01],
  ])("ship at most 1.2 times the differing bytes and 64 KB for 1 %%, %s", async (_how, step, part) => {
    const count = 100_000;
    const all = partitions(count);
    const common = Tree.from(all, sha256);
    // Splits: half of the entries that differ have a new value, half are new.
    const changes: Change[] = [];
    for (let i = 0; i < count * part && changes.length < count / 100; i += step * 2) {
      const key = all[i]!.key.slice();
      new DataView(key.buffer).setUint32(7, new DataView(key.buffer).getUint32(7) + 20_000_000);
      changes.push(
        { key: all[i]!.key, value: Uint8Array.of(1, 2, 3, 4, 5, i) },
        { key, value: Uint8Array.of(i, 2, 3, 4, 5, 6) },
      );
    }
    const remote = common.apply(changes);
    const differing = differingBytes(common, remote);
    const { bytes: shipped } = await converge(common, remote);
    expect(shipped).toBeLessThanOrEqual(1.2 * differing + 65_536);
  });
});
