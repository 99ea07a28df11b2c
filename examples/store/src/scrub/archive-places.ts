import type { ArchiveReport } from "@evenkeel/wal/archive";
import { firstOf } from "../storage-node/archive-mending.js";

/** What an object of a stream's archive holds: entries of the log from `sequence` on, or the state as of it. */
export interface ArchivePlace {
  readonly kind: "log" | "snapshot";
  readonly sequence: number;
}

export function placeOf(stream: string, key: string): ArchivePlace | undefined {
  const first = firstOf(stream, key);
  if (first !== undefined) return { kind: "log", sequence: first };
  const snapshot = key.startsWith(`${stream}/snapshots/`) ? /(\d{16})[^/]*$/.exec(key) : null;
  return snapshot === null ? undefined : { kind: "snapshot", sequence: Number(snapshot[1]) };
}

/** Whether the archive begins with it: what led up to it was let go of, and nothing can make it anew. */
export function isOldest(
  { kind, sequence }: ArchivePlace,
  { floor, first }: Pick<ArchiveReport, "floor" | "first">,
): boolean {
  return floor > 0 && sequence === (kind === "snapshot" ? floor : first);
}

/** The oldest whole snapshot behind the one with which the archive begins, of those from `from` on: where it can begin as well. */
export function nextBeginning(
  { floor, snapshots }: Pick<ArchiveReport, "floor" | "snapshots">,
  from = floor + 1,
): number | undefined {
  return snapshots.filter((sequence) => sequence >= from).sort((a, b) => a - b)[0];
}

/** What damage to where the archive begins costs, in words. */
export function costOf(report: Pick<ArchiveReport, "floor" | "snapshots">): string {
  const next = nextBeginning(report);
  return next === undefined
    ? `it is where the archive begins, and nothing of it can be restored until another snapshot is written (a repair does)`
    : `it is where the archive begins: moments from slot ${report.floor} to before slot ${next} cannot be restored, those from ${next} on can`;
}
