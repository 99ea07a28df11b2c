import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { behind, compareBytes, type Divergence, Scrubber, sortedReplica } from "../src/index.js";
import { bytes, many, replica, spoiled, text, trio } from "./support/sources.js";

const shown = ({ key, replica, against, kind, agreed }: Divergence) =>
  `${text(key)}: ${replica} ${kind} against ${against} [${agreed.join()}]`;

describe("who is the odd one out", () => {
  const contents = { k1: "one", k2: "two", k3: "three" };

  it("nobody, where all agree", async () => {
    const { scrubber } = trio(contents, contents);
    const report = await scrubber.pass();
    expect(report).toMatchObject({ complete: true, compared: ["a", "b", "c", "reference"], keys: 3, divergences: [] });
    expect([report.unreadable, report.unstable, report.unexamined, report.absent]).toEqual([[], [], [], []]);
  });

  it("a wrong value, a lost key and a kept deletion", async () => {
    const { a, b, c, scrubber } = trio(contents);
    a.store.put(bytes("k1"), bytes("ONE"));
    b.store.delete(bytes("k2"));
    c.store.put(bytes("k4"), bytes("deleted long ago"));
    const report = await scrubber.pass();
    expect(report.divergences.map(shown)).toEqual([
      "k1: a different against majority [b,c]",
      "k2: b missing against majority [a,c]",
      "k4: c extra against majority [a,b]",
    ]);
  });

  it("two replicas damaged alike do not outvote the reference", async () => {
    const { a, b, scrubber } = trio(contents, contents);
    for (const one of [a, b]) one.store.put(bytes("k2"), bytes("TWO"));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual([
      "k2: a different against reference [c,reference]",
      "k2: b different against reference [c,reference]",
    ]);
  });

  it("a reference that stands alone is itself the odd one", async () => {
    const { scrubber } = trio(contents, { k1: "one", k3: "three" });
    expect((await scrubber.pass()).divergences.map(shown)).toEqual(["k2: reference missing against majority [a,b,c]"]);
  });

  it("nobody can say, where no two agree", async () => {
    const { a, b, c, scrubber } = trio(contents);
    a.store.put(bytes("k1"), bytes("x"));
    b.store.put(bytes("k1"), bytes("y"));
    c.store.delete(bytes("k1"));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual([
      "k1: a different against none []",
      "k1: b different against none []",
      "k1: c missing against none []",
    ]);
  });
});

describe("who is the odd one out of four", () => {
  it("nobody can say, where two say this and two say that; three outvote one", async () => {
    const four = ["a", "b", "c", "d"].map((name) => replica(name, { k1: "one", k2: "two" }));
    for (const one of four.slice(2)) one.store.put(bytes("k1"), bytes("ONE"));
    four[3]?.store.delete(bytes("k2"));
    const scrubber = new Scrubber({ replicas: four, position: () => 1 });
    const { divergences } = await scrubber.pass();
    expect(divergences.map(shown)).toEqual([
      ...["a", "b", "c", "d"].map((name) => `k1: ${name} different against none []`),
      "k2: d missing against majority [a,b,c]",
    ]);
    const repaired = await scrubber.repair(divergences, async ({ replica: name, key, value }) =>
      four.find((one) => one.name === name)?.store.put(key, value as Uint8Array),
    );
    expect(repaired.map(({ replica: name, outcome }) => `${name} ${outcome}`)).toEqual([
      "a refused",
      "b refused",
      "c refused",
      "d refused",
      "d repaired",
    ]);
  });
});

describe("exactly the keys that differ", () => {
  it("whatever was damaged, wherever", async () => {
    const key = fc.stringMatching(/^[a-d]{0,4}$/);
    const value = fc.constantFrom("", "x", "y");
    const damage = fc.record({ on: fc.nat(3), key, value: fc.option(value, { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(key, value, { maxKeys: 60 }),
        fc.array(damage, { maxLength: 6 }),
        fc.boolean(),
        fc.record({
          stepBytes: fc.integer({ min: 1, max: 300 }),
          fanout: fc.integer({ min: 2, max: 5 }),
          leafKeysMax: fc.integer({ min: 1, max: 5 }),
        }),
        async (contents, damages, withReference, options) => {
          const { a, b, c, ref, scrubber } = trio(contents, withReference ? contents : undefined, options);
          const sources = [a, b, c, ...(ref === undefined ? [] : [ref])];
          for (const { on, key: k, value: v } of damages) {
            const store = sources[on % sources.length]?.store;
            if (v === undefined) store?.delete(bytes(k));
            else store?.put(bytes(k), bytes(v));
          }
          const all = new Set(sources.flatMap((one) => one.store.sorted().map((entry) => text(entry.key) as string)));
          const wrong = [...all].filter((k) => {
            const held = sources.map((one) => text(one.store.get(bytes(k))));
            return new Set(held).size > 1;
          });
          const report = await scrubber.pass();
          expect([...new Set(report.divergences.map((one) => text(one.key)))]).toEqual(
            wrong.sort((x, y) => compareBytes(bytes(x), bytes(y))),
          );
          expect([report.unstable, report.unreadable, report.complete]).toEqual([[], [], true]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("one bit in twenty thousand keys, in few exchanges and without reading the rest out", async () => {
    const contents = many(20_000);
    const { a, b, c } = trio(contents);
    const spoiltKey = bytes("00014321");
    const value = (b.store.get(spoiltKey) as Uint8Array).slice();
    value[3] = (value[3] as number) ^ 1;
    b.store.put(spoiltKey, value);
    let readOut = 0;
    let calls = 0;
    const counting = spoiled(b, (snapshot) => ({
      digests: (ranges) => {
        calls++;
        return snapshot.digests(ranges);
      },
      splits: (range, options) => {
        calls++;
        return snapshot.splits(range, options);
      },
      entries: (range) => {
        const entries = [...(snapshot.entries(range) as Iterable<{ key: Uint8Array; value: Uint8Array }>)];
        calls++;
        readOut += entries.length;
        return entries;
      },
    }));
    // First in line to say where to cut.
    const scrubber = new Scrubber({ replicas: [counting, a, c], position: () => 1, stepBytes: 1 << 30 });
    const report = await scrubber.pass();
    expect(report.divergences.map(shown)).toEqual(["00014321: b different against majority [a,c]"]);
    // The whole, then parts of a sixteenth, four times: each level is one exchange with each of three replicas.
    expect(report.exchanges).toBeLessThanOrEqual(3 * 5);
    // Whatever is asked of it, where to cut and the entries at the end among it.
    expect(calls).toBeLessThanOrEqual(2 * 5 + 1);
    expect(readOut).toBeLessThanOrEqual(16);
  });

  it("in one exchange each, where all agree", async () => {
    const { scrubber } = trio(many(1000), undefined, { stepBytes: 1 << 30 });
    expect((await scrubber.pass()).exchanges).toBe(3);
  });

  it("a whole subtree lost, named key by key up to the bound and as ranges beyond", async () => {
    const { c, scrubber } = trio(many(5000), undefined, { findingsMax: 100, stepBytes: 10_000 });
    for (let i = 1000; i < 2000; i++) c.store.delete(bytes(String(i).padStart(8, "0")));
    const report = await scrubber.pass();
    expect(report.divergences.length).toBeGreaterThanOrEqual(100);
    expect(report.divergences.length).toBeLessThan(130);
    const last = report.unexamined.at(-1);
    expect(text(last?.from)).toMatch(/^00001/);
    expect(Number(text(last?.to))).toBeGreaterThanOrEqual(2000);
    expect(report.unexamined.length).toBeLessThan(10);
  });
});

describe("odd contents", () => {
  it("none at all, one key, the empty key, empty values", async () => {
    expect(await trio({}).scrubber.pass()).toMatchObject({ complete: true, keys: 0, divergences: [] });
    expect(await trio({ "": "" }).scrubber.pass()).toMatchObject({ complete: true, keys: 1, divergences: [] });
    const { a, scrubber } = trio({ "": "", k: "" });
    a.store.delete(bytes(""));
    a.store.put(bytes("k"), bytes("\0"));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual([
      ": a missing against majority [b,c]",
      "k: a different against majority [b,c]",
    ]);
  });

  it("everything on one replica, nothing on the others", async () => {
    const { a, b, c, scrubber } = trio({});
    for (const [key, value] of Object.entries(many(40))) c.store.put(bytes(key), bytes(value));
    const report = await scrubber.pass();
    expect(report.divergences.length).toBe(40);
    expect(new Set(report.divergences.map((one) => `${one.replica} ${one.kind}`))).toEqual(new Set(["c extra"]));
    expect([a.store.size, b.store.size]).toEqual([0, 0]);
  });

  it("everything lost on the first replica: the steps stay small on the others", async () => {
    const { a, b, c } = trio(many(2000));
    for (const { key } of a.store.sorted()) a.store.delete(key);
    let stepBytesSeen = 0;
    const measured = spoiled(b, (snapshot) => ({
      digests: async (ranges) => {
        const digests = await snapshot.digests(ranges);
        stepBytesSeen = Math.max(stepBytesSeen, ...digests.map((digest) => digest.bytes));
        return digests;
      },
    }));
    const report = await new Scrubber({ replicas: [a, measured, c], position: () => 1, stepBytes: 1000 }).pass();
    expect(report.divergences.length).toBe(2000);
    expect(stepBytesSeen).toBeLessThan(1100);
  });

  it("keys that another collation would take for the same, or order differently", async () => {
    const contents = { a: "1", A: "2", ä: "3", "a\u0308": "4", B: "5", "\u{10000}": "6", "\uffff": "7" };
    const { b, scrubber } = trio(contents, contents, { stepBytes: 1, leafKeysMax: 1 });
    b.store.put(bytes("ä"), bytes("4"));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual([
      "ä: b different against reference [a,c,reference]",
    ]);
  });

  it("values far larger than a step", async () => {
    const { b, scrubber } = trio({ k1: "x".repeat(300_000), k2: "y".repeat(300_000) }, undefined, { stepBytes: 1000 });
    b.store.put(bytes("k2"), bytes(`${"y".repeat(299_999)}z`));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual(["k2: b different against majority [a,c]"]);
  });

  it("a moved boundary between key and value is a difference", async () => {
    const { c, scrubber } = trio({ ab: "c" });
    c.store.delete(bytes("ab"));
    c.store.put(bytes("a"), bytes("bc"));
    expect((await scrubber.pass()).divergences.map(shown)).toEqual([
      "a: c extra against majority [a,b]",
      "ab: c missing against majority [a,b]",
    ]);
  });
});

describe("never a false alarm", () => {
  it("a replica that is behind is left out, and said to be", async () => {
    const { c, scrubber, a, b } = trio(many(100));
    c.store.delete(bytes("00000005"));
    c.position = 0;
    const report = await scrubber.pass();
    expect(report).toMatchObject({ complete: true, compared: ["a", "b"], divergences: [] });
    expect(report.absent).toMatchObject([{ replica: "c", why: "behind" }]);
    a.position = 2;
    b.position = 2;
    c.position = 2;
    expect((await scrubber.pass()).divergences.map(shown)).toEqual(["00000005: c missing against majority [a,b]"]);
  });

  it("a replica that loses its snapshot half-way leaves the pass, and the others are compared to the end", async () => {
    const { a, b, c } = trio(many(1000));
    b.store.put(bytes("00000900"), bytes("wrong"));
    let calls = 0;
    const restarting = spoiled(c, (snapshot) => ({
      digests: async (ranges) => {
        if (++calls > 3) throw behind("c", 1, "it restarted");
        return snapshot.digests(ranges);
      },
    }));
    const scrubber = new Scrubber({ replicas: [a, b, restarting], position: () => 1, stepBytes: 1000 });
    const report = await scrubber.pass();
    expect(report).toMatchObject({ complete: true, compared: ["a", "b"], absent: [{ replica: "c", why: "behind" }] });
    expect(report.divergences.map(shown)).toEqual([
      "00000900: a different against none []",
      "00000900: b different against none []",
    ]);
  });

  it("with fewer than two sources nothing is compared, and the pass does not call itself complete", async () => {
    const { a, b, c, scrubber } = trio({ k: "v" });
    b.position = 0;
    c.position = 0;
    expect(await scrubber.pass()).toMatchObject({ complete: false, compared: [], divergences: [] });
    const broken = { name: "b", snapshot: async () => Promise.reject(new Error("connection refused")) };
    const report = await new Scrubber({ replicas: [a, broken], position: () => 1 }).pass();
    expect(report).toMatchObject({ complete: false, absent: [{ replica: "b", why: "unreachable" }] });
  });

  it("a replica of another version, whose digests are made differently, is left out", async () => {
    const { a, b, c } = trio({ k: "v" });
    const older = spoiled(b, (snapshot) => ({
      digests: async (ranges) => (await snapshot.digests(ranges)).map((digest) => ({ ...digest, version: 1 })),
    }));
    const report = await new Scrubber({ replicas: [a, older, c], position: () => 1 }).pass();
    expect(report).toMatchObject({ complete: true, compared: ["a", "c"], divergences: [], unstable: [] });
    expect(report.absent).toMatchObject([{ replica: "b", why: "incompatible" }]);
  });

  it("writes that go on during the pass do not show in its snapshots", async () => {
    const sources: ReturnType<typeof trio> = trio(many(2000), undefined, {
      stepBytes: 500,
      take: () => {
        for (const one of [sources.a, sources.b, sources.c]) {
          one.position++;
          one.store.put(bytes("00001000"), bytes(`${one.name} ${one.position}`));
          one.store.put(bytes(`new ${one.name} ${one.position}`), bytes("x"));
        }
      },
    });
    expect(await sources.scrubber.pass()).toMatchObject({ complete: true, divergences: [], unstable: [] });
    expect(sources.a.position).toBeGreaterThan(20);
  });

  it("a source that does not answer the same twice is called unstable, and none of its keys named", async () => {
    const { a, b, c } = trio(many(10));
    const flickering = spoiled(b, (snapshot) => ({
      digests: async (ranges) =>
        (await snapshot.digests(ranges)).map((digest) => ({ ...digest, bytes: digest.bytes + 1 })),
    }));
    const report = await new Scrubber({ replicas: [a, flickering, c], position: () => 1 }).pass();
    expect(report.divergences).toEqual([]);
    expect(report.unstable.length).toBe(1);
  });
});

describe("what cannot be read", () => {
  const failingAt = (source: ReturnType<typeof replica>, bad: string) =>
    spoiled(source, (snapshot) => {
      const entries: typeof snapshot.entries = function* (range) {
        for (const entry of snapshot.entries(range) as Iterable<{ key: Uint8Array; value: Uint8Array }>) {
          if (text(entry.key) === bad) throw new Error("checksum of page 17 is wrong");
          yield entry;
        }
      };
      return {
        entries,
        digests: async (ranges) => {
          for (const range of ranges) Array.from(entries(range) as Iterable<unknown>);
          return snapshot.digests(ranges);
        },
        splits: async (range, options) => {
          Array.from(entries(range) as Iterable<unknown>);
          return snapshot.splits(range, options);
        },
      };
    });

  it("is narrowed to a few keys, and everything else is still compared", async () => {
    const { a, b, c } = trio(many(3000));
    c.store.put(bytes("00000001"), bytes("wrong"));
    c.store.put(bytes("00002999"), bytes("wrong"));
    const scrubber = new Scrubber({
      replicas: [failingAt(a, "00001234"), b, c],
      reference: replica("reference", many(3000)),
      position: () => 1,
      stepBytes: 20_000,
    });
    const report = await scrubber.pass();
    expect(report.unreadable).toMatchObject([{ replica: "a", cause: new Error("checksum of page 17 is wrong") }]);
    const range = report.unreadable[0]?.range;
    expect(Number(text(range?.from))).toBeGreaterThan(1234 - 17);
    expect(Number(text(range?.from))).toBeLessThanOrEqual(1234);
    expect(Number(text(range?.to))).toBeLessThanOrEqual(1234 + 17);
    expect(report.divergences.map((one) => text(one.key))).toEqual(["00000001", "00002999"]);
    expect(report.complete).toBe(true);
  });

  it("includes entries that come out of order", async () => {
    const { a, b, c } = trio(many(3));
    const disordered = sortedReplica({ name: "c", open: () => ({ entries: () => [...c.store.sorted()].reverse() }) });
    const report = await new Scrubber({ replicas: [a, b, disordered], position: () => 1 }).pass();
    expect(report.divergences).toEqual([]);
    expect(report.unreadable).toMatchObject([{ replica: "c", cause: { code: "ERR_SCRUBBER_ORDER" } }]);
  });
});
