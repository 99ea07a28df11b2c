import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  Archiver,
  type ArchiveStreamOptions,
  archiveStream,
  FileObjectStore,
  memoryObjectStore,
  PatientObjectStore,
  restore,
  restoreState,
  retain,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import { S3ObjectStore } from "../src/archive/s3/index.js";
import { salvage, Wal } from "../src/index.js";

/** As it comes from a program without types, or from a configuration. */
type Unlikely = Readonly<Record<string, unknown>>;

const store = memoryObjectStore();
const noStores: readonly unknown[] = [undefined, null, 5, {}, { list: () => [] }];

function refusal(argument: string): object {
  return { code: "ERR_ARCHIVE_ARGUMENT", message: expect.stringMatching(new RegExp(`^${argument} must be`)) };
}

test("a log that is opened with something else than a clock or a file system is refused by its name", async () => {
  for (const now of [null, 5, "now"]) {
    await expect(Wal.open({ dir: "/nowhere", now } as never)).rejects.toMatchObject({
      code: "ERR_WAL_ARGUMENT",
      message: expect.stringMatching(/^now must be/),
    });
  }
  for (const fileSystem of [null, 5, {}]) {
    await expect(Wal.open({ dir: "/nowhere", fileSystem } as never)).rejects.toMatchObject({
      code: "ERR_WAL_ARGUMENT",
      message: expect.stringMatching(/^fileSystem must be/),
    });
  }
});

test("archiving a stream is refused at once, and not tried again for ever as if the store were out of order", () => {
  const stream: ArchiveStreamOptions["stream"] = {
    name: "orders",
    firstSequence: 1,
    lastSequence: 0,
    follow: () => {
      throw new Error("this was not to be begun");
    },
    truncateBefore: async () => undefined,
  };
  const wrong: readonly (readonly [string, Unlikely])[] = [
    ...noStores.map((one) => ["store", { store: one }] as const),
    ["stream", { stream: undefined }],
    ["stream", { stream: "orders" }],
    ["stream", { name: "" }],
    ["bytesPerObjectMax", { bytesPerObjectMax: Number.NaN }],
    ["compression", { compression: "gzip" }],
    ["keepFrom", { keepFrom: 5 }],
    ["entryOf", { entryOf: "data" }],
    ["ageMaxMs", { ageMaxMs: 0 }],
  ];
  for (const [argument, option] of wrong) {
    let thrown: unknown;
    try {
      archiveStream({ stream, store, ...option } as ArchiveStreamOptions);
    } catch (error) {
      thrown = error;
    }
    expect(thrown, JSON.stringify(option)).toMatchObject(refusal(argument));
  }
});

test("what is no object store is refused by everything that needs one", async () => {
  for (const one of noStores) {
    const options = { store: one, stream: "orders" } as never;
    expect(() => restore(options)).toThrow(expect.objectContaining(refusal("store")));
    expect(() => new PatientObjectStore(one as never)).toThrow(expect.objectContaining(refusal("store")));
    await expect(Archiver.open(options)).rejects.toMatchObject(refusal("store"));
    await expect(restoreState(options)).rejects.toMatchObject(refusal("store"));
    await expect(verifyArchive(options)).rejects.toMatchObject(refusal("store"));
    const promise = { sinceMs: 0 };
    await expect(retain({ ...(options as object), promise } as never)).rejects.toMatchObject(refusal("store"));
  }
  expect(() => new PatientObjectStore(store, { timer: 5 } as never)).toThrow(/timer must be/);
});

test("a moment that was misspelt is not taken for the whole archive", async () => {
  for (const until of [null, 5, "now", {}, { time: 7 }]) {
    const options = { store, stream: "orders", until } as never;
    expect(() => restore(options)).toThrow(expect.objectContaining(refusal("until")));
    await expect(restoreState(options)).rejects.toMatchObject(refusal("until"));
  }
  for (const [argument, until] of [
    ["until.sequence", { sequence: undefined }],
    ["until.timeMs", { timeMs: undefined }],
  ] as const) {
    expect(() => restore({ store, stream: "orders", until } as never)).toThrow(
      expect.objectContaining(refusal(argument)),
    );
  }
});

test("retention wants one promise, and a snapshot something to write", async () => {
  for (const promise of [undefined, null, 5, {}, { sinceMs: 1, sinceSequence: 1 }]) {
    await expect(retain({ store, stream: "orders", promise } as never)).rejects.toMatchObject(refusal("promise"));
  }
  for (const chunks of [undefined, 5, {}]) {
    const options = { store, stream: "orders", sequence: 0, chunks } as never;
    await expect(writeSnapshot(options)).rejects.toMatchObject(refusal("chunks"));
  }
});

test("an option that there is not is named, as is null in a value's place, and what is no options object", async () => {
  const code = "ERR_WAL_ARGUMENT";
  const typo = {
    code,
    message: 'an option of Wal.open must be segmentBytes or segmentsBeforeCarry, got "segmentSize"',
  };
  await expect(Wal.open({ dir: "/nowhere", segmentSize: 5 } as never)).rejects.toMatchObject(typo);
  await expect(Wal.open({ dir: "/nowhere", sparesMax: null } as never)).rejects.toMatchObject({ code });
  await expect(Wal.open("/nowhere" as never)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^options must be/),
  });
  await expect(salvage(undefined as never)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^dir must/),
  });
  await expect(salvage({ path: "/nowhere" } as never)).rejects.toMatchObject({ code });

  const calls: Readonly<Record<string, (options: unknown) => unknown>> = {
    archiveStream: async (options) => archiveStream(options as never),
    "Archiver.open": (options) => Archiver.open(options as never),
    restore: async (options) => restore(options as never),
    restoreState: (options) => restoreState(options as never),
    retain: (options) => retain(options as never),
    verifyArchive: (options) => verifyArchive(options as never),
    writeSnapshot: (options) => writeSnapshot(options as never),
    PatientObjectStore: async (options) => new PatientObjectStore(store, options as never),
    FileObjectStore: async (options) => new FileObjectStore(options as never),
    S3ObjectStore: async (options) => new S3ObjectStore(options as never),
  };
  for (const [name, call] of Object.entries(calls)) {
    await expect(call({ storeage: store }), name).rejects.toMatchObject(refusal(`an option of ${name}`));
    await expect(call(5), name).rejects.toMatchObject(refusal("options"));
  }
  for (const name of ["restoreState", "retain", "verifyArchive"]) {
    await expect(calls[name]?.(undefined), name).rejects.toMatchObject(refusal("store"));
  }
});

test("a reader or follower with an option that there is not is refused: it would read from the beginning", async () => {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-arguments-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  await using wal = await Wal.open({ dir });
  const stream = wal.stream("s");
  for (const call of ["read", "readBlocks", "follow"] as const) {
    expect(() => stream[call]({ form: 5 } as never)).toThrow(/^an option of (read|readBlocks|follow) must be/);
    expect(() => stream[call](5 as never)).toThrow(/^options must be/);
  }
});

test("an option of a call that there is not is named, and nothing is written", async () => {
  const dir = await mkdtemp(join(tmpdir(), "wal-arguments-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  await using wal = await Wal.open({ dir });
  const orders = wal.stream("orders");
  const data = Buffer.from("x");
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ["append", () => orders.append(data, { truncateafter: 0 } as never)],
    ["append", () => orders.append(data, new AbortController().signal as never)],
    ["readBlocks", () => orders.readBlocks({ backwards: true } as never)],
    ["room", () => wal.room({ sginal: undefined } as never)],
  ];
  for (const [call, made] of wrong)
    expect(made, call).toThrow(
      expect.objectContaining({
        code: "ERR_WAL_ARGUMENT",
        message: expect.stringMatching(new RegExp(`^an option of ${call} `)),
      }),
    );
  expect(orders.lastSequence).toBe(0);
  const archiver = await Archiver.open({ store, stream: "orders" });
  for (const call of ["archive", "compare"] as const)
    await expect(archiver[call]([], { sginal: undefined } as never)).rejects.toMatchObject(
      refusal(`an option of ${call}`),
    );
});
