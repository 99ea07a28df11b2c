import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Archiver, archiveStream, memoryObjectStore, type ObjectStore, restore } from "../src/archive/index.js";
import { Wal } from "../src/index.js";
import { collect } from "./collect.js";

const dataOf = (sequence: number) => Buffer.from(`entry ${sequence}`);
/** The same on each replica. */
const timeOf = (sequence: number) => 1_700_000_000_000 + sequence;

it("an object left without a manifest that reaches further than this replica's log is waited for, and taken over", async () => {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-leftover-"));
  const inner = memoryObjectStore();
  const dying: ObjectStore = {
    ...inner,
    put: (key, bytes, options) =>
      key.endsWith(".manifest") ? Promise.reject(new Error("killed")) : inner.put(key, bytes, options),
  };
  const another = await Archiver.open({ store: dying, stream: "s" });
  const entries = Array.from({ length: 10 }, (_, n) => ({
    sequence: n + 1,
    timeMs: timeOf(n + 1),
    data: dataOf(n + 1),
    stream: "s",
  }));
  await expect(another.archive(entries)).rejects.toThrow("killed");

  let met: () => void = () => undefined;
  const hasMet = new Promise<void>((resolve) => {
    met = resolve;
  });
  const store: ObjectStore = {
    ...inner,
    put: (key, bytes, options) => inner.put(key, bytes, options).finally(met),
  };
  const wal = await Wal.open({ dir });
  try {
    const stream = wal.stream("s");
    await stream.append([1, 2, 3, 4].map(dataOf));
    const entryOf = ({ sequence, data }: { sequence: number; data: Uint8Array }) => ({
      timeMs: timeOf(sequence),
      data,
    });
    const archiving = archiveStream({ stream, store, entryOf, ageMaxMs: 1 });
    await hasMet;
    await stream.append([5, 6, 7].map(dataOf));
    await stream.append([8, 9, 10, 11].map(dataOf));
    expect(await archiving.flush()).toBe(11);
    expect(archiving.stats()).toMatchObject({ failure: undefined, retries: 0 });
    await archiving.close();
  } finally {
    await wal.close();
    await rm(dir, { recursive: true, force: true });
  }
  const restored = await collect(restore({ store: inner, stream: "s" }));
  expect(restored.map(({ data }) => Buffer.from(data).toString())).toEqual(
    Array.from({ length: 11 }, (_, n) => `entry ${n + 1}`),
  );
});
