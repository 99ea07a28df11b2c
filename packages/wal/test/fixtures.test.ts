import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Archiver, FileObjectStore, memoryObjectStore, restore, verifyArchive } from "../src/archive/index.js";
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

it("an archive written by format version 1 is read, and the same entries still give the same bytes", async () => {
  const dir = join(fixtures, "archive-v1");
  const stream = "bücher/7";
  const store = new FileObjectStore({ dir });
  const entries = await collect(restore({ store, stream }));
  expect(entries.map(({ sequence, timeMs, data }) => [sequence, timeMs, `${Buffer.from(data)}`])).toEqual([
    [1, 1_700_000_000_001, "entry 1"],
    [2, 1_700_000_000_002, "entry 2"],
    [3, 1_700_000_000_003, "entry 3"],
  ]);
  expect(await verifyArchive({ store, stream })).toMatchObject({ wholeThrough: 3, problems: [] });
  const again = memoryObjectStore();
  await (await Archiver.open({ store: again, stream })).archive(entries);
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  expect(files).toHaveLength(2);
  for (const file of files) {
    const key = `b%C3%BCcher%2F7/${file.name}`;
    expect(Buffer.from((await again.get(key)) as Uint8Array)).toEqual(await readFile(join(dir, key)));
  }
});
