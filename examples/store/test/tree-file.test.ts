import { mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Tree } from "../src/storage-node/tree.js";
import { temporaryDir } from "./support/store.js";

let dir: string;
let remove: () => Promise<void>;
let path: string;
beforeEach(async () => {
  ({ dir, remove } = await temporaryDir());
  path = join(dir, "data.mdb");
  await Tree.open(dir).close();
});
afterEach(() => remove());

test.each([
  ["its first bytes are not what they were", async () => writeFile(path, Buffer.alloc(20_000, 7))],
  [
    "the second header is damaged",
    async () => {
      const bytes = await readFile(path);
      bytes.fill(0xff, 8192, 8300);
      await writeFile(path, bytes);
    },
  ],
  ["it ends within its headers", async () => truncate(path, 4096)],
  [
    "all pages behind the headers are zeros",
    async () => {
      const tree = Tree.open(dir);
      const puts = [{ key: Buffer.from("key"), value: Buffer.from("value") }];
      await tree.commit([{ partition: 1, appliedThrough: 1, timeMs: 1, puts }]);
      await tree.close();
      const bytes = await readFile(path);
      await writeFile(path, bytes.fill(0, 2 * 8192));
    },
  ],
  [
    "its lock is no file",
    async () => {
      await rm(`${path}-lock`);
      await mkdir(`${path}-lock`);
    },
  ],
])(
  "a B-tree of which %s is refused with what to do, where lmdb would end the process or only name a page",
  async (_, damage) => {
    await damage();
    expect(() => Tree.open(dir)).toThrow(
      expect.objectContaining({
        code: "ERR_STORE_CORRUPT",
        message: expect.stringContaining(`move the directory ${dir} away`),
      }),
    );
  },
);

test("an empty file, or none, is a B-tree that is made", async () => {
  await writeFile(path, "");
  await Tree.open(dir).close();
  await rm(path);
  await Tree.open(dir).close();
});

test("what is asked of a B-tree that closes, or has closed, is refused, and lmdb is not asked", async () => {
  const tree = Tree.open(dir);
  const key = Buffer.from("key");
  await tree.commit([{ partition: 1, appliedThrough: 1, timeMs: 1, puts: [] }]);
  const snapshot = tree.snapshot();
  const refusals = new Set<unknown>();
  const ask = (): void => {
    for (const question of [
      () => tree.get(1, key),
      () => tree.applied(1, snapshot),
      () => [...tree.range(1, {})],
      () => [...tree.rawPages(1, snapshot, 100)],
    ])
      try {
        question();
      } catch (error) {
        refusals.add((error as { code?: unknown }).code ?? error);
      }
  };
  let closed = false;
  const closing = tree.close().finally(() => (closed = true));
  while (!closed) {
    ask();
    await new Promise(setImmediate);
  }
  ask();
  await closing;
  expect([...refusals]).toEqual(["ERR_STORE_CLOSED"]);
});
