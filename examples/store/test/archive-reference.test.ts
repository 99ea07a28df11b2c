import { appendFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Archiver, memoryObjectStore, retain, writeSnapshot } from "@evenkeel/wal/archive";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ArchiveReference } from "../src/scrub/archive-reference.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { encodeState, type StateEntry } from "../src/storage-node/partition-state.js";
import { encodeStored } from "../src/storage-node/stored-value.js";
import { temporaryDir } from "./support/store.js";

let dir: string;
let remove: () => Promise<void>;
let run = 0;
beforeAll(async () => {
  ({ dir, remove } = await temporaryDir());
});
afterAll(async () => {
  expect(await readdir(dir), "nothing is left").toEqual([]);
  await remove();
});

const stream = "p1";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A partition's life in the archive: entries by and by, snapshots where one is asked for, and what they ought to come to. */
class Life {
  readonly archive = memoryObjectStore();
  readonly #state = new Map<string, StateEntry>();
  #archiver: Archiver | undefined;
  slot = 0;

  async write(writes: readonly Write[]): Promise<void> {
    this.#archiver ??= await Archiver.open({ store: this.archive, stream });
    const sequence = ++this.slot;
    for (const write of writes) {
      if (write.op === "delete") this.#state.delete(hex(write.key));
      else {
        const bytes = encodeStored(write.key, sequence, write.itemSizeBytes, write.bytes);
        this.#state.set(hex(write.key), { key: Buffer.from(write.key), bytes });
      }
    }
    const data = writes.length === 0 ? new Uint8Array(0) : encodeCommand({ kind: "writes", timeMs: sequence, writes });
    await this.#archiver.archive([{ sequence, timeMs: sequence, data }]);
  }

  get entries(): StateEntry[] {
    return [...this.#state.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  async snapshot(entries: readonly StateEntry[] = this.entries): Promise<void> {
    const chunks = encodeState({ slot: this.slot, timeMs: 0 }, [entries]);
    await writeSnapshot({ store: this.archive, stream, sequence: this.slot, chunks, bytesPerObjectMax: 1024 });
  }

  /** A new reference, for one life or going on from what lies in the folder. */
  async reference<T>(use: (reference: ArchiveReference) => Promise<T>, kept?: string): Promise<T> {
    const reference = await ArchiveReference.open({
      archive: this.archive,
      stream,
      ...(kept === undefined ? {} : { dir: kept }),
    });
    try {
      return await use(reference);
    } finally {
      await reference.close();
    }
  }
}

async function contents(reference: ArchiveReference): Promise<[string, string][]> {
  const found: [string, string][] = [];
  const snapshot = await reference.snapshot(reference.position);
  for await (const { key, value } of snapshot.entries({ from: new Uint8Array(0), to: undefined }))
    found.push([hex(key), hex(value)]);
  return found;
}

const wantedOf = (life: Life) => life.entries.map(({ key, bytes }) => [hex(key), hex(bytes)]);
const put = (key: string, text: string): Write => ({
  op: "put",
  key: Buffer.from(key),
  bytes: Buffer.from(text),
  itemSizeBytes: text.length,
});

const key = fc.uint8Array({ minLength: 1, maxLength: 2, max: 3 });
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ op: fc.constant("delete" as const), key }),
  fc.record({ op: fc.constant("put" as const), key, bytes: fc.uint8Array({ maxLength: 9 }), itemSizeBytes: fc.nat(9) }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(write, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant("snapshot" as const) },
  { weight: 1, arbitrary: fc.constant("retain" as const) },
  { weight: 1, arbitrary: fc.constant("look" as const) },
);

test("whatever was written, however many snapshots lie on the way, and wherever retention lets the archive begin, it is what the log says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const life = new Life();
      await life.write([put("first", "1")]);
      const kept = join(dir, `kept-${run++}`);
      for (const one of steps) {
        if (one === "snapshot") await life.snapshot();
        else if (one === "retain")
          await retain({ store: life.archive, stream, promise: { sinceSequence: Math.max(0, life.slot - 2) } });
        else if (one === "look") {
          // Each time another process, which goes on from what the one before has kept, also over what retention has let go of meanwhile.
          await life.reference(async (reference) => {
            await reference.advance(life.slot);
            expect(await contents(reference)).toEqual(wantedOf(life));
          }, kept);
        } else await life.write(one);
      }
      await rm(kept, { recursive: true, force: true });
      await life.reference(async (reference) => {
        await reference.advance(life.slot);
        expect(await contents(reference)).toEqual(wantedOf(life));
        await life.write([put("last", "1")]);
        await reference.advance(life.slot);
        expect(await contents(reference)).toEqual(wantedOf(life));
        await expect(reference.snapshot(life.slot - 1)).rejects.toMatchObject({ code: "ERR_SCRUBBER_BEHIND" });
      });
    }),
    { numRuns: 30 },
  );
});

test("a snapshot that a replica has got wrong is not believed, in whatever way: too much, too little, another value", async () => {
  const wrongs: ((entries: StateEntry[]) => StateEntry[])[] = [
    (entries) => entries.slice(1),
    (entries) => entries.slice(0, -1),
    (entries) => [
      ...entries,
      { key: Buffer.from("zz"), bytes: encodeStored(Buffer.from("zz"), 1, 1, Buffer.from("1")) },
    ],
    ([first, ...rest]) => [
      { key: first?.key as Uint8Array, bytes: encodeStored(first?.key as Uint8Array, 1, 1, Buffer.from("wrong")) },
      ...rest,
    ],
  ];
  for (const wrong of wrongs) {
    const life = new Life();
    for (let i = 0; i < 5; i++) await life.write([put(`k${i}`, "v")]);
    await life.snapshot();
    for (let i = 3; i < 8; i++) await life.write([put(`k${i}`, "w")]);
    await life.snapshot(wrong(life.entries));
    await life.write([put("k9", "x")]);
    await life.reference(async (reference) => {
      const failed = { code: "ERR_STORE_CORRUPT", message: expect.stringContaining("is not what the log says") };
      await expect(reference.advance(life.slot)).rejects.toMatchObject(failed);
      await expect(reference.snapshot(life.slot), "and stays so").rejects.toMatchObject(failed);
    });
  }
});

test("more than it holds in memory is no trouble", async () => {
  const life = new Life();
  const text = "x".repeat(100_000);
  for (let i = 0; i < 60; i += 10)
    await life.write(Array.from({ length: 10 }, (_, j) => put(`big-${(i + j) % 45}`, `${text}${i + j}`)));
  await life.snapshot();
  await life.write([{ op: "delete", key: Buffer.from("big-7") }]);
  await life.reference(async (reference) => {
    await reference.advance(life.slot);
    expect(await contents(reference)).toEqual(wantedOf(life));
  });
});

test("it reads no more than what is new: from pass to pass, and in the next process", async () => {
  const life = new Life();
  const kept = join(dir, "kept");
  for (let i = 0; i < 30; i++) await life.write([put(`k${i % 7}`, `${i}`)]);
  const paced: number[] = [];
  const read: string[] = [];
  const archive = life.archive.get.bind(life.archive);
  life.archive.get = (key, options) => {
    read.push(key);
    return archive(key, options);
  };
  await life.reference((reference) => reference.advance(life.slot, (bytes) => void paced.push(bytes)), kept);
  const all = read.splice(0).length;
  await life.write([put("k1", "again")]);
  await life.reference(async (reference) => {
    await reference.advance(life.slot);
    expect(reference.position).toBe(life.slot);
    expect(await contents(reference)).toEqual(wantedOf(life));
  }, kept);
  expect(read.length).toBeLessThan(all / 2);
  await rm(kept, { recursive: true });
});

test("what it has kept and has rotted is thrown away, and built anew", async () => {
  const life = new Life();
  const kept = join(dir, "kept");
  for (let i = 0; i < 9; i++) await life.write([put(`k${i}`, "v")]);
  await life.reference((reference) => reference.advance(life.slot), kept);
  await appendFile(join(kept, "manifest"), "x");
  await life.write([put("k1", "again")]);
  for (const file of await readdir(kept)) await appendFile(join(kept, file), "rot");
  await life.reference(async (reference) => {
    await reference.advance(life.slot);
    expect(await contents(reference)).toEqual(wantedOf(life));
  }, kept);
  await rm(kept, { recursive: true });
});
