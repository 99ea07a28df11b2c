import type { Ballot } from "./ballot.js";
import type { BondId } from "./bond-id.js";
import type { ByteReader, ByteWriter } from "./bytes.js";
import type { Rank } from "./messages.js";

export function writeBallot(out: ByteWriter, ballot: Ballot): void {
  out.varint(ballot.round);
  out.text(ballot.node);
}

const ballotsMax = 256;
/** Ballots that were read last. A message has one or two, and nearly always those of the messages before it: what is kept of them is one object, not one for each slot. */
const ballots: (Ballot | undefined)[] = [];

export function readBallot(input: ByteReader): Ballot {
  const round = input.varint();
  const node = input.text();
  const place = (round ^ (node.charCodeAt(node.length - 1) << 3)) & (ballotsMax - 1);
  const known = ballots[place];
  if (known !== undefined && known.round === round && known.node === node) return known;
  const ballot = { round, node };
  ballots[place] = ballot;
  return ballot;
}

export function writeBond(out: ByteWriter, { life, turn }: BondId): void {
  out.varint(life);
  out.varint(turn);
}

export function readBond(input: ByteReader): BondId {
  return { life: input.varint(), turn: input.varint() };
}

export function writeRank(out: ByteWriter, { accepted, logEnd }: Rank): void {
  writeBallot(out, accepted);
  out.varint(logEnd);
}

export function readRank(input: ByteReader): Rank {
  return { accepted: readBallot(input), logEnd: input.varint() };
}

interface Stamp {
  readonly ballot: Ballot;
  readonly round: number;
  readonly sentMs: number;
  readonly chosenThrough: number;
}

export function writeStamp(out: ByteWriter, m: Stamp): void {
  writeBallot(out, m.ballot);
  out.varint(m.round);
  out.float64(m.sentMs);
  out.varint(m.chosenThrough);
}

export function readStamp(input: ByteReader): Stamp {
  return { ballot: readBallot(input), round: input.varint(), sentMs: input.float64(), chosenThrough: input.varint() };
}
