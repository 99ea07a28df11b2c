import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { FileObjectStore, memoryObjectStore } from "../src/archive/index.js";
import { S3ObjectStore, type S3ObjectStoreOptions } from "../src/archive/s3/index.js";
import { objectStoreCases } from "../src/testing/index.js";
import { StrictS3 } from "./s3-server/server.js";

const MiB = 1024 * 1024;

let work: string;
let server: StrictS3;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-stores-"));
  server = await StrictS3.start();
});
afterAll(async () => {
  await server.close();
  await rm(work, { recursive: true, force: true });
});

describe("memoryObjectStore keeps the contract: it", () => {
  for (const { name, run } of objectStoreCases(memoryObjectStore)) it(name, run);
});

describe("FileObjectStore keeps the contract: it", () => {
  let stores = 0;
  const dir = () => join(work, `store-${stores}`);
  const make = () => {
    stores++;
    return new FileObjectStore({ dir: dir() });
  };
  const reopen = () => new FileObjectStore({ dir: dir() });
  for (const { name, run } of objectStoreCases(make, { reopen, keysMany: 60 })) it(name, run);
});

const open = (options: Partial<S3ObjectStoreOptions> = {}) =>
  new S3ObjectStore({
    bucket: server.bucketName,
    endpoint: server.endpoint,
    credentials: server.credentials,
    forcePathStyle: true,
    // Small, so that a large object has several parts and a listing several pages.
    multipartBytes: 6 * MiB,
    partBytes: 5 * MiB,
    keysPerPageMax: 7,
    ...options,
  });

for (const [title, options] of [
  ["S3ObjectStore", {}],
  ["S3ObjectStore, with a prefix and whole objects,", { prefix: "backup/eu-1/", multipartBytes: 100 * MiB }],
] as const) {
  describe(`${title} keeps the contract: it`, () => {
    const make = () => {
      server.reset();
      return open(options);
    };
    const reopen = () => open(options);
    for (const { name, run } of objectStoreCases(make, { reopen, keysMany: 60, largeBytes: 11 * MiB })) it(name, run);
  });
}
