import { ByteReader, ByteWriter, corrupt } from "./bytes.js";
import { PaxosError } from "./errors.js";
import type { Entry, Position } from "./types.js";

export type MemberRole = "storage" | "log";

/**
 * Who belongs to the group from one slot of its log on. It is an entry like any other, and in force from the moment at
 * which it is appended, chosen or not.
 */
export interface Configuration {
  /** Of the entry that says so; 0 for the members with which the group was founded. */
  readonly slot: number;
  /** Vote, hold the state machine and may lead. Sorted. */
  readonly storage: readonly string[];
  /** Vote and keep the recent log, nothing else. Sorted. */
  readonly log: readonly string[];
  /** Have left. A name never comes back: who bears it may have forgotten what it promised. The newest `departedMax`, newest last. */
  readonly departed: readonly string[];
  /**
   * Under which mark the log of a member was born, of those that have joined by an entry that says so; sorted by name. Whose mark it is is final: the same name under another
   * mark is somebody else. Of founders, and of who joined while an earlier release was there, nothing is known, for ever. Absent when empty.
   */
  readonly marks?: Marks;
}

export type Marks = readonly (readonly [node: string, mark: string])[];

/** Members of both roles together. */
export const membersMax = 15;
/** Names of former members that a configuration carries along. */
export const departedMax = 64;

/** 2 only where somebody has a mark: a group whose members have not changed can go back to an earlier release. */
const versions = { plain: 1, marked: 2 } as const;

/** The configuration with which a group begins: storage replicas only. */
export function founded(members: readonly string[]): Configuration {
  return { slot: 0, storage: nodesOf({ storage: [...new Set(members)], log: [] }), log: [], departed: [] };
}

export function nodesOf({ storage, log }: Pick<Configuration, "storage" | "log">): readonly string[] {
  return [...storage, ...log].sort();
}

/** The mark by which a member is known; undefined of one that has none, and of who is none. */
export function markIn({ marks }: Pick<Configuration, "marks">, node: string): string | undefined {
  return marks === undefined ? undefined : marks.find(([name]) => name === node)?.[1];
}

export function roleIn({ storage, log }: Configuration, node: string): MemberRole | undefined {
  return storage.includes(node) ? "storage" : log.includes(node) ? "log" : undefined;
}

/**
 * The configuration that follows on `before` when the members are to be these. Its slot is the entry's. `markOf`: of who joins. Who stays keeps the mark that it has, and who has none
 * gets none: what others heard since may be of another disk than the one that voted.
 */
export function following(
  before: Configuration,
  next: { readonly storage: readonly string[]; readonly log: readonly string[] },
  slot: number,
  markOf: (node: string) => string | undefined = () => undefined,
): Configuration {
  const nodes = nodesOf(next);
  const left = nodesOf(before).filter((node) => !nodes.includes(node));
  const marks: [string, string][] = [];
  for (const node of nodes) {
    const mark = roleIn(before, node) === undefined ? markOf(node) : markIn(before, node);
    if (mark !== undefined) marks.push([node, mark]);
  }
  return {
    ...(marks.length === 0 ? {} : { marks }),
    slot,
    storage: nodesOf({ storage: next.storage, log: [] }),
    log: nodesOf({ storage: [], log: next.log }),
    departed: [...before.departed, ...left].slice(-departedMax),
  };
}

/** As the command of a `config` entry. The slot is the entry's own. */
export function encodeConfiguration({ storage, log, departed, marks }: Configuration): Uint8Array {
  const out = new ByteWriter(64);
  out.byte(marks === undefined ? versions.plain : versions.marked);
  for (const names of [storage, log, departed]) {
    out.varint(names.length);
    for (const name of names) out.text(name);
  }
  if (marks !== undefined) writeMarks(out, marks);
  return out.take();
}

/** @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT */
export function decodeConfiguration(bytes: Uint8Array, slot: number): Configuration {
  const input = new ByteReader(bytes);
  const found = input.byte();
  if (found !== versions.plain && found !== versions.marked) {
    const known = `${versions.plain} and ${versions.marked}`;
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `configuration version ${found}, this release reads ${known}`);
  }
  const names = () => {
    const count = input.varint();
    if (count > input.left) throw corrupt(`${count} names announced`);
    return Array.from({ length: count }, () => input.text());
  };
  const configuration = { slot, storage: names(), log: names(), departed: names() };
  const marks = found === versions.marked ? readMarks(input) : [];
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  if (found === versions.marked && marks.length === 0) throw corrupt("no mark where one was announced");
  return marks.length === 0 ? configuration : { ...configuration, marks };
}

export function writeMarks(out: ByteWriter, marks: Marks): void {
  out.varint(marks.length);
  for (const [node, mark] of marks) {
    out.text(node);
    out.text(mark);
  }
}

export function readMarks(input: ByteReader): Marks {
  const count = input.varint();
  if (count > input.left) throw corrupt(`${count} marks announced`);
  return Array.from({ length: count }, () => [input.text(), input.text()] as const);
}

export function configurationOf(entry: Entry): Configuration {
  return decodeConfiguration(entry.command, entry.slot);
}

/** A slot with the slot of its configuration: `Position` on the wire and on disk is slot, ballot, this slot and these bytes. */
export function writePosition(out: ByteWriter, { slot, ballot, configuration }: Position): void {
  out.varint(slot);
  out.varint(ballot.round);
  out.text(ballot.node);
  out.varint(configuration.slot);
  out.blob(encodeConfiguration(configuration));
}

export function readPosition(input: ByteReader): Position {
  const slot = input.varint();
  const ballot = { round: input.varint(), node: input.text() };
  const configurationSlot = input.varint();
  return { slot, ballot, configuration: decodeConfiguration(input.blob(), configurationSlot) };
}
