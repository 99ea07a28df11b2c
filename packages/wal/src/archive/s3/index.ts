export { S3ObjectStore, type S3ObjectStoreStats } from "./s3-object-store.js";
export type { S3ObjectStoreOptions } from "./s3-options.js";
