import { expect, it } from "vitest";
import { salvage, Wal } from "../src/index.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";
import { seedLog } from "./support/fuzz.js";
import { encodeLog, type LogImage, parseLog } from "./support/log-image.js";

/** A log in which something is as a newer version might write it, all checksums right. */
async function newer(change: (image: LogImage) => void): Promise<FaultFileSystem> {
  const image = parseLog(await seedLog(seeded(1)));
  change(image);
  const fileSystem = new FaultFileSystem();
  for (const [name, bytes] of encodeLog(image)) fileSystem.put(`log/${name}`, bytes);
  return fileSystem;
}

const segment = (image: LogImage, at: number) => image.segments.at(at) as LogImage["segments"][number];
/** The last segment may be the one that was made ahead of time. */
const lastBatch = (image: LogImage) => image.segments.flatMap(({ batches }) => batches).at(-1);

it("a log taken apart and put together again is the same to the last byte that matters", async () => {
  const fileSystem = await newer(() => undefined);
  await using wal = await Wal.open({ dir: "log", fileSystem, segmentBytes: 65_536 });
  expect([wal.uncertainFrom, wal.streams().length > 1]).toEqual([null, true]);
});

for (const [what, file, change] of [
  ["a segment", /\.wal$/, (image) => Object.assign(segment(image, 0), { version: 2 })],
  ["the last segment alone", /\.wal$/, (image) => Object.assign(segment(image, -1), { version: 2 })],
  ["the file marks", /marks$/, (image) => Object.assign(image.marks[1] as object, { version: 2 })],
  [
    "an entry of an unknown type",
    /\.wal$/,
    (image) => Object.assign(lastBatch(image)?.entries[0] as object, { type: 99 }),
  ],
] as [string, RegExp, (image: LogImage) => void][]) {
  it(`a log in which ${what} was written by a newer version is refused as such, and nothing is changed`, async () => {
    const fileSystem = await newer(change);
    const before = new Map(fileSystem.files().map((name) => [name, fileSystem.contents(name).slice()]));
    await expect(Wal.open({ dir: "log", fileSystem, segmentBytes: 65_536 })).rejects.toMatchObject({
      code: "ERR_WAL_UNSUPPORTED",
      message: expect.stringMatching(/version/),
      file: expect.stringMatching(file),
    });
    for (const [name, bytes] of before) expect(Buffer.compare(fileSystem.contents(name), bytes), name).toBe(0);
    // What salvage can read, it reads.
    await salvage({ dir: "log", fileSystem });
  });
}
