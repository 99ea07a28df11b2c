import { subscribe, unsubscribe } from "node:diagnostics_channel";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemdsServer } from "../src/index.js";
import { bytes, entry, put, remove, text } from "./helpers.js";

let server: MemdsServer;
beforeEach(async () => {
  server = await MemdsServer.listen({ entriesMax: 100 });
});
afterEach(() => server.close());

const held = () =>
  server
    .lookup([{ kind: "range", from: bytes(""), limitMax: 1000 }])[0]!
    .entries.map(({ key, value }) => `${text(key)}=${text(value)}`);
const failsWith = (code: string) => expect.objectContaining({ name: "MemdsError", code });

describe("a server's feed", () => {
  it("answers only once it was loaded", () => {
    expect(() => server.lookup([{ kind: "exact", key: bytes("a") }])).toThrow(failsWith("ERR_MEMDS_NOT_READY"));
    expect(() => server.apply({ version: 1, changes: [] })).toThrow(failsWith("ERR_MEMDS_NOT_READY"));
    expect(server).toMatchObject({ version: undefined, rootHash: undefined });
    server.load({ version: 4, entries: [] });
    expect(server.lookup([{ kind: "exact", key: bytes("a") }])).toEqual([{ version: 4, entries: [], more: false }]);
  });

  it("moves by one version at a time, and refuses gaps and older ones without a change", () => {
    server.load({ version: 1, entries: [entry("a", "1")] });
    expect(server.apply({ version: 2, changes: [put("b", "2")] })).toBe(true);
    expect(() => server.apply({ version: 4, changes: [put("c", "4")] })).toThrow(failsWith("ERR_MEMDS_GAP"));
    expect(() => server.apply({ version: 1, changes: [remove("a")] })).toThrow(failsWith("ERR_MEMDS_STALE"));
    expect(() => server.load({ version: 1, entries: [] })).toThrow(failsWith("ERR_MEMDS_STALE"));
    expect(held()).toEqual(["a=1", "b=2"]);
    server.load({ version: 4, entries: [entry("c", "4")] });
    expect(server.version).toBe(4);
    expect(held()).toEqual(["c=4"]);
  });

  it("takes a repetition as such, and raises an alarm at the same version with other content", () => {
    const alarms: unknown[] = [];
    const listener = (message: unknown) => alarms.push(message);
    subscribe("evenkeel:memds:diverged", listener);
    try {
      server.load({ version: 1, entries: [entry("a", "1")] });
      server.apply({ version: 2, changes: [put("b", "2"), remove("a")] });
      expect(server.apply({ version: 2, changes: [put("b", "2"), remove("a")] })).toBe(false);
      expect(alarms).toEqual([]);
      expect(() => server.apply({ version: 2, changes: [put("b", "other")] })).toThrow(failsWith("ERR_MEMDS_DIVERGED"));
      expect(held()).toEqual(["b=2"]);
      server.load({ version: 2, entries: [entry("b", "2")] });
      expect(alarms).toEqual([{ version: 2 }]);
      server.load({ version: 2, entries: [entry("b", "other")] });
      expect(alarms).toHaveLength(2);
      expect(held()).toEqual(["b=other"]);
    } finally {
      unsubscribe("evenkeel:memds:diverged", listener);
    }
  });

  it("shows a split whole or not at all, and survives a merge that crosses it", () => {
    server.load({ version: 1, entries: [entry("t/", "p0"), entry("t/m", "p1")] });
    server.apply({ version: 2, changes: [put("t/", "p2"), put("t/f", "p3")] });
    // Thought for version 1, arrives late: refused, so that no range is lost.
    expect(() => server.apply({ version: 2, changes: [remove("t/m"), put("t/", "p4")] })).toThrow(
      failsWith("ERR_MEMDS_DIVERGED"),
    );
    expect(held()).toEqual(["t/=p2", "t/f=p3", "t/m=p1"]);
  });

  it("does not bring a deleted table back by updates that were still under way", () => {
    server.load({ version: 10, entries: [entry("old/", "p0")] });
    server.apply({ version: 11, changes: [remove("old/")] });
    server.apply({ version: 12, changes: [put("old/", "second life")] });
    expect(() => server.apply({ version: 11, changes: [put("old/", "p0")] })).toThrow(failsWith("ERR_MEMDS_STALE"));
    expect(held()).toEqual(["old/=second life"]);
  });

  it("refuses to grow past its bound and keeps serving", () => {
    const entries = Array.from({ length: 100 }, (_, i) => entry(`k${i}`, "v"));
    server.load({ version: 1, entries });
    expect(() => server.apply({ version: 2, changes: [put("one more", "v")] })).toThrow(failsWith("ERR_MEMDS_FULL"));
    expect(server.version).toBe(1);
    expect(server.apply({ version: 2, changes: [put("one more", "v"), remove("k0")] })).toBe(true);
    expect(() => server.load({ version: 3, entries: [...entries, entry("x", "y")] })).toThrow(
      failsWith("ERR_MEMDS_FULL"),
    );
    expect(server.stats()).toMatchObject({ version: 2, entries: 100, updates: 2 });
  });

  it.each([Number.NaN, -1, 2 ** 53, 1.5, "3", undefined])("refuses the version %s", (version) => {
    server.load({ version: 1, entries: [] });
    const bad = version as number;
    expect(() => server.load({ version: bad, entries: [] })).toThrow(failsWith("ERR_MEMDS_ARGUMENT"));
    expect(() => server.apply({ version: bad, changes: [] })).toThrow(failsWith("ERR_MEMDS_ARGUMENT"));
  });

  it("ends with the same root as its feeder, whatever was lost, repeated and reordered", async () => {
    const change = fc.record({
      key: fc.nat(40).map((n) => bytes(`k${n}`)),
      value: fc.option(fc.nat(9).map((n) => bytes(`${n}`))),
    });
    const update = fc.uniqueArray(change, { maxLength: 4, selector: ({ key }) => text(key) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(update, { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.nat(9)),
        async (updates, luck) => {
          const feeder = await MemdsServer.listen();
          const member = await MemdsServer.listen();
          feeder.load({ version: 0, entries: [] });
          member.loadSnapshot(feeder.snapshot());
          const underWay = updates.map((changes, i) => ({ version: i + 1, changes }));
          for (const each of underWay) feeder.apply(each);
          let seen = 0;
          for (let i = 0; i < underWay.length; i++) {
            const chance = luck.next().value as number;
            const sent =
              chance < 2
                ? []
                : chance < 4
                  ? [underWay[i]!, underWay[i]!]
                  : chance < 6
                    ? [underWay[(i * 7) % underWay.length]!]
                    : [underWay[i]!];
            for (const each of sent) {
              try {
                member.apply(each);
              } catch (error) {
                const { code } = error as { code: string };
                expect(["ERR_MEMDS_GAP", "ERR_MEMDS_STALE"]).toContain(code);
                if (code === "ERR_MEMDS_GAP") member.loadSnapshot(feeder.snapshot());
              }
              expect(member.version!).toBeGreaterThanOrEqual(seen);
              seen = member.version!;
            }
          }
          if (member.version !== feeder.version) member.loadSnapshot(feeder.snapshot());
          expect(member.rootHash).toEqual(feeder.rootHash);
          await Promise.all([feeder.close(), member.close()]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("is closed when it is closed", async () => {
    server.load({ version: 1, entries: [] });
    await server.close();
    await server.close();
    expect(() => server.load({ version: 2, entries: [] })).toThrow(failsWith("ERR_MEMDS_CLOSED"));
    expect(() => server.lookup([])).toThrow(failsWith("ERR_MEMDS_CLOSED"));
  });
});
