import { expect, test } from "vitest";
import { indexMethods } from "../../src/storage-node/index-methods.js";
import { LonePartition } from "../support/lone-partition.js";
import { temporaryDir } from "../support/store.js";

test("a partition of an index takes each batch once, in order, and nothing from a leader that is late", async () => {
  const { dir, remove } = await temporaryDir();
  let lone = await LonePartition.open(dir);
  try {
    const { partition } = lone.host;
    const key = Buffer.from([1, 2, 3, 4, 0, 1, 97]);
    const tell = async (source: number, through: number, value: string, last = true) => {
      const { tellIndex } = indexMethods(() => lone.host);
      const write = { op: "put" as const, key, bytes: Buffer.from(value), itemSizeBytes: 1 };
      await tellIndex({ partition, source, through, last, writes: [write] });
      const stored = lone.host.replica.get(key);
      return stored && Buffer.from(stored.json).toString();
    };
    expect(await tell(1, 5, "five")).toBe("five");
    expect(await tell(1, 5, "five again")).toBe("five");
    expect(await tell(1, 4, "four, late")).toBe("five");
    expect(await tell(2, 1, "of another partition")).toBe("of another partition");
    // A part that is not the last is taken, and taken again with the rest: nothing says yet that it was told.
    expect(await tell(1, 9, "a part", false)).toBe("a part");
    expect(await tell(1, 9, "the part, again", false)).toBe("the part, again");
    // Both decided in one turn: the second sees what the first is about to write.
    const both = await Promise.all([tell(1, 9, "nine"), tell(1, 8, "eight, late")]);
    expect(both[0]).toBe("nine");
    expect(await tell(1, 9, "nine again")).toBe("nine");
    lone = await lone.restart();
    expect(await tell(1, 9, "after a restart")).toBe("nine");
  } finally {
    await lone.close();
    await remove();
  }
});
