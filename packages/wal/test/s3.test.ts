import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { S3ObjectStore, type S3ObjectStoreOptions } from "../src/archive/s3/index.js";
import { objectStoreCases } from "../src/testing/index.js";
import { StrictS3 } from "./s3-server/server.js";

let server: StrictS3;
beforeAll(async () => {
  server = await StrictS3.start();
});
afterAll(() => server.close());
beforeEach(() => server.reset());

const open = (options: Partial<S3ObjectStoreOptions> = {}) =>
  new S3ObjectStore({
    bucket: server.bucketName,
    endpoint: server.endpoint,
    credentials: server.credentials,
    forcePathStyle: true,
    keysPerPageMax: 7,
    ...options,
  });

describe("S3ObjectStore keeps the contract: it", () => {
  for (const { name, run } of objectStoreCases(() => open())) it(name, run);
});
