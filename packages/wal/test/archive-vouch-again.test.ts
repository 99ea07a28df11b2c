import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  Archiver,
  FileObjectStore,
  leaveGap,
  memoryObjectStore,
  type ObjectStore,
  restore,
  retain,
  sha256,
  verifyArchive,
  vouchAgain,
  writeSnapshot,
} from "../src/archive/index.js";
import { S3ObjectStore } from "../src/archive/s3/index.js";
import { change, entries, keys, stream } from "./archive-world.js";
import { collect } from "./collect.js";
import { StrictS3 } from "./s3-server/server.js";

const nameOf = (first: number) => `orders%2F7/${String(first).padStart(16, "0")}`;
const manifestOf = (first: number) => `${nameOf(first)}.manifest`;
const objectOf = (first: number) => `${nameOf(first)}.log`;
const flip = (at: number) => (bytes: Uint8Array) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const corrupt = { code: "ERR_ARCHIVE_CORRUPT" };
const hole = { code: "ERR_ARCHIVE_HOLE" };

async function append(store: ObjectStore, first: number, last: number): Promise<void> {
  const archiver = await Archiver.open({ store, stream, compression: first % 2 === 0 ? "brotli" : "none" });
  await archiver.archive(entries(first, last));
}

async function contents(store: ObjectStore): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const key of await keys(store)) all[key] = Buffer.from((await store.get(key)) as Uint8Array).toString("latin1");
  return all;
}

async function copy(from: ObjectStore, to = memoryObjectStore()): Promise<ObjectStore> {
  for (const key of await keys(from)) {
    const bytes = (await from.get(key)) as Uint8Array;
    await to.put(key, bytes, { sha256: sha256(bytes) });
  }
  return to;
}

/** Objects that begin with 1, 4 and 101 (packed in part, the last one late), a state at 50. */
let model: ObjectStore;
let dir: string;
let server: StrictS3;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "evenkeel-vouch-"));
  server = await StrictS3.start();
  model = memoryObjectStore();
  await append(model, 1, 3);
  await append(model, 4, 100);
  await append(model, 101, 103);
  await writeSnapshot({ store: model, stream, sequence: 50, chunks: [Buffer.from("state")] });
});
afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

const ways = {
  gone: () => undefined,
  empty: () => new Uint8Array(),
  "cut off": (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1),
  "changed in a bit": flip(40),
};

describe.each([
  ["files", async () => new FileObjectStore({ dir: await mkdtemp(join(dir, "store-")) })],
  [
    "S3",
    async () => {
      server.reset();
      return new S3ObjectStore({ bucket: server.bucketName, ...server.access });
    },
  ],
])("a manifest in %s", (_, newStore) => {
  it("that is damaged or gone is made anew from its object, to the byte", async () => {
    const store = await copy(model, await newStore());
    for (const [way, first] of [
      ["gone", 1],
      ["empty", 4],
      ["cut off", 101],
      ["changed in a bit", 4],
    ] as const) {
      const before = await store.get(manifestOf(first));
      await change(store, manifestOf(first), ways[way]);
      await vouchAgain({ store, stream, first });
      expect(await store.get(manifestOf(first)), way).toEqual(before);
    }
    expect((await collect(restore({ store, stream }))).length).toBe(103);
  });
});

describe("what is made anew", () => {
  let store: ObjectStore;
  beforeEach(async () => {
    store = await copy(model);
  });

  it("may be all manifests, front to back, and stays as it is where it is whole", async () => {
    const before = await contents(store);
    for (const first of [1, 4, 101]) await store.delete(manifestOf(first));
    await expect(vouchAgain({ store, stream, first: 101 })).rejects.toMatchObject(hole);
    for (const first of [1, 4, 101, 4]) await vouchAgain({ store, stream, first });
    expect(await contents(store)).toEqual(before);
  });

  it("knows how late the entries before it were, also behind a floor and behind a gap", async () => {
    const lateOne = entries(104, 104).map((entry) => ({ ...entry, timeMs: 2e12 }));
    await (await Archiver.open({ store, stream })).archive(lateOne);
    await append(store, 105, 106);
    await writeSnapshot({ store, stream, sequence: 106, chunks: [Buffer.from("late")] });
    await retain({ store, stream, promise: { sinceSequence: 106 } });
    await leaveGap({ store, stream, first: 200, timeMaxMs: 3e12 });
    await append(store, 200, 201);
    const before = await contents(store);
    for (const first of [105, 200]) {
      await change(store, manifestOf(first), flip(9));
      await vouchAgain({ store, stream, first });
    }
    expect(await contents(store)).toEqual(before);
    expect(before[manifestOf(105)]).toContain('"timeMaxMs": 2000000000000');
    for (const first of [104, 107, 199]) {
      const refused = { code: "ERR_ARCHIVE_ARGUMENT", message: expect.stringContaining("first must be from 105 on") };
      await expect(vouchAgain({ store, stream, first }), `${first}`).rejects.toMatchObject(refused);
    }
    // At a floor the state tells whether the object is the one that was there.
    const other = await copy(model);
    await (await Archiver.open({ store: other, stream })).archive(lateOne);
    await append(other, 105, 107);
    const stored = (await other.get(objectOf(105))) as Uint8Array;
    await store.put(objectOf(105), stored, { sha256: sha256(stored) });
    await store.delete(manifestOf(105));
    const message = expect.stringContaining("is not what the state at 106 was made from");
    await expect(vouchAgain({ store, stream, first: 105 })).rejects.toMatchObject({ ...corrupt, message });
  });

  it("says what format 1 did not", async () => {
    const fixture = fileURLToPath(new URL("./fixtures/archive-v1/", import.meta.url));
    const [folder] = await readdir(fixture);
    store = memoryObjectStore();
    for (const name of await readdir(join(fixture, folder as string))) {
      const bytes = await readFile(join(fixture, folder as string, name));
      await store.put(`${folder}/${name}`, bytes, { sha256: sha256(bytes) });
    }
    await change(store, `${folder}/0000000000000001.manifest`, flip(70));
    const made = await vouchAgain({ store, stream: "bücher/7", first: 1 });
    expect(made).toMatchObject({ format: "evenkeel-archive/2", last: 3, timeMaxMs: 1_700_000_000_003 });
    expect(await verifyArchive({ store, stream: "bücher/7" })).toMatchObject({ problems: [], wholeThrough: 3 });
  });

  it("is there, or can be made, whenever the process dies", async () => {
    const before = await contents(store);
    for (let fatal = 0, done = false; !done; fatal++) {
      await change(store, manifestOf(4), flip(9));
      let calls = 0;
      const dies = (name: "put" | "get") =>
        (async (...call: [string, never, never]) => {
          if (calls++ === fatal) throw new Error("killed");
          return await store[name](...call);
        }) as ObjectStore["put"] & ObjectStore["get"];
      const dying = { put: dies("put"), get: dies("get"), list: store.list.bind(store), delete: store.delete };
      done = await vouchAgain({ store: dying, stream, first: 4 }).then(
        () => true,
        (error: Error) => {
          expect(error.message).toBe("killed");
          return false;
        },
      );
      await vouchAgain({ store, stream, first: 4 });
      expect(await contents(store)).toEqual(before);
    }
  });
});

describe("nothing is vouched for, and nothing changed,", () => {
  let store: ObjectStore;
  beforeEach(async () => {
    store = await copy(model);
  });

  async function refused(first: number, error: object, why = ""): Promise<void> {
    const before = await contents(store);
    await expect(vouchAgain({ store, stream, first }), why).rejects.toMatchObject(error);
    expect(await contents(store), why).toEqual(before);
  }

  it("where the object is gone, cut off or damaged in whatever byte", async () => {
    await change(store, manifestOf(101), flip(40));
    const whole = (await store.get(objectOf(101))) as Uint8Array;
    for (let at = 0; at < whole.length; at++) {
      for (const bytes of [flip(at)(whole), whole.slice(0, at)]) {
        await store.put(objectOf(101), bytes, { sha256: sha256(bytes) });
        const code = expect.stringMatching(/^ERR_ARCHIVE_(CORRUPT|UNSUPPORTED)$/);
        await expect(vouchAgain({ store, stream, first: 101 }), `${at}`).rejects.toMatchObject({ code });
      }
    }
    await store.delete(objectOf(101));
    await refused(101, hole);
  });

  it("where an object stands there that is right in itself and not the one that stood there", async () => {
    const other = memoryObjectStore();
    await (await Archiver.open({ store: other, stream })).archive(entries(1, 3, "!"));
    await append(other, 4, 100);
    await append(other, 101, 103);
    const longer = memoryObjectStore();
    await append(longer, 1, 3);
    await append(longer, 4, 99);
    await append(longer, 100, 120);
    const cases: readonly (readonly [ObjectStore, number, number, string])[] = [
      [other, 101, 101, "it does not follow from what stands before it"],
      [other, 1, 1, "what stands behind does not follow from it"],
      [longer, 4, 4, "it ends elsewhere"],
      [model, 4, 101, "it begins elsewhere"],
    ];
    for (const [from, theirs, first, why] of cases) {
      store = await copy(model);
      await store.delete(manifestOf(first));
      const stored = (await from.get(objectOf(theirs))) as Uint8Array;
      await store.put(objectOf(first), stored, { sha256: sha256(stored) });
      await refused(first, corrupt, why);
    }
  });

  it("where a manifest is right and says something else, or is a newer version's", async () => {
    const changed = (from: string, to: string) => (bytes: Uint8Array) => {
      const json = `${Buffer.from(bytes).toString().split("\n").slice(0, -2).join("\n")}\n`.replace(from, to);
      return Buffer.from(`${json}${sha256(Buffer.from(json))}\n`);
    };
    await change(store, manifestOf(4), changed('"storedBytes": ', '"storedBytes": 1'));
    await refused(4, corrupt);
    await change(store, manifestOf(101), changed("evenkeel-archive/2", "evenkeel-archive/3"));
    await refused(101, { code: "ERR_ARCHIVE_UNSUPPORTED" });
  });
});
