import { type Ballot, sameBallot } from "../core/ballot.js";
import { ByteReader, ByteWriter, corrupt } from "../core/bytes.js";
import { readPosition, writePosition } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Entry, PersistWrite, Position } from "../core/types.js";

/*
 * One write of a group as records of its stream (varint = LEB128, unsigned, at most 2^53-1; ballot = varint round, varint length + utf8 node):
 *
 *   version u8 = 1
 *   flags u8       1 promised | 2 accepted | 4 truncateFrom | 8 chosenThrough | 16 entries | 32 trimmedThrough | 128 a second byte of flags follows
 *   flags2 u8      1 reset | 2 base | 4 installing | 8 births
 *   promised       ballot
 *   accepted       ballot
 *   truncateFrom   varint
 *   chosenThrough  varint
 *   trimmedThrough varint
 *   reset          position
 *   base           position
 *   installing     position
 *   births         varint count, then for each: varint length + utf8 node, varint length + utf8 mark
 *   entries        varint first slot, varint count, then for each:
 *                  head u8 (the kind: 0 command, 1 noop, 2 config, 3 once; +128: the ballot of the entry before), ballot unless +128,
 *                  varint length + command
 *
 * position = varint slot, ballot, varint slot of the configuration, varint length + configuration as in a config entry
 *
 * Checksums, and the atomicity of a write that takes several records, are the log's.
 */
export const recordVersion = 1;
const flag = { promised: 1, accepted: 2, truncateFrom: 4, chosenThrough: 8, entries: 16, trimmedThrough: 32 } as const;
const moreFlags = 128;
const knownFlags = 63 | moreFlags;
const flag2 = { reset: 1, base: 2, installing: 4, births: 8 } as const;
const positions = ["reset", "base", "installing"] as const;
const knownFlags2 = 15;
const kindCodes = ["command", "noop", "config", "once"] as const satisfies readonly Entry["kind"][];
const sameBallotAsBefore = 128;
const scratch = new ByteWriter(4096);
/** What the scratch buffer may grow to; larger records get a buffer of their own. Most of a piece of catch-up, each of which would else be a buffer that is filled with zeros and thrown away. */
const scratchBytesMax = 2 * 1024 * 1024;

/** A write, or (with `trimmedThrough`) the whole of a group's small state, written before older records are let go. */
export interface LogRecord extends PersistWrite {
  readonly trimmedThrough?: number;
  /** Slot `trimmedThrough`. */
  readonly base?: Position;
  /** The state machine is about to become durable at this slot, ahead of the log. */
  readonly installing?: Position;
  /** Under which marks the logs of this group's nodes were born. */
  readonly births?: ReadonlyMap<string, string>;
}

export function encodeRecord(record: LogRecord): Uint8Array {
  return written(record).take();
}

/** The same in bytes that are good until the next record is encoded. */
export function lendRecord(record: LogRecord): Uint8Array {
  return written(record).lend();
}

function written(record: LogRecord): ByteWriter {
  const entries = record.entries ?? [];
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as Entry;
    const follows = entry.slot === (entries[0] as Entry).slot + index;
    if (!follows)
      throw new PaxosError("ERR_PAXOS_INVARIANT", `slot ${entry.slot} does not follow on the one before it`);
    bytes += entry.command.length + 64;
  }
  const out = bytes > scratchBytesMax / 2 ? new ByteWriter(bytes) : scratch;
  out.byte(recordVersion);
  const { births } = record;
  const second = secondFlags(record);
  out.byte(
    (second !== 0 ? moreFlags : 0) |
      (record.promised ? flag.promised : 0) |
      (record.accepted ? flag.accepted : 0) |
      (record.truncateFrom !== undefined ? flag.truncateFrom : 0) |
      (record.chosenThrough !== undefined ? flag.chosenThrough : 0) |
      (entries.length > 0 ? flag.entries : 0) |
      (record.trimmedThrough !== undefined ? flag.trimmedThrough : 0),
  );
  if (second !== 0) out.byte(second);
  if (record.promised) writeBallot(out, record.promised);
  if (record.accepted) writeBallot(out, record.accepted);
  if (record.truncateFrom !== undefined) out.varint(record.truncateFrom);
  if (record.chosenThrough !== undefined) out.varint(record.chosenThrough);
  if (record.trimmedThrough !== undefined) out.varint(record.trimmedThrough);
  for (const name of positions) if (record[name]) writePosition(out, record[name]);
  if (births !== undefined && births.size > 0) {
    out.varint(births.size);
    for (const [node, birth] of births) {
      out.text(node);
      out.text(birth);
    }
  }
  if (entries.length > 0) writeEntries(out, entries);
  return out;
}

function secondFlags({ reset, base, installing, births }: LogRecord): number {
  return (
    (reset ? flag2.reset : 0) |
    (base ? flag2.base : 0) |
    (installing ? flag2.installing : 0) |
    (births !== undefined && births.size > 0 ? flag2.births : 0)
  );
}

function writeEntries(out: ByteWriter, entries: readonly Entry[]): void {
  out.varint((entries[0] as Entry).slot);
  out.varint(entries.length);
  let before: Ballot | undefined;
  for (const entry of entries) {
    const { ballot, kind, command } = entry;
    const same = before !== undefined && (before === ballot || sameBallot(before, ballot));
    out.byte((kind === "command" ? 0 : kindCodes.indexOf(kind)) | (same ? sameBallotAsBefore : 0));
    if (!same) writeBallot(out, ballot);
    before = ballot;
    out.blob(command);
  }
}

function writeBallot(out: ByteWriter, ballot: Ballot): void {
  out.varint(ballot.round);
  out.text(ballot.node);
}

function readBallot(input: ByteReader): Ballot {
  return { round: input.varint(), node: input.text() };
}

/** The commands are copies: `data` may be reused. */
export function decodeRecord(data: Uint8Array): LogRecord {
  const input = new ByteReader(data);
  const version = input.byte();
  if (version !== recordVersion) {
    throw new PaxosError(
      "ERR_PAXOS_UNSUPPORTED",
      `a log record of version ${version}, this release reads ${recordVersion}: run the release that wrote it, or a later one`,
    );
  }
  const flags = input.byte();
  if ((flags & ~knownFlags) !== 0)
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a log record with unknown flags ${flags}`);
  const second = flags & moreFlags ? input.byte() : 0;
  if ((second & ~knownFlags2) !== 0)
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a log record with unknown flags ${second}`);
  const record: { -readonly [K in keyof LogRecord]: LogRecord[K] } = {};
  if (flags & flag.promised) record.promised = readBallot(input);
  if (flags & flag.accepted) record.accepted = readBallot(input);
  if (flags & flag.truncateFrom) record.truncateFrom = input.varint();
  if (flags & flag.chosenThrough) record.chosenThrough = input.varint();
  if (flags & flag.trimmedThrough) record.trimmedThrough = input.varint();
  for (const name of positions) if (second & flag2[name]) record[name] = readPosition(input);
  if (second & flag2.births) {
    const births = new Map<string, string>();
    for (let left = input.varint(); left > 0; left--) births.set(input.text(), input.text());
    record.births = births;
  }
  if (flags & flag.entries) record.entries = readEntries(input);
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  return record;
}

function readEntries(input: ByteReader): Entry[] {
  const first = input.varint();
  const count = input.varint();
  const entries: Entry[] = [];
  let ballot: Ballot | undefined;
  for (let index = 0; index < count; index++) {
    const head = input.byte();
    const kind = kindCodes[head & 127];
    if (!kind) throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a log entry of unknown kind ${head & 127}`);
    if (!(head & sameBallotAsBefore)) ballot = readBallot(input);
    if (!ballot) throw corrupt("an entry without a ballot");
    entries.push({ slot: first + index, ballot, kind, command: input.blob() });
  }
  return entries;
}
