import type { Ballot } from "./ballot.js";
import type { BondId } from "./bond-id.js";
import type { ByteReader, ByteWriter } from "./bytes.js";
import type { Rank } from "./messages.js";

export function writeBallot(out: ByteWriter, ballot: Ballot): void {
  out.varint(ballot.round);
  out.text(ballot.node);
}

export function readBallot(input: ByteReader): Ballot {
  return { round: input.varint(), node: input.text() };
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
