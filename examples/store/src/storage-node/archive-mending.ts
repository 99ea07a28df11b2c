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

interface LogAndArchive {
  readonly store: ObjectStore;
  readonly stream: string;
  /** Of this replica's own log. */
  readonly entries: (from: number, through: number) => AsyncIterable<ArchiveEntry>;
  readonly signal: AbortSignal;
}

export interface MendingOptions extends LogAndArchive {
  /** The object that is damaged begins with this entry, the next one with that; absent: it is the last. */
  readonly first: number;
  readonly next?: number | undefined;
  /** How far its log reaches, and the archive as far as it knows. */
  readonly through: number;
}

/**
 * Makes an object of the archive, and its manifest, anew out of a replica's log: the same entries in the same range behind the same neighbour come to the same bytes. It is
 * made beside the archive, read back together with what stands before and behind it, and only then put in the place of what is damaged.
 */
export async function mendArchive(options: MendingOptions): Promise<{ readonly key: string; readonly last: number }> {
  const { stream, first, next, through } = options;
  const last = next === undefined ? through : next - 1;
  const made = await madeBeside(options, first, last);
  // What is left stands behind it as it did: its manifest names the hash of what it follows.
  await readBack(options, made, () => true, first, next === undefined ? last : next);
  await putInPlace(options, made);
  return { key: keyOf(stream, first), last };
}

export interface ArchivingAgainOptions extends LogAndArchive {
  /** With which entry an object begins: it and all behind it are made anew. */
  readonly first: number;
  /** With which entry the archive ends. */
  readonly through: number;
}

/**
 * Puts what a replica's log says in the place of what the archive says, from one object on: for an object that is whole and says something else. Each has the hash of the one before it in its manifest, so all behind it are
 * made anew as well, with the entries that they had. One after another, each made beside the archive and read back behind its neighbour before it is put in its place: an object's worth of memory, however
 * many there are. Broken off in between, the archive is whole up to an object that does not follow; the same may be done again from there.
 */
export async function archiveAgain(options: ArchivingAgainOptions): Promise<{ readonly objects: number }> {
  const { store, stream, first, through } = options;
  const found = new Set<number>();
  for await (const key of store.list(`${stream}/`)) found.add(firstOf(stream, key) ?? 0);
  const firsts = [...found].filter((one) => one >= first).sort((a, b) => a - b);
  if (firsts[0] !== first)
    throw new StoreError("ERR_STORE_CONFLICT", `${stream}: no object of the archive begins with entry ${first}`);
  if ((firsts.at(-1) as number) > through)
    throw new StoreError("ERR_STORE_CONFLICT", `${stream}: the archive has gone on beyond entry ${through} meanwhile`);
  for (const [i, from] of firsts.entries()) {
    const last = (firsts[i + 1] ?? through + 1) - 1;
    const made = await madeBeside(options, from, last);
    await readBack(options, made, (key) => (firstOf(stream, key) ?? 0) < from, from, last);
    await putInPlace(options, made);
  }
  return { objects: firsts.length };
}

/** An object of these entries, with its manifest, behind what the archive has before it. */
async function madeBeside(
  { store, stream, entries, signal }: LogAndArchive,
  first: number,
  last: number,
): Promise<ObjectStore> {
  const made = memoryObjectStore();
  const before = layered(store, made, (key) => (firstOf(stream, key) ?? 0) < first);
  const archiver = await Archiver.open({ store: before, stream, bytesPerObjectMax: BYTES_PER_OBJECT_MAX, signal });
  if (archiver.archivedThrough !== first - 1)
    throw new StoreError(
      "ERR_STORE_CONFLICT",
      `${stream}: what stands before entry ${first} in the archive ends at ${archiver.archivedThrough}, and does not vouch for what follows`,
    );
  await archiver.archive(entries(first, last), { signal });
  if (archiver.archivedThrough !== last)
    throw new StoreError(
      "ERR_STORE_BEHIND",
      `${stream}: this replica's log ends at ${archiver.archivedThrough}, not at ${last}`,
    );
  return made;
}

/** What was made, together with those objects of the archive that are `seen`. */
async function readBack(
  { store, stream, signal }: LogAndArchive,
  made: ObjectStore,
  seen: (key: string) => boolean,
  first: number,
  end: number,
): Promise<void> {
  const whole = layered(store, made, seen);
  let through = first - 1;
  for await (const { sequence } of restore({ store: whole, stream, from: first, until: { sequence: end }, signal }))
    through = sequence;
  if (through !== end) throw new StoreError("ERR_STORE_CONFLICT", `${stream}: the mended archive ends at ${through}`);
}

/** The object first: a manifest without what it vouches for is worse than one that is damaged. */
async function putInPlace({ store, signal }: LogAndArchive, made: ObjectStore): Promise<void> {
  const keys: string[] = [];
  for await (const one of made.list("")) keys.push(one);
  for (const one of keys.sort((a, b) => Number(a.endsWith(".manifest")) - Number(b.endsWith(".manifest")))) {
    const bytes = await made.get(one);
    if (bytes !== undefined) await store.put(one, bytes, { sha256: sha256(bytes), signal });
  }
}

/** Of the object of a stream's log that begins with this entry. */
export const keyOf = (stream: string, first: number): string => `${stream}/${String(first).padStart(16, "0")}.log`;

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
