import { channel } from "node:diagnostics_channel";
import { ArchiveError } from "./errors.js";

const diverged = channel("evenkeel:wal:archive-diverged");

/** Two replicas do not say the same of one thing: an error, and out on the channel for whoever watches. */
export function divergence(stream: string, key: string, what: string): ArchiveError {
  const message = `${key}: ${what}; nothing was overwritten. Find out which side is wrong before archiving more`;
  const error = new ArchiveError("ERR_ARCHIVE_DIVERGED", message, { key });
  if (diverged.hasSubscribers) diverged.publish({ stream, key, error });
  return error;
}
