import type { Wal } from "@evenkeel/wal";
import { GentlePace } from "./gentle-pace.js";

/** Where reading the node's log goes on: behind this record of this stream. Absent: at its beginning. */
export interface LogPlace {
  readonly stream: string;
  readonly sequence: number;
}

export interface LogDamage {
  readonly stream: string;
  /** From this record on the stream cannot be read; what comes behind it is not looked at. */
  readonly sequence: number;
  /** With file and offset. */
  readonly reason: string;
}

export interface LogStretch {
  readonly bytes: number;
  readonly records: number;
  readonly damages: readonly LogDamage[];
  /** Absent: that was the end. */
  readonly next?: LogPlace;
}

/**
 * Reads a stretch of the node's own log from its files, each record with its checksums, while the log goes on: every stream from its first record to what is
 * durable now. A record that was read when it was written is not asked for again until the node starts anew, and that is when its rot would be found: too late.
 */
export async function scrubLog(
  wal: Pick<Wal, "streams" | "stream">,
  after: LogPlace | undefined,
  bytesMax: number,
): Promise<LogStretch> {
  const damages: LogDamage[] = [];
  const pace = new GentlePace();
  let bytes = 0;
  let records = 0;
  for (const name of wal.streams().sort()) {
    if (after !== undefined && name < after.stream) continue;
    const stream = wal.stream(name);
    let due = Math.max(stream.firstSequence, name === after?.stream ? after.sequence + 1 : 0);
    try {
      if (due > stream.lastSequence) continue;
      for await (const { sequence, data } of stream.read({ from: due })) {
        due = sequence + 1;
        bytes += data.length;
        records++;
        if (bytes >= bytesMax) return { bytes, records, damages, next: { stream: name, sequence } };
        if (pace.isOver(data.length)) await pace.pause();
      }
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: string };
      // What is let go of while it is read has nothing to say any more.
      if (code === "ERR_WAL_TRUNCATED") continue;
      damages.push({ stream: name, sequence: due, reason: message ?? String(error) });
    }
  }
  return { bytes, records, damages };
}
