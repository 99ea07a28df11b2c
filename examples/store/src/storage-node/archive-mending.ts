import {
  type ArchiveEntry,
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restore,
  sha256,
} from "@evenkeel/wal/archive";
import { StoreError } from "./errors.js";

/** Whatever the objects' own bound was: the range of one object is one object again. */
const BYTES_PER_OBJECT_MAX = 2 ** 30;

export interface MendingOptions {
  readonly store: ObjectStore;
  readonly stream: string;
  /** The object that is damaged begins with this entry, the next one with that; absent: it is the last. */
  readonly first: number;
  readonly next?: number | undefined;
  /** Of this replica's own log. */
  readonly entries: (from: number, through: number) => AsyncIterable<ArchiveEntry>;
  /** How far its log reaches, and the archive as far as it knows. */
  readonly through: number;
  readonly signal: AbortSignal;
}

/**
 * Makes an object of the archive, and its manifest, anew out of a replica's log: the same entries in the same range behind the same neighbour come to the same bytes. It is
 * made beside the archive, read back together with what stands before and behind it, and only then put in the place of what is damaged.
 */
export async function mendArchive(options: MendingOptions): Promise<{ readonly key: string; readonly last: number }> {
  const { store, stream, first, next, entries, through, signal } = options;
  const isOurs = (key: string): boolean => {
    const from = firstOf(stream, key);
    return from !== undefined && from >= first;
  };
  const made = memoryObjectStore();
  const before = layered(store, made, (key) => !isOurs(key));
  const archiver = await Archiver.open({ store: before, stream, bytesPerObjectMax: BYTES_PER_OBJECT_MAX, signal });
  if (archiver.archivedThrough !== first - 1)
    throw new StoreError(
      "ERR_STORE_CONFLICT",
      `${stream}: what stands before entry ${first} in the archive ends at ${archiver.archivedThrough}, and does not vouch for what follows`,
    );
  const last = next === undefined ? through : next - 1;
  await archiver.archive(entries(first, last), { signal });
  if (archiver.archivedThrough !== last)
    throw new StoreError(
      "ERR_STORE_BEHIND",
      `${stream}: this replica's log ends at ${archiver.archivedThrough}, not at ${last}`,
    );

  // What is left stands behind it as it did: its manifest names the hash of what it follows.
  const whole = layered(store, made, () => true);
  const end = next === undefined ? last : next;
  let seen = first - 1;
  for await (const { sequence } of restore({ store: whole, stream, from: first, until: { sequence: end }, signal }))
    seen = sequence;
  if (seen !== end) throw new StoreError("ERR_STORE_CONFLICT", `${stream}: the mended archive ends at ${seen}`);

  let key = "";
  // The object first: a manifest without what it vouches for is worse than one that is damaged.
  const keys: string[] = [];
  for await (const one of made.list("")) keys.push(one);
  for (const one of keys.sort((a, b) => Number(a.endsWith(".manifest")) - Number(b.endsWith(".manifest")))) {
    const bytes = await made.get(one);
    if (bytes === undefined) continue;
    await store.put(one, bytes, { sha256: sha256(bytes), signal });
    if (one.endsWith(".log")) key = one;
  }
  return { key, last };
}

/** Where an object or manifest of the stream's log begins; undefined for any other key. */
export function firstOf(stream: string, key: string): number | undefined {
  const found = key.startsWith(`${stream}/`) ? /^(\d{16})\.(?:log|manifest)$/.exec(key.slice(stream.length + 1)) : null;
  return found === null ? undefined : Number(found[1]);
}

/** `over` before `under`, of which only some keys are seen; everything is put into `over`. */
function layered(under: ObjectStore, over: ObjectStore, isSeen: (key: string) => boolean): ObjectStore {
  return {
    put: (key, bytes, options) => over.put(key, bytes, options),
    delete: (key, options) => over.delete(key, options),
    async get(key, options) {
      return (await over.get(key, options)) ?? (isSeen(key) ? await under.get(key, options) : undefined);
    },
    async *list(prefix, options) {
      const keys = new Set<string>();
      for await (const key of over.list(prefix, options)) keys.add(key);
      for await (const key of under.list(prefix, options)) if (isSeen(key)) keys.add(key);
      yield* [...keys].sort();
    },
  };
}
