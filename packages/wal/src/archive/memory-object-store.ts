import { ArchiveError } from "./errors.js";
import { checkKey, checkPut, type ObjectStore } from "./object-store.js";

/** An object store in memory, for tests and trials: durable for as long as the process lives, and without a bound of its own. */
export function memoryObjectStore(): ObjectStore {
  const objects = new Map<string, Uint8Array>();
  return {
    async put(key, bytes, options) {
      options.signal?.throwIfAborted();
      checkPut(key, bytes, options);
      if (options.createOnly === true && objects.has(key)) {
        throw new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key });
      }
      // Not `slice`: a Buffer's is a view of the same memory.
      objects.set(key, new Uint8Array(bytes));
    },
    async get(key, options) {
      options?.signal?.throwIfAborted();
      checkKey(key);
      return objects.get(key)?.slice();
    },
    async *list(prefix, options) {
      options?.signal?.throwIfAborted();
      for (const key of [...objects.keys()].sort()) {
        if (!key.startsWith(prefix) || (options?.after !== undefined && key <= options.after)) continue;
        yield key;
        options?.signal?.throwIfAborted();
      }
    },
    async delete(key, options) {
      options?.signal?.throwIfAborted();
      checkKey(key);
      objects.delete(key);
    },
  };
}
