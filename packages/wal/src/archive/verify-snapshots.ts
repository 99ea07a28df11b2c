import { ArchiveError } from "./errors.js";
import type { Floor } from "./floor.js";
import { snapshotKey } from "./keys.js";
import type { ObjectStore } from "./object-store.js";
import { snapshotChunks } from "./snapshot.js";
import { readSnapshotManifest, snapshotSequences } from "./snapshot-manifest.js";
import type { KnownObject } from "./verify.js";

/** Reads every snapshot, and judges whether the log that is there is the one that it was made from. */
export async function verifySnapshots(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  log: readonly KnownObject[],
  signal: AbortSignal | undefined,
) {
  const problems: ArchiveError[] = [];
  const whole: number[] = [];
  const keys: string[] = [];
  for (const sequence of await snapshotSequences(store, stream, floor.sequence, signal)) {
    signal?.throwIfAborted();
    const key = snapshotKey(stream, sequence);
    keys.push(key);
    try {
      const manifest = await readSnapshotManifest(store, stream, sequence, signal);
      if (manifest === undefined) {
        throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} should be there and is missing`, { key });
      }
      keys.push(...manifest.parts.map((part) => part.object));
      for await (const _ of snapshotChunks(store, manifest, signal));
      if (sequence === floor.sequence && sequence > 0 && manifest.sha256 !== floor.snapshotSha256) {
        throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} is not the state that retention relied on`, { key });
      }
      const holder = log.find(({ first, last }) => first <= sequence && sequence <= last);
      if (sequence > 0 && holder === undefined) {
        const ends = log.at(-1)?.last ?? 0;
        const what = sequence > ends ? `the log ends at ${ends}` : "the log has a hole there";
        throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key}: ${what}, so nothing leads on from it`, { key });
      }
      if (holder !== undefined && holder.sha256 !== manifest.logSha256) {
        throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} was made from another log than this one`, { key });
      }
      whole.push(sequence);
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      problems.push(error);
    }
  }
  return { problems, whole, keys };
}
