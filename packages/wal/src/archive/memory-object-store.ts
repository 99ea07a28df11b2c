import { ArchiveError } from "./errors.js";
import { checkKey, checkPut, type ObjectStore } from "./object-store.js";

/** An object store in memory, for tests and trials: durable for as long as the process lives. */
export function memoryObjectStore(): ObjectStore {
  const objects = new Map<string, Uint8Array>();
  return {
    async put(key, bytes, options) {
      options.signal?.throwIfAborted();
      checkPut(key, bytes, options);
      if (options.createOnly === true && objects.has(key)) {
        throw new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key });
      }
      objects.set(key, bytes.slice());
    },
    async get(key, options) {
      options?.signal?.throwIfAborted();
      checkKey(key);
      return objects.get(key)?.slice();
    },
    async *list(prefix, options) {
      for (const key of [...objects.keys()].sort()) {
        options?.signal?.throwIfAborted();
        if (key.startsWith(prefix) && (options?.after === undefined || key > options.after)) yield key;
      }
    },
    async delete(key, options) {
      options?.signal?.throwIfAborted();
      checkKey(key);
      objects.delete(key);
    },
  };
}
