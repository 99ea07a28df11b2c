import { describe, expect, it } from "vitest";
import type { MemoryReplica, Repairer, RepairResult } from "../src/index.js";
import { bytes, many, text, trio } from "./support/sources.js";

type Trio = ReturnType<typeof trio>;

/** Writes to the replica named, as a group would through its log: the repair is one more entry for everybody. */
const through =
  (sources: Trio): Repairer =>
  async ({ replica, key, value }) => {
    sources.advance();
    const target = [sources.a, sources.b, sources.c].find((one) => one.name === replica) as MemoryReplica;
    if (value === undefined) target.store.delete(key);
    else target.store.put(key, value);
  };

const shown = ({ key, replica, outcome }: RepairResult) => `${text(key)} ${replica} ${outcome}`;

describe("repair", () => {
  it("sets right what differs, deletes what should not be there, and verifies", async () => {
    const sources = trio(many(500), many(500));
    const { a, b, c, scrubber } = sources;
    a.store.put(bytes("00000007"), bytes("rot"));
    b.store.put(bytes("00000007"), bytes("rot"));
    b.store.delete(bytes("00000100"));
    c.store.put(bytes("00000100x"), bytes("kept"));
    const { divergences } = await scrubber.pass();
    expect((await scrubber.repair(divergences, through(sources))).map(shown)).toEqual([
      "00000007 a repaired",
      "00000007 b repaired",
      "00000100 b repaired",
      "00000100x c repaired",
    ]);
    expect(await scrubber.pass()).toMatchObject({ complete: true, divergences: [] });
    expect(scrubber.stats()).toMatchObject({ passes: 2, divergences: 4, repaired: 4, running: false });
  });

  it("refuses where no two sources agree, and where the reference is the odd one", async () => {
    const sources = trio({ k: "1" });
    sources.b.store.put(bytes("k"), bytes("2"));
    sources.c.store.put(bytes("k"), bytes("3"));
    const found = await sources.scrubber.pass();
    const never: Repairer = async () => Promise.reject(new Error("must not be called"));
    expect((await sources.scrubber.repair(found.divergences, never)).map(shown)).toEqual([
      "k a refused",
      "k b refused",
      "k c refused",
    ]);
    const odd = trio({ k: "1" }, {});
    const report = await odd.scrubber.pass();
    expect((await odd.scrubber.repair(report.divergences, never)).map(shown)).toEqual(["k reference refused"]);
  });

  it("leaves alone what a later write has put right", async () => {
    const sources = trio({ k: "1" });
    sources.b.store.put(bytes("k"), bytes("rot"));
    const { divergences } = await sources.scrubber.pass();
    for (const one of [sources.a, sources.b, sources.c]) one.store.put(bytes("k"), bytes("2"));
    sources.advance();
    expect((await sources.scrubber.repair(divergences, through(sources))).map(shown)).toEqual(["k b healed"]);
    expect(text(sources.b.store.get(bytes("k")))).toBe("2");
  });

  it("takes the value of now, when the key was written between the pass and the repair", async () => {
    const sources = trio({ k: "1" });
    sources.b.store.put(bytes("k"), bytes("rot"));
    const { divergences } = await sources.scrubber.pass();
    for (const one of [sources.a, sources.c]) one.store.put(bytes("k"), bytes("2"));
    sources.advance();
    expect((await sources.scrubber.repair(divergences, through(sources))).map(shown)).toEqual(["k b repaired"]);
    expect(text(sources.b.store.get(bytes("k")))).toBe("2");
  });

  it("says when the repairer failed, when it did nothing, and can be done again", async () => {
    const sources = trio({ k: "1" });
    sources.b.store.put(bytes("k"), bytes("rot"));
    const { divergences } = await sources.scrubber.pass();
    const failing = await sources.scrubber.repair(divergences, async () => Promise.reject(new Error("not leader")));
    expect(failing).toMatchObject([{ outcome: "failed", cause: new Error("not leader") }]);
    expect((await sources.scrubber.repair(divergences, async () => {})).map(shown)).toEqual(["k b failed"]);
    expect((await sources.scrubber.repair(divergences, through(sources))).map(shown)).toEqual(["k b repaired"]);
    expect((await sources.scrubber.repair(divergences, through(sources))).map(shown)).toEqual(["k b healed"]);
  });

  it("does not touch a replica that is behind", async () => {
    const sources = trio({ k: "1" });
    sources.b.store.put(bytes("k"), bytes("rot"));
    const { divergences } = await sources.scrubber.pass();
    sources.b.position = 0;
    expect((await sources.scrubber.repair(divergences, through(sources))).map(shown)).toEqual(["k b absent"]);
  });
});
