import { type PassReport, type PassRunOptions, type ScrubUnit, sequenceKey } from "@evenkeel/scrubber";
import { ArchiveError, type ArchiveReport, type ObjectStore, verifyArchive } from "@evenkeel/wal/archive";
import { GentlePace } from "../storage-node/gentle-pace.js";
import { costOf, isOldest, placeOf } from "./archive-places.js";
import type { Take } from "./archive-reference.js";

/** The archive of one partition's log, read from end to end: every object against its manifest, every manifest against its neighbours, every snapshot. */
export function archiveUnit(name: string, archive: ObjectStore, stream: string): ScrubUnit {
  let seenThrough: number | undefined;
  return {
    name,
    async pass({ take = () => {}, signal, onStep }: PassRunOptions): Promise<PassReport> {
      const store = paced(archive, async (bytes) => {
        await take(bytes);
        await onStep?.({ through: undefined, bytes, findings: 0 });
      });
      const report = await verifyArchive({ store, stream, ...(signal === undefined ? {} : { signal }) });
      const { problems, wholeThrough, entries, storedBytes, first } = report;
      const since = { after: seenThrough, by: wholeThrough };
      if (problems.length === 0) seenThrough = wholeThrough;
      return {
        at: wholeThrough,
        compared: [name],
        absent: [],
        complete: true,
        divergences: [],
        unreadable: problems.map((cause) => ({
          replica: "archive",
          where: "archive",
          since,
          range: { from: sequenceKey(first), to: undefined },
          cause: withCost(cause, stream, report),
        })),
        unexamined: [],
        unstable: [],
        keys: entries,
        bytes: storedBytes,
        exchanges: 0,
      };
    },
  };
}

/** Of what nothing can make anew: what is lost with it. */
function withCost(problem: ArchiveError, stream: string, report: ArchiveReport): ArchiveError {
  const place = problem.key === undefined ? undefined : placeOf(stream, problem.key);
  if (place === undefined || !isOldest(place, report)) return problem;
  return new ArchiveError(problem.code, `${problem.message}; ${costOf(report)}`, {
    key: problem.key as string,
    cause: problem,
  });
}

/** Reads no faster than it is let, and not before it has rested from what it has read. */
function paced(archive: ObjectStore, take: Take): ObjectStore {
  const pace = new GentlePace();
  return {
    put: (key, bytes, options) => archive.put(key, bytes, options),
    list: (prefix, options) => archive.list(prefix, options),
    delete: (key, options) => archive.delete(key, options),
    async get(key, options) {
      await pace.pause();
      const bytes = await archive.get(key, options);
      await take(bytes?.length ?? 0);
      pace.resume();
      return bytes;
    },
  };
}
