import { ArchiveError } from "./errors.js";
import { type Floor, type Gap, gapAt } from "./floor.js";
import { manifestKey, objectKey, parseKey, streamPrefix } from "./keys.js";
import { type Manifest, readManifest } from "./manifest.js";
import type { ObjectStore } from "./object-store.js";
import { withSignal } from "./sealed-json.js";

/** Manifests that are asked for ahead of their turn: each costs a round trip, and their keys are listed. */
const manifestsAheadMax = 8;

/** Where each archived object of a stream begins, ascending, from where the archive does. */
export async function archivedFirsts(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal?: AbortSignal,
): Promise<number[]> {
  const firsts: number[] = [];
  const prefix = streamPrefix(stream);
  const after = floor.first > 1 ? { after: objectKey(stream, floor.first - 1) } : {};
  for await (const key of store.list(prefix, { ...after, ...withSignal(signal) })) {
    // Digits stand before letters: behind them are floors and snapshots.
    if (key.charCodeAt(prefix.length) > 0x39) break;
    const parsed = parseKey(stream, key);
    if (parsed?.kind === "manifest" && parsed.first >= floor.first) firsts.push(parsed.first);
  }
  return firsts;
}

/** The last manifest of the archive. */
export async function lastManifest(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal?: AbortSignal,
): Promise<Manifest | undefined> {
  const end = await archiveEnd(store, stream, floor, signal);
  // Whoever took it to end before the gap would miss what is lost, and not know it.
  if (end !== undefined && "from" in end) throw lost(stream, end);
  return end;
}

/**
 * The last manifest of the archive, or the gap that it ends with: nothing is archived behind it yet. A listing may be old: what follows is asked for by name until there
 * is nothing.
 */
export async function archiveEnd(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal?: AbortSignal,
): Promise<Manifest | Gap | undefined> {
  const listed = (await archivedFirsts(store, stream, floor, signal)).at(-1);
  const gap = floor.gaps.at(-1);
  const isBehind = gap !== undefined && (listed ?? 0) < gap.first;
  const first = isBehind ? gap.first : (listed ?? floor.first);
  let last = await readManifest(store, stream, first, signal);
  if (last === undefined && isBehind) return gap;
  if (last === undefined && (listed !== undefined || floor.sequence > 0)) {
    const key = manifestKey(stream, first);
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} should be there and cannot be read`, { key });
  }
  while (last !== undefined) {
    const next = await readManifest(store, stream, last.last + 1, signal);
    if (next === undefined) break;
    last = next;
  }
  return last;
}

/** Where what covers `sequence` begins at the latest, whatever a listing that may be old leaves out: behind the last gap, or where the archive does. */
function beginningBefore({ gaps, first }: Floor, sequence: number): number {
  return gaps.findLast((gap) => gap.first <= sequence)?.first ?? first;
}

function lost(stream: string, { from, first }: Gap): ArchiveError {
  const message = `entries ${from} to ${first - 1} of ${JSON.stringify(stream)} are lost: a moment in them, or behind them and before the next snapshot, cannot be restored`;
  return new ArchiveError("ERR_ARCHIVE_HOLE", message, { key: manifestKey(stream, from) });
}

/** The manifest that covers `sequence`, if it is archived by now. */
export async function manifestOf(
  store: ObjectStore,
  stream: string,
  sequence: number,
  floor: Floor,
  signal?: AbortSignal,
): Promise<Manifest | undefined> {
  if (sequence < floor.first) return undefined;
  const gap = gapAt(floor, sequence);
  if (gap !== undefined) throw lost(stream, gap);
  const exact = await readManifest(store, stream, sequence, signal);
  if (exact !== undefined) return exact;
  const firsts = await archivedFirsts(store, stream, floor, signal);
  let first = Math.max(firsts.findLast((candidate) => candidate <= sequence) ?? 0, beginningBefore(floor, sequence));
  for (;;) {
    const manifest = await readManifest(store, stream, first, signal);
    if (manifest === undefined || sequence <= manifest.last) return manifest;
    first = manifest.last + 1;
  }
}

/** The chain of manifests that covers `from` to `last`, each verified against its neighbour. */
export async function* manifestChain(
  store: ObjectStore,
  stream: string,
  from: number,
  last: number,
  floor: Floor,
  signal?: AbortSignal,
): AsyncGenerator<Manifest, void, undefined> {
  const firsts = await archivedFirsts(store, stream, floor, signal);
  let at = Math.max(
    0,
    firsts.findLastIndex((candidate) => candidate <= from),
  );
  const listed = firsts[at];
  let first = Math.max(listed !== undefined && listed <= from ? listed : 0, beginningBefore(floor, from));
  let previous: string | undefined = first === floor.first ? floor.previousSha256 : undefined;
  const asked = new Map<number, Promise<Manifest | undefined>>();
  const ask = (key: number): Promise<Manifest | undefined> => {
    const known = asked.get(key) ?? readManifest(store, stream, key, signal);
    // One that is never waited for must not count as unhandled.
    known.catch(() => undefined);
    asked.set(key, known);
    return known;
  };
  try {
    while (first <= last) {
      const gap = gapAt(floor, first);
      if (gap !== undefined) throw lost(stream, gap);
      while (at < firsts.length && (firsts[at] as number) <= first) at++;
      const read = ask(first);
      for (const ahead of firsts.slice(at, at + manifestsAheadMax)) if (ahead <= last) void ask(ahead);
      const manifest = await read;
      asked.delete(first);
      const key = objectKey(stream, first);
      if (manifest === undefined) {
        throw new ArchiveError("ERR_ARCHIVE_HOLE", `the manifest of ${key} is missing`, { key });
      }
      if (previous !== undefined && manifest.previousSha256 !== previous) {
        throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} does not follow from the object before it`, { key });
      }
      // A listing that is behind may have named an object that ends before `from`: then the next one is meant.
      if (manifest.last >= from) yield manifest;
      previous = manifest.sha256;
      first = manifest.last + 1;
    }
  } finally {
    await Promise.allSettled(asked.values());
  }
}
