import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { sha256InTurns } from "../src/archive/hashing.js";
import { noPrevious } from "../src/archive/manifest.js";
import { verifyCanonical } from "../src/archive/object.js";
import { sha256 } from "../src/archive/object-store.js";
import { ArchiveObjectBuilder } from "../src/core/archive-object.js";
import { crc } from "../src/fs/checksum.js";

/** How often others had their turn meanwhile. */
async function turnsOf(work: () => Promise<void>): Promise<number> {
  let turns = 0;
  let going = true;
  const count = (): void => {
    turns++;
    if (going) setImmediate(count);
  };
  setImmediate(count);
  await work();
  going = false;
  return turns;
}

test("an object's hash is that of all its bytes, and others have their turns while it is made", async () => {
  for (const length of [0, 1, 512 * 1024, 512 * 1024 + 1, 4 * 1024 * 1024, 5_000_001]) {
    const bytes = randomBytes(length);
    const turns = await turnsOf(async () => expect(await sha256InTurns(bytes)).toBe(sha256(bytes)));
    expect(turns).toBeGreaterThanOrEqual(Math.ceil(length / (512 * 1024)) - 1);
  }
});

test("an object's entries are all looked at, and others have their turns while they are", async () => {
  const entryBytes = 1_000;
  const builder = new ArchiveObjectBuilder("s", crc);
  for (let sequence = 1; sequence <= 4_000; sequence++)
    builder.add({ sequence, timeMs: sequence, data: randomBytes(entryBytes) }, 2 ** 22);
  const { bytes, object } = builder.finish(noPrevious);
  const seen: number[] = [];
  const turns = await turnsOf(async () =>
    expect(await verifyCanonical(bytes, "s", 1, ({ sequence }) => seen.push(sequence))).toEqual(object),
  );
  expect(seen).toEqual(Array.from({ length: 4_000 }, (_, i) => i + 1));
  expect(turns).toBeGreaterThanOrEqual(Math.floor(bytes.length / (128 * 1024 + entryBytes)) - 1);
  bytes.set([(bytes.at(-1) as number) ^ 1], bytes.length - 1);
  await expect(verifyCanonical(bytes, "s", 1)).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
});
