import { type ArchiveEntry, ArchiveObjectBuilder, entryProblem } from "../core/archive-object.js";
import { crc } from "../fs/checksum.js";
import { divergence } from "./alarm.js";
import type { EntriesToArchive } from "./archiver.js";
import { manifestOf } from "./chain.js";
import { ArchiveError } from "./errors.js";
import { type Floor, gapAt } from "./floor.js";
import { sha256InTurns } from "./hashing.js";
import type { Manifest } from "./manifest.js";
import { readObject, verifyCanonical } from "./object.js";
import type { ObjectStore } from "./object-store.js";
import { sameBytes } from "./sealed-json.js";

/** See `Archiver.compare`. */
export async function compareEntries(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  entries: EntriesToArchive,
  signal: AbortSignal | undefined,
): Promise<number> {
  let manifest: Manifest | undefined;
  let gathered = new ArchiveObjectBuilder(stream, crc);
  let expected: number | undefined;
  let through = 0;
  for await (const entry of entries) {
    signal?.throwIfAborted();
    const problem = entryProblem(entry, stream, expected ?? entry.sequence, crc);
    if (problem !== undefined) {
      throw new ArchiveError("ERR_ARCHIVE_GAP", `stream ${JSON.stringify(stream)}: ${problem}`);
    }
    expected = entry.sequence + 1;
    if (entry.sequence < floor.first || gapAt(floor, entry.sequence) !== undefined) continue;
    manifest ??= await manifestOf(store, stream, entry.sequence, floor, signal);
    if (manifest === undefined) return through;
    gathered.add(entry, manifest.bytes);
    if (entry.sequence < manifest.last) continue;
    await compareObject(store, manifest, gathered, signal);
    through = manifest.last;
    manifest = undefined;
    gathered = new ArchiveObjectBuilder(stream, crc);
  }
  return through;
}

async function compareObject(
  store: ObjectStore,
  manifest: Manifest,
  gathered: ArchiveObjectBuilder,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { bytes, object } = gathered.finish(manifest.previousSha256);
  if (object.first === manifest.first && (await sha256InTurns(bytes)) === manifest.sha256) return;
  const archived: ArchiveEntry[] = [];
  await readObject(store, manifest, (entry) => archived.push(entry), signal);
  const from = object.first - manifest.first;
  await verifyCanonical(bytes, manifest.stream, object.first, (entry) => {
    const theirs = archived[from + entry.sequence - object.first] as ArchiveEntry;
    if (theirs.timeMs === entry.timeMs && sameBytes(theirs.data, entry.data)) return;
    throw divergence(manifest.stream, manifest.object, `entry ${entry.sequence} here is not the one that is archived`);
  });
}
