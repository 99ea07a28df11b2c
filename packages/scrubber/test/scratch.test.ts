import { cp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReferenceApply, type ReferenceEntry, referenceFrom, ScratchStore, Scrubber } from "../src/index.js";
import { SortedFile } from "../src/scratch/sorted-file.js";
import { replicaSourceCases, type SourceUnderTest } from "../src/testing/index.js";
import { bytes, replica, text } from "./support/sources.js";
import { syncedDirectories } from "./support/synced-directories.js";
import { withDir } from "./support/temporary-dir.js";

/** "key=value" puts, "key+value" appends to what is there, "key" deletes. */
const apply: ReferenceApply = (state, { data }) => {
  const command = text(data) as string;
  const [, key = "", operator, value = ""] = /^([^=+]*)(=|\+)?(.*)$/.exec(command) ?? [];
  if (operator === undefined) state.delete(bytes(key));
  else if (operator === "=") state.put(bytes(key), bytes(value));
  else state.put(bytes(key), bytes((text(state.get(bytes(key))) ?? "") + value));
};

const log = (commands: readonly string[]): ReferenceEntry[] =>
  commands.map((command, index) => ({ sequence: index + 1, data: bytes(command) }));

function contents(view: ReturnType<ScratchStore["view"]>): Record<string, string> {
  return Object.fromEntries([...view.range(bytes(""), undefined)].map(({ key, value }) => [text(key), text(value)]));
}

const command = fc
  .tuple(fc.nat(40), fc.constantFrom("=", "+", ""), fc.string({ maxLength: 12, unit: "grapheme-ascii" }))
  .map(([key, operator, value]) => `k${key}${operator}${operator === "" ? "" : value.replaceAll(/[=+\n]/g, "_")}`);

describe("a reference on disk", () => {
  it("comes to the same state as one in memory, however little memory it has, and goes on from where it was saved", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 80 }),
        fc.nat(80),
        fc.constantFrom(1, 60, 1_000),
        fc.constantFrom(1, 3),
        async (commands, cut, memoryBytesMax, filesMax) =>
          withDir(async (dir) => {
            const entries = log(commands);
            const inMemory = await referenceFrom(entries, { apply });
            const options = { dir, memoryBytesMax, filesMax };
            const before = await ScratchStore.open(options);
            await referenceFrom(entries, { apply, store: before, through: cut });
            expect(before.stats().files).toBeLessThanOrEqual(filesMax + 1);
            await before.close();
            await using store = await ScratchStore.open(options);
            expect(store.savedPosition ?? 0).toBe(Math.min(cut, commands.length));
            const onDisk = await referenceFrom(entries, { apply, store });
            expect(onDisk.position).toBe(commands.length);
            const report = await new Scrubber({
              replicas: [Object.assign(inMemory, { name: "memory" })],
              reference: onDisk,
              position: () => commands.length,
            }).pass();
            expect(report).toMatchObject({ complete: true, divergences: [], unreadable: [] });
            const snapshot = await onDisk.snapshot(commands.length);
            const all = [{ from: bytes(""), to: undefined }];
            expect(await snapshot.kept?.digests(all)).toEqual(await snapshot.digestsAsKept?.(all));
            await snapshot.close();
          }),
      ),
      { numRuns: 40 },
    );
  });

  it("holds what it was told to hold in memory, and the rest in few files", async () =>
    withDir(async (dir) => {
      await using store = await ScratchStore.open({ dir, memoryBytesMax: 20_000, filesMax: 4 });
      const seen = { memoryBytes: 0, files: 0 };
      const reference = await referenceFrom(
        log(Array.from({ length: 3_000 }, (_, i) => `key${i % 1_500}=${"x".repeat(100)}${i}`)),
        {
          apply: (state, entry) => {
            apply(state, entry);
            const { memoryBytes, files } = store.stats();
            seen.memoryBytes = Math.max(seen.memoryBytes, memoryBytes);
            seen.files = Math.max(seen.files, files);
          },
          store,
        },
      );
      // An entry more: it is looked at before it is written out.
      expect(seen.memoryBytes).toBeGreaterThan(20_000);
      expect(seen.memoryBytes).toBeLessThanOrEqual(20_200);
      expect(seen.files).toBe(4);
      expect((await readdir(dir)).length).toBeLessThanOrEqual(6);
      expect(reference.stats().bytes).toBeGreaterThan(1_500 * 100);
      expect(Object.keys(contents(store.view())).length).toBe(1_500);
    }));

  it("a view stays as it was while the files under it are merged and deleted", async () =>
    withDir(async (dir) => {
      await using store = await ScratchStore.open({ dir, memoryBytesMax: 200, filesMax: 2 });
      const reference = await referenceFrom(log(Array.from({ length: 100 }, (_, i) => `key${i}=old`)), {
        apply,
        store,
      });
      const view = store.view();
      const later = Array.from({ length: 300 }, (_, i) => ({ sequence: 101 + i, data: bytes(`key${i % 100}=new`) }));
      await reference.advance(later);
      expect(new Set(Object.values(contents(view)))).toEqual(new Set(["old"]));
      expect(new Set(Object.values(contents(store.view())))).toEqual(new Set(["new"]));
      view.close?.();
    }));

  it("what was written after the last save is forgotten by the next process, and applied again", async () =>
    withDir(async (dir) => {
      const store = await ScratchStore.open({ dir, memoryBytesMax: 10, filesMax: 2 });
      store.put(bytes("a"), bytes("1"));
      await store.save(1);
      for (let i = 0; i < 20; i++) {
        store.put(bytes(`b${i}`), bytes("lost with the process"));
        await store.settle();
      }
      await store.close();
      await using again = await ScratchStore.open({ dir });
      expect([again.savedPosition, contents(again.view())]).toEqual([1, { a: "1" }]);
      const left = (await readdir(dir)).filter((name) => name !== "manifest");
      expect(left.length).toBe(1);
    }));

  it("starts from a snapshot, and not again once it has saved", async () =>
    withDir(async (dir) => {
      const snapshot = { position: 7, entries: [{ key: bytes("a"), value: bytes("1") }] };
      const store = await ScratchStore.open({ dir });
      const entries = [{ sequence: 8, data: bytes("b=2") }];
      const reference = await referenceFrom(entries, { apply, store, snapshot });
      expect([reference.position, contents(store.view())]).toEqual([8, { a: "1", b: "2" }]);
      await expect(reference.load(snapshot)).rejects.toMatchObject({ code: "ERR_SCRUBBER_ARGUMENT" });
      await store.close();
      await using again = await ScratchStore.open({ dir });
      const never = {
        position: 7,
        entries: {
          [Symbol.iterator]: () => {
            throw new Error("not read again");
          },
        },
      };
      expect((await referenceFrom([], { apply, store: again, snapshot: never })).position).toBe(8);
    }));

  it("half a snapshot is no state: the reference takes no part", async () => {
    const reference = await referenceFrom([], { apply });
    const rotten = {
      position: 7,
      entries: (function* () {
        yield { key: bytes("a"), value: bytes("1") };
        throw new Error("object 3 does not match its checksum");
      })(),
    };
    await expect(reference.load(rotten)).rejects.toThrow("object 3");
    const replicas = ["a", "b"].map((name) => replica(name, { a: "1" }, 0));
    expect(await new Scrubber({ replicas, reference, position: () => 0 }).pass()).toMatchObject({
      complete: true,
      absent: [{ replica: "reference", why: "unreachable", cause: { code: "ERR_SCRUBBER_REFERENCE_APPLY" } }],
    });
  });

  it("lets go of what a save has replaced only once the save is durable, and needs not be able to", async () =>
    withDir(async (dir) => {
      await using store = await ScratchStore.open({ dir, memoryBytesMax: 1, filesMax: 1 });
      const step = async (position: number) => {
        for (const key of ["a", "b", "c"]) {
          store.put(bytes(key), bytes(`${position}`));
          await store.settle();
        }
        await store.save(position);
      };
      await step(1);
      const files = await readdir(dir);
      const seen: string[][] = [];
      const synced = await syncedDirectories(
        () => step(2),
        async () => void seen.push(await readdir(dir)),
      );
      expect(new Set(synced)).toEqual(new Set([(await stat(dir)).ino]));
      for (const names of seen) expect(names).toEqual(expect.arrayContaining(files));
      expect(await readdir(dir)).toHaveLength(2);
      const [name] = (await readdir(dir)).filter((one) => one.endsWith(".sorted"));
      await rm(join(dir, name as string));
      await step(3);
      expect([store.savedPosition, contents(store.view())]).toEqual([3, { a: "3", b: "3", c: "3" }]);
    }));

  it("leaves nothing behind of a file that could not be written to its end", async () =>
    withDir(async (dir) => {
      const path = join(dir, "1.sorted");
      const entries = function* () {
        yield { key: bytes("a"), value: bytes("1") };
        throw new Error("the file before it is damaged");
      };
      await expect(SortedFile.write(path, entries())).rejects.toThrow("the file before it is damaged");
      expect(await readdir(dir)).toEqual([]);
    }));

  it("every byte that rots in its files is noticed, and never taken for the state", async () =>
    withDir(async (dir) => {
      const store = await ScratchStore.open({ dir });
      await referenceFrom(log(Array.from({ length: 40 }, (_, i) => `key${i}=${i}`)), { apply, store });
      const expected = contents(store.view());
      await store.close();
      for (const name of await readdir(dir)) {
        const whole = await readFile(join(dir, name));
        for (let at = 0; at < whole.length; at += 7) {
          const spoilt = Buffer.from(whole);
          spoilt[at] = (spoilt[at] as number) ^ 0x10;
          await writeFile(join(dir, name), spoilt);
          await expect(
            (async () => {
              await using again = await ScratchStore.open({ dir });
              expect(contents(again.view())).toEqual(expected);
            })(),
            `${name}, byte ${at}`,
          ).rejects.toMatchObject({ code: "ERR_SCRUBBER_SCRATCH" });
        }
        await writeFile(join(dir, name), whole);
      }
    }));

  it("reads what earlier versions have written", async () =>
    withDir(async (dir) => {
      await cp(new URL("fixtures/scratch-v1", import.meta.url), dir, { recursive: true });
      await using store = await ScratchStore.open({ dir });
      expect([store.savedPosition, contents(store.view())]).toEqual([5, { "": "the empty key", a: "2", b: "" }]);
    }));
});

describe("Reference over a ScratchStore", () => {
  const put = (key: Uint8Array, value: Uint8Array | undefined): Uint8Array =>
    Buffer.concat([Buffer.of(key.length, value === undefined ? 0 : 1), key, value ?? Buffer.alloc(0)]);
  for (const { name, run } of replicaSourceCases(
    async (entries): Promise<SourceUnderTest> => {
      let finish: () => void = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      return await new Promise((resolve, reject) => {
        withDir(async (dir) => {
          const store = await ScratchStore.open({ dir, memoryBytesMax: 5_000, filesMax: 2 });
          const log = entries.map(({ key, value }, index) => ({ sequence: index + 1, data: put(key, value) }));
          const source = await referenceFrom(log, {
            store,
            apply: (state, { data }) => {
              const key = data.subarray(2, 2 + (data[0] as number));
              if (data[1] === 0) state.delete(key);
              else state.put(key, data.subarray(2 + key.length));
            },
          });
          resolve({
            source,
            at: source.position,
            write: async (key, value) => {
              await source.advance([{ sequence: source.position + 1, data: put(key, value) }]);
              return source.position;
            },
            close: finish,
          });
          await finished;
          await store.close();
        }).catch(reject);
      });
    },
    { entriesMany: 120 },
  ))
    it(name, run);
});
