import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
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
  for (const { name, run } of objectStoreCases(memoryObjectStore, { largeBytes: MiB })) it(name, run);
});

describe("FileObjectStore keeps the contract: it", () => {
  let stores = 0;
  const dir = () => join(work, `store-${stores}`);
  const make = () => {
    stores++;
    return new FileObjectStore({ dir: dir() });
  };
  const reopen = () => new FileObjectStore({ dir: dir() });
  for (const { name, run } of objectStoreCases(make, { reopen, keysMany: 60, largeBytes: 3 * MiB })) it(name, run);
});

const open = (options: Partial<S3ObjectStoreOptions>) =>
  // Small, so that a large object has several parts and a listing several pages.
  new S3ObjectStore({
    bucket: server.bucketName,
    multipartBytes: 6 * MiB,
    partBytes: 5 * MiB,
    keysPerPageMax: 7,
    ...options,
  });

const s3Makers: Record<string, { readonly reopen: () => S3ObjectStore; readonly largeBytes: number }> = {
  S3ObjectStore: { reopen: () => open(server.access), largeBytes: 11 * MiB },
  "S3ObjectStore, with a prefix, objects in one piece and no checksums,": {
    reopen: () => open({ ...server.access, prefix: "backup/eu-1/", multipartBytes: 100 * MiB, checksums: false }),
    largeBytes: MiB,
  },
  // As the SDK makes it by itself: with checksums of its own, sent and wanted.
  "S3ObjectStore, with a client of the user's,": {
    reopen: () => open({ client: new S3Client({ ...server.access, region: "eu-north-1" }) }),
    largeBytes: 7 * MiB,
  },
};

for (const [title, { reopen, largeBytes }] of Object.entries(s3Makers)) {
  describe(`${title} keeps the contract: it`, () => {
    const make = () => {
      server.reset();
      return reopen();
    };
    for (const { name, run } of objectStoreCases(make, { reopen, keysMany: 60, largeBytes })) it(name, run);
  });
}
