import { BALLOT_ZERO, type Ballot, sameBallot } from "./ballot.js";
import { ByteReader, ByteWriter, corrupt } from "./bytes.js";
import {
  readBallot,
  readBond,
  readRank,
  readStamp,
  writeBallot,
  writeBond,
  writeRank,
  writeStamp,
} from "./codec-parts.js";
import { readMarks, readPosition, writeMarks, writePosition } from "./configuration.js";
import { PaxosError } from "./errors.js";
import type { Ack, Message } from "./messages.js";
import type { Entry, EntryKind } from "./types.js";

/**
 * First byte of every message, and the newest that this release reads. A message is written in the oldest version that can
 * say it, so that a group that uses nothing new can hold members of two releases: 2 only where there is a `config` entry, 3 only for the question of
 * an acceptor that may have forgotten, its answer, and the promises that it gives meanwhile; 4 only where there is a `once` entry, 5 and 6 only for groups that sleep, 7 only where
 * somebody is told by its mark.
 */
export const MESSAGE_VERSION = 7;
const MESSAGE_VERSION_MIN = 1;
/** Messages that name marks. */
const MARKED = 7;

/** Numbers on the wire: never reused, never renumbered. ARCHITECTURE.md draws the bytes. */
const TYPES = [
  "preVote",
  "preVoteReply",
  "prepare",
  "promised",
  "nack",
  "heartbeat",
  "sync",
  "accept",
  "ack",
  "fetch",
  "learn",
  "resign",
  "base",
  "releasable",
  "departed",
  "takeOver",
  "doubt",
  "standing",
  "sleep",
  "asleep",
] as const satisfies readonly Message["type"][];

const NOOP = 1;
const SAME_BALLOT = 2;
const CONFIG = 4;
const ONCE = 8;

const shared = new ByteWriter(4096);
const sharedKept = 256 << 10;
/** A single command of a smaller message is copied. */
const smallBytesMax = 4 << 10;

/**
 * The bytes of one message, without checksum (the frame around it has that). The buffer is the caller's.
 */
export function encodeMessage(message: Message): Uint8Array {
  // One scratch buffer for all: it never leaves this function, and does not stay large.
  writeMessage(shared, message);
  const bytes = shared.take();
  if (bytes.length > sharedKept) shared.clear(sharedKept);
  return bytes;
}

/** The same, behind what `out` holds already. */
export function writeMessage(out: ByteWriter, message: Message): void {
  const version = versionOf(message);
  out.byte(version);
  out.byte(TYPES.indexOf(message.type) + 1);
  writeBody(out, message, version);
}

function versionOf(message: Message): number {
  switch (message.type) {
    case "ack":
    case "preVote":
    case "prepare":
      return message.mark === undefined ? 1 : MARKED;
    case "heartbeat":
      return 1;
    case "sleep":
      return message.bond === undefined ? 5 : 6;
    case "asleep":
      return 5;
    case "doubt":
      return message.mark === undefined ? 3 : MARKED;
    case "standing":
      return message.mark === undefined && message.marks === undefined ? 3 : MARKED;
    case "promised":
      if (message.mark !== undefined) return MARKED;
      return Math.max(message.floor === undefined ? 1 : 3, versionFor(message.entries));
    case "sync":
    case "accept":
    case "learn":
      return versionFor(message.entries);
    default:
      return 1;
  }
}

function versionFor(entries: readonly Entry[]): number {
  let version = 1;
  for (const { kind } of entries) {
    if (kind === "once") return 4;
    if (kind === "config") version = 2;
  }
  return version;
}

export interface DecodeOptions {
  /** Nobody touches the bytes any more. */
  readonly given?: boolean;
  /** The message stands between these. All of `bytes` unless told. */
  readonly from?: number;
  readonly to?: number;
}

/**
 * Reads one message. Nothing in it refers to `bytes`, which may be reused, unless they are `given`: not to be touched by anybody any more. The commands of one message share one
 * buffer, and small ones that come alone some KiB with others: who keeps a single command for long should copy it.
 *
 * @throws PaxosError ERR_PAXOS_UNSUPPORTED for a version or type that this release does not know; ERR_PAXOS_CORRUPT
 */
export function decodeMessage(
  bytes: Uint8Array,
  { given = false, from = 0, to = bytes.length }: DecodeOptions = {},
): Message {
  const input = new ByteReader(bytes, from, to);
  const version = input.byte();
  if (version < MESSAGE_VERSION_MIN || version > MESSAGE_VERSION) {
    const known = `${MESSAGE_VERSION_MIN} to ${MESSAGE_VERSION}`;
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `message version ${version}, this release reads ${known}`);
  }
  const code = input.byte();
  const type = TYPES[code - 1];
  if (type === undefined) throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `message type ${code} is unknown`);
  const message = readBody(input, type, version, given);
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  return message;
}

function writeBody(out: ByteWriter, m: Message, version: number): void {
  switch (m.type) {
    case "preVote":
      out.varint(m.attempt);
      out.varint(m.chosenThrough);
      if (m.mark !== undefined) out.text(m.mark);
      return;
    case "preVoteReply":
      out.varint(m.attempt);
      out.byte(m.granted ? 1 : 0);
      out.varint(m.round);
      out.varint(m.chosenThrough);
      return;
    case "prepare":
      writeBallot(out, m.ballot);
      writeBallot(out, m.accepted);
      out.varint(m.logEnd);
      if (m.mark !== undefined) out.text(m.mark);
      return;
    case "promised":
      writeBallot(out, m.ballot);
      writeBallot(out, m.accepted);
      out.varint(m.logEnd);
      out.varint(m.chosenThrough);
      writeBallot(out, m.chosenBallot);
      writeEntries(out, m.entries, m.accepted);
      // A promise of version 3 always ends with its floor, one of version 4 says whether it does.
      if (version >= 4) out.byte(m.floor === undefined ? 0 : 1);
      if (m.floor !== undefined) writeRank(out, m.floor);
      if (m.mark === undefined) return;
      out.byte(m.mute === true ? 1 : 0);
      out.text(m.mark);
      return;
    case "nack":
      writeBallot(out, m.ballot);
      writeBallot(out, m.promised);
      return;
    case "heartbeat":
      writeStamp(out, m);
      return;
    case "sync":
      writeStamp(out, m);
      out.varint(m.prevSlot);
      writeBallot(out, m.prevBallot);
      writeEntries(out, m.entries, m.ballot);
      return;
    case "accept":
      writeStamp(out, m);
      out.varint(m.prevSlot);
      writeEntries(out, m.entries, m.ballot);
      return;
    case "ack":
      writeBallot(out, m.ballot);
      out.varint(m.round);
      out.float64(m.sentMs);
      out.byte(
        (m.synced ? 1 : 0) |
          (m.gap ? 2 : 0) |
          (m.lacksState === true ? 4 : 0) |
          (m.takesRequests === true ? 8 : 0) |
          (m.readsBonds === true ? 16 : 0) |
          (m.readsMarks === true ? 32 : 0) |
          (m.listed === true ? 64 : 0) |
          (m.mute === true ? 128 : 0),
      );
      out.varint(m.acceptedThrough);
      out.varint(m.receivedThrough);
      out.varint(m.chosenThrough);
      if (m.mark !== undefined) out.text(m.mark);
      return;
    case "fetch":
      out.varint(m.fromSlot);
      out.varint(m.throughSlot);
      return;
    case "learn":
      writeEntries(out, m.entries, BALLOT_ZERO);
      return;
    case "resign":
    case "takeOver":
      writeBallot(out, m.ballot);
      return;
    case "base":
      writeStamp(out, m);
      writePosition(out, m.position);
      return;
    case "releasable":
      out.varint(m.throughSlot);
      return;
    case "departed":
      out.varint(m.slot);
      return;
    case "doubt":
      out.varint(m.id);
      if (m.mark !== undefined) out.text(m.mark);
      return;
    case "standing":
      out.varint(m.id);
      writeBallot(out, m.promised);
      writeRank(out, m);
      out.varint(m.members.length);
      for (const node of m.members) out.text(node);
      if (version < MARKED) return;
      writeMarks(out, m.marks ?? []);
      out.byte(m.mark === undefined ? 0 : 1);
      if (m.mark !== undefined) out.text(m.mark);
      return;
    case "sleep":
      writeStamp(out, m);
      out.varint(m.logEnd);
      if (m.bond !== undefined) writeBond(out, m.bond);
      return;
    case "asleep":
      writeBallot(out, m.ballot);
      out.varint(m.round);
      writeBond(out, m.bond);
      return;
  }
}

function readBody(input: ByteReader, type: Message["type"], version: number, given: boolean): Message {
  switch (type) {
    case "preVote":
      return { type, attempt: input.varint(), chosenThrough: input.varint(), ...readMark(input, version) };
    case "preVoteReply":
      return {
        type,
        attempt: input.varint(),
        granted: input.byte() === 1,
        round: input.varint(),
        chosenThrough: input.varint(),
      };
    case "prepare":
      return {
        type,
        ballot: readBallot(input),
        accepted: readBallot(input),
        logEnd: input.varint(),
        ...readMark(input, version),
      };
    case "promised": {
      const ballot = readBallot(input);
      const accepted = readBallot(input);
      const logEnd = input.varint();
      const chosenThrough = input.varint();
      const chosenBallot = readBallot(input);
      const entries = readEntries(input, accepted, given);
      const promised = { type, ballot, accepted, logEnd, chosenThrough, chosenBallot, entries };
      const hasFloor = version >= 4 ? input.byte() === 1 : version === 3;
      const floor = hasFloor ? { floor: readRank(input) } : {};
      const mute = version === MARKED && input.byte() === 1 ? { mute: true } : {};
      return { ...promised, ...floor, ...mute, ...readMark(input, version) };
    }
    case "nack":
      return { type, ballot: readBallot(input), promised: readBallot(input) };
    case "heartbeat":
      return { type, ...readStamp(input) };
    case "sync": {
      const stamp = readStamp(input);
      const prevSlot = input.varint();
      const prevBallot = readBallot(input);
      return { type, ...stamp, prevSlot, prevBallot, entries: readFollowing(input, stamp.ballot, prevSlot, given) };
    }
    case "accept": {
      const ballot = readBallot(input);
      const round = input.varint();
      const sentMs = input.float64();
      const chosenThrough = input.varint();
      const prevSlot = input.varint();
      const entries = readFollowing(input, ballot, prevSlot, given);
      return { type, ballot, round, sentMs, chosenThrough, prevSlot, entries };
    }
    case "ack": {
      const ballot = readBallot(input);
      const round = input.varint();
      const sentMs = input.float64();
      const flags = input.byte();
      const ack: { -readonly [K in keyof Ack]: Ack[K] } = {
        type,
        ballot,
        round,
        sentMs,
        synced: (flags & 1) !== 0,
        acceptedThrough: input.varint(),
        receivedThrough: input.varint(),
        chosenThrough: input.varint(),
        gap: (flags & 2) !== 0,
      };
      if ((flags & 4) !== 0) ack.lacksState = true;
      if ((flags & 8) !== 0) ack.takesRequests = true;
      if ((flags & 16) !== 0) ack.readsBonds = true;
      if ((flags & 32) !== 0) ack.readsMarks = true;
      if ((flags & 64) !== 0) ack.listed = true;
      if ((flags & 128) !== 0) ack.mute = true;
      if (version === MARKED) ack.mark = input.text();
      return ack;
    }
    case "fetch":
      return { type, fromSlot: input.varint(), throughSlot: input.varint() };
    case "learn":
      return { type, entries: readEntries(input, BALLOT_ZERO, given) };
    case "resign":
    case "takeOver":
      return { type, ballot: readBallot(input) };
    case "base":
      return { type, ...readStamp(input), position: readPosition(input) };
    case "releasable":
      return { type, throughSlot: input.varint() };
    case "departed":
      return { type, slot: input.varint() };
    case "doubt":
      return { type, id: input.varint(), ...readMark(input, version) };
    case "standing": {
      const [id, promised, rank] = [input.varint(), readBallot(input), readRank(input)];
      const members: string[] = [];
      for (let left = input.varint(); left > 0; left--) members.push(input.text());
      const standing = { type, id, promised, ...rank, members };
      if (version < MARKED) return standing;
      const marks = readMarks(input);
      const as = input.byte() === 1 ? { mark: input.text() } : {};
      return { ...standing, ...(marks.length === 0 ? {} : { marks }), ...as };
    }
    case "sleep":
      return { type, ...readStamp(input), logEnd: input.varint(), ...(version >= 6 ? { bond: readBond(input) } : {}) };
    case "asleep":
      return { type, ballot: readBallot(input), round: input.varint(), bond: readBond(input) };
  }
}

function readMark(input: ByteReader, version: number): { readonly mark?: string } {
  return version === MARKED ? { mark: input.text() } : {};
}

/** Count, first slot, then each entry: flags, its ballot unless it is the one before's (`usual` for the first), command. */
function writeEntries(out: ByteWriter, entries: readonly Entry[], usual: Ballot): void {
  out.varint(entries.length);
  if (entries.length === 0) return;
  out.varint((entries[0] as Entry).slot);
  let last = usual;
  for (const { ballot, kind, command } of entries) {
    const same = ballot === last || sameBallot(ballot, last);
    out.byte(flagOf(kind) | (same ? SAME_BALLOT : 0));
    if (!same) writeBallot(out, ballot);
    last = ballot;
    out.blob(command);
  }
}

function readEntries(input: ByteReader, usual: Ballot, given: boolean): Entry[] {
  const count = input.varint();
  // Two bytes an entry at least: an announced count is not believed beyond what is there.
  if (count * 2 > input.left) throw corrupt(`${count} entries announced`);
  const entries: Entry[] = [];
  if (count === 0) return entries;
  const first = input.varint();
  // One copy for the whole message: an allocation for each command would cost more than all the rest of the protocol.
  if (count === 1 && input.left < smallBytesMax) return [readAlone(input, first, usual)];
  input.own(given);
  let ballot = usual;
  for (let i = 0; i < count; i++) {
    const flags = input.byte();
    if ((flags & SAME_BALLOT) === 0) ballot = readBallot(input);
    entries.push({
      slot: first + i,
      ballot,
      kind: kindOf(flags & ~SAME_BALLOT),
      command: count > 1 ? input.blob() : input.ownBlob(),
    });
  }
  return entries;
}

function readAlone(input: ByteReader, slot: number, usual: Ballot): Entry {
  const flags = input.byte();
  const ballot = (flags & SAME_BALLOT) === 0 ? readBallot(input) : usual;
  return { slot, ballot, kind: kindOf(flags & ~SAME_BALLOT), command: input.ownBlob() };
}

function flagOf(kind: EntryKind): number {
  if (kind === "command") return 0;
  return kind === "noop" ? NOOP : kind === "config" ? CONFIG : ONCE;
}

function kindOf(flags: number): EntryKind {
  if (flags === 0) return "command";
  if (flags === NOOP) return "noop";
  if (flags === CONFIG) return "config";
  if (flags === ONCE) return "once";
  throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `an entry of unknown kind ${flags}`);
}

function readFollowing(input: ByteReader, usual: Ballot, prevSlot: number, given: boolean): Entry[] {
  const entries = readEntries(input, usual, given);
  if (entries[0] !== undefined && entries[0].slot !== prevSlot + 1) throw corrupt("its entries do not follow on");
  return entries;
}
