import { bytesText } from "./command-progress.js";
import { pageBytes } from "./core/headers.js";
import type { WalRecord } from "./reader.js";
import type { Damage, Salvage, SalvagedSegment, SalvagedStream } from "./salvage.js";

/** How what was found is written for people and for programs: the shapes of `--json` are a promise like any other. */
export const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

const previewBytes = 60;

function statsOf({ streams, batches }: Salvage) {
  return {
    batches,
    streams: streams.map(({ name, firstSequence, lastSequence, missing }) => ({
      name,
      firstSequence,
      lastSequence,
      missing,
    })),
  };
}

export function statsJson(found: Salvage): string {
  return json(statsOf(found));
}

export function verifyJson(found: Salvage): string {
  return json({ ok: !isDamaged(found), ...statsOf(found), damages: found.damages });
}

export function inspectJson(found: Salvage): string {
  const segments = found.segments.map((segment) => ({ ...segment, liveShare: liveShare(segment) }));
  return json({ mark: found.mark, segments, ...statsOf(found), damages: found.damages });
}

/** Whether anything is damaged that was acknowledged. */
export function isDamaged(found: Salvage): boolean {
  return found.damages.some((damage) => damage.wasDurable);
}

export function verifyText(found: Salvage): string {
  const damages = found.damages.map((damage) => `${damageText(damage)}\n`);
  const missing = found.streams.flatMap((stream) => missingText(stream).map((text) => `${text}\n`));
  const whole = `${found.batches} batches of ${found.streams.length} streams are right\n`;
  return [whole, ...damages, ...missing].join("");
}

export function statsText({ streams, batches }: Salvage): string {
  return [`${batches} batches, ${streams.length} streams\n`, ...streams.flatMap(streamLines)].join("");
}

function streamLines(stream: SalvagedStream): string[] {
  const { name, firstSequence: first, lastSequence: last } = stream;
  const bounds = last < first ? `empty, next ${last + 1}` : `${first} to ${last}`;
  return [`${JSON.stringify(name)}: ${bounds}\n`, ...missingText(stream).map((text) => `  ${text}\n`)];
}

export function inspectText(found: Salvage): string {
  const { segments, mark, streams } = found;
  const sum = (of: (segment: SalvagedSegment) => number) => segments.reduce((all, segment) => all + of(segment), 0);
  const overview = `${segments.length} segments, ${bytesText(sum(({ bytes }) => bytes))}; ${found.batches} batches, ${streams.length} streams, ${sum(({ liveRecords }) => liveRecords)} live records\n`;
  const marked =
    mark === undefined
      ? "marks: missing or damaged\n"
      : `marks: durable through batch ${mark.batch} in segment ${mark.segment}, written ${time(mark.writtenMs)}; log ${mark.logId}\n`;
  const rows = segments.map(segmentRow);
  const widths = segmentColumns.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `${cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd()}\n`;
  return [overview, marked, "\n", ...[segmentColumns, ...rows].map(line), "\n", ...streams.flatMap(streamLines)].join(
    "",
  );
}

const segmentColumns = [
  "segment",
  "bytes",
  "used",
  "live",
  "batches",
  "first",
  "last",
  "salt",
  "made",
  "last batch",
] as const;

function segmentRow(segment: SalvagedSegment): string[] {
  const { number, bytes, end, header, batches } = segment;
  const start = [`${number}`, bytesText(bytes)];
  if (header === undefined) return [...start, "", "", "", "", "", "damaged"];
  const salt = `${header.salt}${header.recycled ? " (reused)" : ""}`;
  const made = time(header.createdMs);
  if (batches === undefined) return [...start, "0 B", "", "0", "", "", salt, made];
  const { count, from, to, toMs } = batches;
  const live = `${Math.round(100 * liveShare(segment))} %`;
  return [...start, bytesText(end), live, `${count}`, `${from}`, `${to}`, salt, made, time(toMs)];
}

/** Of what is used. */
function liveShare({ liveBytes, end }: SalvagedSegment): number {
  return end > pageBytes ? Math.min(1, liveBytes / (end - pageBytes)) : 0;
}

export function damageText({ file, from, to, batches, reason, wasDurable }: Damage): string {
  const lost = batches === undefined ? "" : `, batches ${batches.from} to ${batches.to} are lost`;
  const doubt = wasDurable ? "" : " (an append that was cut off, or the very last one that was acknowledged)";
  return `${file}: bytes ${from} to ${to}: ${reason}${lost}${doubt}`;
}

function missingText({ name, missing }: SalvagedStream): string[] {
  return missing.map(({ from, to }) => `stream ${JSON.stringify(name)}: records ${from} to ${to} are missing`);
}

export function recordJson(stream: string, { sequence, timeMs, data }: WalRecord): string {
  return `${JSON.stringify({ stream, sequence, timeMs, data: Buffer.from(data).toString("base64") })}\n`;
}

export function recordText(stream: string, { sequence, timeMs, data }: WalRecord): string {
  const preview = Buffer.from(data.subarray(0, previewBytes))
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, ".");
  return `${JSON.stringify(stream)} ${sequence} ${time(timeMs)} ${data.length} B ${preview}\n`;
}

/** The clock may have said anything. */
function time(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}
