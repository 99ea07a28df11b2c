import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { LeftGap } from "@evenkeel/wal/archive";
import { reason } from "../reason.js";

/** Rare events of which a person who looks after a store wants to know, as lines. What is tried again by itself is not among them, unless it goes on. */
const LINES: Readonly<Record<string, (message: never) => string | undefined>> = {
  "restore-failed": ({ table, error, isFinal }: { table: string; error: unknown; isFinal: boolean }) =>
    isFinal ? `table ${table} cannot be restored: ${reason(error)}` : undefined,
  "snapshot-unusable": ({ stream, slot, error }: { stream: string; slot: number; error: unknown }) =>
    `the archive's snapshot of ${stream} at ${slot} is damaged, an older one is used: ${reason(error)}`,
  "archive-failed": ({ partition, error, failures }: { partition: number; error: unknown; failures: number }) =>
    failures === FAILURES_TOLD
      ? `partition ${partition} has failed to be archived or trimmed ${failures} times in a row: ${reason(error)}`
      : undefined,
  "archive-vouched-again": ({ partition, from }: { partition: number; from: number }) =>
    `what vouches for slots from ${from} on in the archive of partition ${partition} was damaged or gone, and was made anew: the slots are whole, and nothing is lost`,
  "archive-begun-anew": ({ partition, from, first, lostFromMs }: LeftGap & { partition: number }) =>
    `the archive of partition ${partition} has lost slots ${from} to ${first - 1}, which no log has any more: moments from ${lostFromMs === undefined ? `slot ${from}` : new Date(lostFromMs).toISOString()} on cannot be restored, those from the next snapshot on can, which is written now`,
  "partition-split": ({ partition, parts }: { partition: number; parts: readonly number[] }) =>
    `partition ${partition} was split into ${parts.join(" and ")}`,
  "split-failed": ({ partition, error, failures }: { partition: number; error: unknown; failures: number }) =>
    failures === FAILURES_TOLD
      ? `partition ${partition} has failed to be split ${failures} times in a row: ${reason(error)}`
      : undefined,
  "node-replaced": ({ nodeId }: { nodeId: string }) => `node ${nodeId} does not answer and is replaced`,
};
const FAILURES_TOLD = 5;

/** Tells of what happens in this process, until what it returns is called. */
export function watchNews(tell: (line: string) => void): () => void {
  const ends = Object.entries(LINES).map(([name, lineOf]) => {
    const channel = `evenkeel:store:${name}`;
    const listener = (message: unknown): void => {
      const line = lineOf(message as never);
      if (line !== undefined) tell(line);
    };
    subscribe(channel, listener);
    return () => unsubscribe(channel, listener);
  });
  return () => {
    for (const end of ends) end();
  };
}
