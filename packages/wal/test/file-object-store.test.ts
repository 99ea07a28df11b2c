import type * as FsPromises from "node:fs/promises";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { FileObjectStore, type ObjectStore, sha256 } from "../src/archive/index.js";
import { collect } from "./collect.js";

/** Every call of the store's to the file system comes by here first; what throws stands for the operating system. */
const disk = vi.hoisted(() => ({ before: (_call: string): void => undefined }));

vi.mock("node:fs/promises", async (load) => {
  const real = await load<typeof FsPromises>();
  const through =
    <A extends unknown[], R>(name: string, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      disk.before(name);
      return call(...args);
    };
  return {
    ...real,
    link: through("link", real.link),
    mkdir: through("mkdir", real.mkdir as (path: string, options: object) => Promise<string | undefined>),
    rename: through("rename", real.rename),
    readdir: through("readdir", real.readdir as unknown as (path: string) => Promise<string[]>),
    rm: through("rm", real.rm),
    readFile: through("readFile", real.readFile as (path: string) => Promise<Buffer>),
    open: async (path: string, flags: string) => {
      disk.before("open");
      const file = await real.open(path, flags);
      return {
        writeFile: through("writeFile", (bytes: Uint8Array) => file.writeFile(bytes)),
        sync: through("sync", () => file.sync()),
        close: () => file.close(),
      };
    },
  };
});

let work: string;
let dir: string;
let stores = 0;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-files-"));
});
afterAll(() => rm(work, { recursive: true, force: true }));
beforeEach(() => {
  disk.before = () => undefined;
  dir = join(work, `store-${stores++}`);
});

const bytes = (text: string) => Buffer.from(text);
const put = (store: ObjectStore, key: string, text: string, createOnly = true) =>
  store.put(key, bytes(text), { sha256: sha256(bytes(text)), createOnly });
const read = async (store: ObjectStore, key: string) => (await store.get(key))?.toString();
const failing = (call: string, code: string) => {
  disk.before = (name) => {
    if (name === call) throw Object.assign(new Error(`${code}: ${call}`), { code });
  };
};

describe("an error of the operating system", () => {
  const cases: [string, string, string, boolean][] = [
    ["writeFile", "ENOSPC", "ERR_ARCHIVE_FULL", false],
    ["mkdir", "ENOSPC", "ERR_ARCHIVE_FULL", false],
    ["writeFile", "EDQUOT", "ERR_ARCHIVE_FULL", false],
    ["open", "EROFS", "ERR_ARCHIVE_DENIED", false],
    ["mkdir", "EACCES", "ERR_ARCHIVE_DENIED", false],
    ["open", "EMFILE", "ERR_ARCHIVE_STORE", true],
    ["sync", "EIO", "ERR_ARCHIVE_STORE", false],
    ["writeFile", "EIO", "ERR_ARCHIVE_STORE", false],
    ["link", "EPERM", "ERR_ARCHIVE_UNSUPPORTED", false],
    ["link", "ENOTSUP", "ERR_ARCHIVE_UNSUPPORTED", false],
  ];
  for (const [call, errno, code, retryable] of cases) {
    it(`${errno} from ${call} is ${code}; nothing is stored, nothing is left over, and it works again afterwards`, async () => {
      const store = new FileObjectStore({ dir });
      await put(store, "a/before", "one");
      failing(call, errno);
      await expect(put(store, "b/k", "two")).rejects.toMatchObject({ code, retryable, key: "b/k" });
      disk.before = () => undefined;
      expect(await store.get("b/k")).toBeUndefined();
      expect(await readdir(join(dir, ".incoming"))).toEqual([]);
      await put(store, "b/k", "two");
      expect(await collect(store.list(""))).toEqual(["a/before", "b/k"]);
    });
  }

  it("while reading is an error, never a missing object", async () => {
    const store = new FileObjectStore({ dir });
    await put(store, "k", "one");
    for (const errno of ["EIO", "EACCES", "EMFILE"]) {
      failing("readFile", errno);
      await expect(store.get("k")).rejects.toMatchObject({ name: "ArchiveError", retryable: errno === "EMFILE" });
    }
  });
});

it("a listing that fails is no empty one, and a deletion that fails is told", async () => {
  const store = new FileObjectStore({ dir });
  await put(store, "a/k", "one");
  for (const [errno, code] of [
    ["EIO", "ERR_ARCHIVE_STORE"],
    ["EACCES", "ERR_ARCHIVE_DENIED"],
  ] as const) {
    failing("readdir", errno);
    await expect(collect(store.list(""))).rejects.toMatchObject({ code });
    failing("rm", errno);
    await expect(store.delete("a/k")).rejects.toMatchObject({ code, key: "a/k" });
  }
  disk.before = () => undefined;
  expect(await collect(store.list(""))).toEqual(["a/k"]);
});

describe("a process that dies", () => {
  it("at any call to the file system leaves the object whole or not at all, and the next one goes on", async () => {
    for (const createOnly of [true, false]) {
      let calls = 0;
      for (let fatal = 0; fatal <= calls; fatal++) {
        dir = join(work, `store-${stores++}`);
        await put(new FileObjectStore({ dir }), "a/k", "before");
        if (createOnly) await new FileObjectStore({ dir }).delete("a/k");
        calls = 0;
        disk.before = () => {
          if (++calls > fatal) throw new Error("killed");
        };
        await put(new FileObjectStore({ dir }), "a/k", "after", createOnly).catch(() => undefined);
        disk.before = () => undefined;
        const store = new FileObjectStore({ dir });
        const found = await read(store, "a/k");
        expect([createOnly ? undefined : "before", "after"]).toContain(found);
        await store.put("a/k", bytes("again"), { sha256: sha256(bytes("again")) });
        expect(await read(store, "a/k")).toBe("again");
        expect(await collect(store.list(""))).toEqual(["a/k"]);
      }
      expect(calls).toBeGreaterThan(5);
    }
  });

  it("leaves a scratch file that is swept away a day later, and no sooner", async () => {
    await mkdir(join(dir, ".incoming"), { recursive: true });
    for (const [name, hours] of [
      ["old", 25],
      ["young", 23],
    ] as const) {
      await writeFile(join(dir, ".incoming", name), "half of somethi");
      const at = Date.now() / 1000 - hours * 3600;
      await utimes(join(dir, ".incoming", name), at, at);
    }
    await put(new FileObjectStore({ dir }), "k", "one");
    expect(await readdir(join(dir, ".incoming"))).toEqual(["young"]);
  });
});

it("a listing does not leave the directory", async () => {
  await put(new FileObjectStore({ dir: join(dir, "inside") }), "a/k", "one");
  await writeFile(join(dir, "outside"), "not ours");
  const store = new FileObjectStore({ dir: join(dir, "inside") });
  for (const prefix of ["../", "../o", "a/../../", "/", dir]) expect(await collect(store.list(prefix))).toEqual([]);
  expect(await readFile(join(dir, "outside"), "utf8")).toBe("not ours");
});
