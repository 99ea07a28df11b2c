import type { Random } from "../fault-file-system.js";
import {
  type BatchImage,
  type EntryImage,
  encodeLog,
  type LogImage,
  parseLog,
  type SegmentImage,
} from "./log-image.js";

type Files = ReadonlyMap<string, Uint8Array>;

/** Numbers at which code changes its mind. */
const interesting = [
  0,
  1,
  2,
  3,
  5,
  21,
  22,
  41,
  42,
  63,
  64,
  255,
  256,
  4095,
  4096,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 47,
  2 ** 48 - 1,
];

export const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

/** A number near the one that was there, or one that is interesting anywhere. */
export function changedNumber(random: Random, was: number, max: number): number {
  const value = random() < 0.5 ? was + pick(random, [-2, -1, 1, 2]) : pick(random, interesting);
  return Math.max(0, Math.min(value, max));
}

const u16 = 2 ** 16 - 1;
const u32 = 2 ** 32 - 1;
const u48 = 2 ** 48 - 1;

/** A log with one to four things wrong, in its structure with all checksums right, in its bytes, or both. */
export function mutated(files: Files, random: Random): Map<string, Uint8Array> {
  let result = new Map(files);
  if (random() < 0.75) {
    const image = parseLog(files);
    for (let times = 1 + Math.floor(random() * 3); times > 0; times--) mutateImage(image, random);
    result = encodeLog(image);
  }
  if (random() < 0.35) mutateBytes(result, random);
  return result;
}

function mutateImage(image: LogImage, random: Random): void {
  const segment = pick(random, image.segments) as SegmentImage | undefined;
  const batch = segment && (pick(random, segment.batches) as BatchImage | undefined);
  const what = random();
  if (what < 0.1) mutateMarks(image, random);
  else if (what < 0.25) mutateSegments(image, segment, random);
  else if (batch === undefined || segment === undefined) return;
  else if (what < 0.5) mutateBatch(segment.batches, batch, random);
  else mutateEntry(batch.entries, random, image);
}

function mutateMarks({ marks, segments }: LogImage, random: Random): void {
  const mark = pick(random, marks);
  const last = segments.at(-1)?.batches.at(-1)?.number ?? 1;
  const changes = [
    () => {
      mark.generation = changedNumber(random, mark.generation, u48);
    },
    () => {
      mark.batch = changedNumber(random, last, u48);
    },
    () => {
      mark.segment = changedNumber(random, mark.segment, u48);
    },
    () => {
      mark.version = changedNumber(random, 1, u16);
    },
    () => {
      mark.batchCrcSaid = 1;
    },
    () => {
      mark.logId = mark.logId.map((byte) => byte ^ 1);
    },
  ];
  pick(random, changes)();
}

function mutateSegments({ segments }: LogImage, segment: SegmentImage | undefined, random: Random): void {
  if (segment === undefined) return;
  const changes = [
    () => segments.splice(segments.indexOf(segment), 1),
    () => {
      segment.number = changedNumber(random, segment.number, 10 ** 15 - 1);
    },
    () => {
      segment.version = changedNumber(random, 1, u16);
    },
    () => {
      segment.flags ^= 1;
    },
    () => {
      segment.bytes = changedNumber(random, segment.bytes, 300_000);
    },
    () => {
      segment.batches = [];
    },
    () => {
      const other = pick(random, segments);
      [segment.batches, other.batches] = [other.batches, segment.batches];
    },
    () => {
      segment.salt = pick(random, segments).salt;
    },
  ];
  pick(random, changes)();
}

function mutateBatch(batches: BatchImage[], batch: BatchImage, random: Random): void {
  const at = batches.indexOf(batch);
  const payload = batch.entries.reduce((sum, entry) => sum + 22 + entry.data.length, 0);
  const changes = [
    () => {
      batch.number = changedNumber(random, batch.number, u48);
    },
    () => {
      batch.durableDelta = changedNumber(random, 1, u16);
    },
    () => {
      batch.timeMs = changedNumber(random, batch.timeMs, u48);
    },
    () => {
      batch.countSaid = changedNumber(random, batch.entries.length, u32);
    },
    () => {
      batch.payloadBytesSaid = changedNumber(random, payload, u32);
    },
    () => {
      batch.previousCrcSaid = changedNumber(random, 0, u32);
    },
    () => batches.splice(at, 1),
    () => batches.splice(at, 0, structuredClone(batch)),
    () => {
      const other = pick(random, batches);
      [batch.entries, other.entries] = [other.entries, batch.entries];
    },
    // What follows is renumbered, so that only its contents are wrong.
    () => {
      batches.splice(at, 1);
      for (const later of batches.slice(at)) later.number--;
    },
  ];
  pick(random, changes)();
}

function mutateEntry(entries: EntryImage[], random: Random, image: LogImage): void {
  const entry = pick(random, entries) as EntryImage | undefined;
  if (entry === undefined) return;
  const at = entries.indexOf(entry);
  const anywhere = () => pick(random, pick(random, pick(random, image.segments).batches)?.entries ?? entries) ?? entry;
  const changes = [
    () => {
      entry.type = pick(random, [0, 1, 2, 3, 4, 5, 6, 7, 8, 255]);
    },
    () => {
      entry.stream = changedNumber(random, entry.stream, u32);
    },
    () => {
      entry.sequence = changedNumber(random, entry.sequence, u48);
    },
    () => {
      entry.deltaMs = changedNumber(random, entry.deltaMs, u16);
    },
    () => {
      entry.lengthSaid = changedNumber(random, entry.data.length, u32);
    },
    () => {
      entry.data = entry.data.slice(0, changedNumber(random, entry.data.length, entry.data.length));
    },
    () => {
      entry.data = entry.data.map(() => Math.floor(random() * 256));
    },
    () => {
      entry.reserved = 1;
    },
    () => {
      entry.crcSaid = 1;
    },
    () => entries.splice(at, 1),
    () => entries.splice(at, 0, structuredClone(entry)),
    () => entries.splice(at, 0, structuredClone(anywhere())),
    () => {
      entry.sequence = anywhere().sequence;
    },
    () => entries.splice(at, 0, { ...entry, type: pick(random, [3, 4, 5, 6]), data: new Uint8Array(6) }),
  ];
  pick(random, changes)();
}

function mutateBytes(files: Map<string, Uint8Array>, random: Random): void {
  const name = pick(random, [...files.keys()]);
  const bytes = Uint8Array.from(files.get(name) as Uint8Array);
  files.set(name, bytes);
  if (bytes.length === 0) return;
  const at = Math.floor(random() * bytes.length);
  const what = random();
  if (what < 0.4) for (let n = 0; n < 8; n++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  else if (what < 0.55) bytes.fill(random() < 0.5 ? 0 : 255, at, at + Math.floor(random() * 9000));
  else if (what < 0.7) files.set(name, bytes.slice(0, at));
  else if (what < 0.8) files.set(name, Buffer.concat([bytes, Buffer.alloc(Math.floor(random() * 9000), 3)]));
  else if (what < 0.9) bytes.copyWithin(at, Math.floor(random() * bytes.length), Math.floor(random() * bytes.length));
  else files.set(pick(random, ["999999999999999.wal", "0000000000001.wal", "x.tmp", "owner", "unknown"]), bytes);
}
