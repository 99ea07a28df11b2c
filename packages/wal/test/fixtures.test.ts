import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Wal } from "../src/index.js";
import { collect } from "./collect.js";

// Written once by format version 1 and never again: every later version must read them.
const fixtures = fileURLToPath(new URL("./fixtures/", import.meta.url));

it("a log written by format version 1 is read: records, carried ones, truncations, a removed stream", async () => {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-fixture-"));
  await cp(join(fixtures, "log-v1"), dir, { recursive: true });
  {
    await using wal = await Wal.open({ dir });
    expect(wal.uncertainFrom).toBeNull();
    expect(wal.streams().sort()).toEqual(["a", "bulk", "bücher/7"]);
    const read = async (name: string) =>
      (await collect(wal.stream(name).read())).map(({ sequence, timeMs, data }) => [
        sequence,
        timeMs,
        `${Buffer.from(data)}`,
      ]);
    expect(await read("a")).toMatchInlineSnapshot(`
      [
        [
          1,
          1700000000003,
          "one",
        ],
        [
          2,
          1700000000003,
          "two",
        ],
        [
          3,
          1700000000008,
          "THREE",
        ],
      ]
    `);
    expect(await read("bücher/7")).toMatchInlineSnapshot(`
      [
        [
          1,
          1700000000004,
          "",
        ],
        [
          2,
          1700000000031,
          "last",
        ],
      ]
    `);
    expect([wal.stream("bulk").firstSequence, wal.stream("bulk").lastSequence]).toEqual([10, 9]);
    expect(await wal.stream("a").append(Buffer.from("four"))).toBe(4);
  }
  await rm(dir, { recursive: true });
});
