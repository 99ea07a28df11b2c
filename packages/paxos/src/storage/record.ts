import type { Ballot } from "../core/ballot.js";
import { PaxosError } from "../core/errors.js";
import type { Entry, PersistWrite } from "../core/types.js";

/*
 * One write of a group as records of its stream (varint = LEB128, unsigned, at most 2^53-1; ballot = varint round, varint length + utf8 node):
 *
 *   version u8 = 1
 *   flags u8       1 promised | 2 accepted | 4 truncateFrom | 8 chosenThrough | 16 entries | 32 trimmedThrough
 *   promised       ballot
 *   accepted       ballot
 *   truncateFrom   varint
 *   chosenThrough  varint
 *   trimmedThrough varint
 *   entries        varint first slot, varint count, then for each:
 *                  head u8 (the kind: 0 command, 1 noop; +128: the ballot of the entry before), ballot unless +128,
 *                  varint length + command
 *
 * Checksums, and the atomicity of a write that takes several records, are the log's.
 */
export const recordVersion = 1;
const flag = { promised: 1, accepted: 2, truncateFrom: 4, chosenThrough: 8, entries: 16, trimmedThrough: 32 } as const;
const knownFlags = 63;
const kindCodes = ["command", "noop"] as const satisfies readonly Entry["kind"][];
const sameBallotAsBefore = 128;

/** A write, or (with `trimmedThrough`) the whole of a group's small state, written before older records are let go. */
export interface LogRecord extends PersistWrite {
  readonly trimmedThrough?: number;
}

export function encodeRecord(record: LogRecord): Buffer {
  const entries = record.entries ?? [];
  let size = 64 + ballotBytesMax(record.promised) + ballotBytesMax(record.accepted);
  for (const entry of entries) size += entry.command.length + 16 + ballotBytesMax(entry.ballot);
  const w = new Writer(Buffer.allocUnsafe(size));
  w.byte(recordVersion);
  w.byte(
    (record.promised ? flag.promised : 0) |
      (record.accepted ? flag.accepted : 0) |
      (record.truncateFrom !== undefined ? flag.truncateFrom : 0) |
      (record.chosenThrough !== undefined ? flag.chosenThrough : 0) |
      (entries.length > 0 ? flag.entries : 0) |
      (record.trimmedThrough !== undefined ? flag.trimmedThrough : 0),
  );
  if (record.promised) w.ballot(record.promised);
  if (record.accepted) w.ballot(record.accepted);
  if (record.truncateFrom !== undefined) w.varint(record.truncateFrom);
  if (record.chosenThrough !== undefined) w.varint(record.chosenThrough);
  if (record.trimmedThrough !== undefined) w.varint(record.trimmedThrough);
  if (entries.length > 0) writeEntries(w, entries);
  return w.done();
}

function writeEntries(w: Writer, entries: readonly Entry[]): void {
  let next = (entries[0] as Entry).slot;
  w.varint(next);
  w.varint(entries.length);
  let before: Ballot | undefined;
  for (const entry of entries) {
    if (entry.slot !== next++) {
      throw new PaxosError("ERR_PAXOS_ARGUMENT", `entries must be contiguous, slot ${entry.slot} stands where ${next - 1} belongs`);
    }
    const same = before !== undefined && before.round === entry.ballot.round && before.node === entry.ballot.node;
    w.byte(kindCodes.indexOf(entry.kind) | (same ? sameBallotAsBefore : 0));
    if (!same) w.ballot(entry.ballot);
    before = entry.ballot;
    w.varint(entry.command.length);
    w.bytes(entry.command);
  }
}

/** The commands are views on `data`. */
export function decodeRecord(data: Uint8Array): LogRecord {
  const r = new Reader(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const version = r.byte();
  if (version !== recordVersion) {
    throw new PaxosError(
      "ERR_PAXOS_UNSUPPORTED",
      `a log record of version ${version}, this release reads ${recordVersion}: run the release that wrote it, or a later one`,
    );
  }
  const flags = r.byte();
  if ((flags & ~knownFlags) !== 0) throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a log record with unknown flags ${flags}`);
  const record: { -readonly [K in keyof LogRecord]: LogRecord[K] } = {};
  if (flags & flag.promised) record.promised = r.ballot();
  if (flags & flag.accepted) record.accepted = r.ballot();
  if (flags & flag.truncateFrom) record.truncateFrom = r.varint();
  if (flags & flag.chosenThrough) record.chosenThrough = r.varint();
  if (flags & flag.trimmedThrough) record.trimmedThrough = r.varint();
  if (flags & flag.entries) record.entries = readEntries(r);
  if (!r.atEnd) throw corrupt("bytes left over");
  return record;
}

function readEntries(r: Reader): Entry[] {
  const first = r.varint();
  const count = r.varint();
  const entries: Entry[] = [];
  let ballot: Ballot | undefined;
  for (let index = 0; index < count; index++) {
    const head = r.byte();
    const kind = kindCodes[head & 127];
    if (!kind) throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a log entry of unknown kind ${head & 127}`);
    if (!(head & sameBallotAsBefore)) ballot = r.ballot();
    if (!ballot) throw corrupt("an entry without a ballot");
    entries.push({ slot: first + index, ballot, kind, command: r.bytes(r.varint()) });
  }
  return entries;
}

function ballotBytesMax(ballot: Ballot | undefined): number {
  return ballot ? 10 + ballot.node.length * 3 : 0;
}

function corrupt(what: string): PaxosError {
  return new PaxosError("ERR_PAXOS_CORRUPT", `a log record with a good checksum that does not parse: ${what}`);
}

class Writer {
  readonly #out: Buffer;
  #at = 0;

  constructor(out: Buffer) {
    this.#out = out;
  }

  byte(value: number): void {
    this.#out[this.#at++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#out[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#out[this.#at++] = rest;
  }

  bytes(bytes: Uint8Array): void {
    this.#out.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  ballot(ballot: Ballot): void {
    this.varint(ballot.round);
    this.varint(Buffer.byteLength(ballot.node));
    this.#at += this.#out.write(ballot.node, this.#at, "utf8");
  }

  done(): Buffer {
    return this.#out.subarray(0, this.#at);
  }
}

class Reader {
  readonly #in: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#in = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#in.length;
  }

  byte(): number {
    const value = this.#in[this.#at++];
    if (value === undefined) throw corrupt("it ends early");
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
      if (scale > Number.MAX_SAFE_INTEGER) throw corrupt("a number beyond 2^53");
    }
    if (!Number.isSafeInteger(value)) throw corrupt("a number beyond 2^53");
    return value;
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#in.length) throw corrupt("it ends early");
    const bytes = this.#in.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  ballot(): Ballot {
    const round = this.varint();
    return { round, node: this.bytes(this.varint()).toString("utf8") };
  }
}
