import type { Entry } from "./block.js";
import { bad, MemdsError, type MemdsErrorCode } from "./errors.js";
import { checkKey, keyBytesMax, type RangeTree } from "./range-tree.js";
import { Reader, Writer } from "./wire.js";

/** One question. All questions of a request are answered from one version. */
export type Query =
  /** The entry of this key. */
  | { readonly kind: "exact"; readonly key: Uint8Array }
  /** The entry with the highest key that is not above this one: the range that a key falls into. */
  | { readonly kind: "floor"; readonly key: Uint8Array }
  /** The entry with the lowest key that is not below this one. */
  | { readonly kind: "ceiling"; readonly key: Uint8Array }
  /** Entries with `from <= key < to`, ascending, at most `limitMax`; without `to` up to the end. */
  | {
      readonly kind: "range";
      readonly from: Uint8Array;
      readonly to?: Uint8Array | undefined;
      readonly limitMax: number;
    };

export interface Answer {
  /** The version of the tree that this was read from. */
  readonly version: number;
  /** None or one for exact, floor and ceiling. */
  readonly entries: readonly Entry[];
  /** Only for a range: it goes on; ask again from just behind the last key. */
  readonly more: boolean;
}

export const queriesMax = 65_535;
const kinds = ["exact", "floor", "ceiling", "range"] as const;
export const floorKind = kinds.indexOf("floor");
const openEnd = 0xffff;

/**
 * Answers questions from one tree. A range also ends, with `more`, before its entries exceed `answerBytesMax`.
 * @throws MemdsError `ERR_MEMDS_TOO_LARGE` where all answers together exceed it, unless it is one question alone.
 */
export function answerQueries(
  tree: RangeTree,
  version: number,
  queries: readonly Query[],
  answerBytesMax: number,
): Answer[] {
  let bytes = 12;
  const answers: Answer[] = [];
  for (const query of queries) {
    bytes += 5;
    const entries: Entry[] = [];
    let more = false;
    if (query.kind === "range") {
      for (const entry of tree.range(query.from, query.to)) {
        const size = entryBytes(entry);
        if (entries.length === query.limitMax || (entries.length > 0 && bytes + size > answerBytesMax)) {
          more = true;
          break;
        }
        entries.push(entry);
        bytes += size;
      }
    } else {
      const entry = query.kind === "exact" ? exact(tree, query.key) : tree[query.kind](query.key);
      if (entry !== undefined) {
        entries.push(entry);
        bytes += entryBytes(entry);
      }
    }
    if (bytes > answerBytesMax && queries.length > 1) throw tooMuch(queries.length, answerBytesMax);
    answers.push({ version, entries, more });
  }
  return answers;
}

export function tooMuch(queries: number, answerBytesMax: number): MemdsError {
  return new MemdsError(
    "ERR_MEMDS_TOO_LARGE",
    `the answers to ${queries} queries exceed ${answerBytesMax} bytes; ask fewer at a time`,
  );
}

function exact(tree: RangeTree, key: Uint8Array): Entry | undefined {
  const value = tree.get(key);
  return value === undefined ? undefined : { key: new Uint8Array(key), value };
}

function entryBytes({ key, value }: Entry): number {
  return 6 + key.length + value.length;
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkQueries(queries: readonly Query[]): void {
  if (!Array.isArray(queries) || queries.length > queriesMax)
    throw bad("queries", `an array of at most ${queriesMax}`, Array.isArray(queries) ? queries.length : queries);
  for (const query of queries as readonly Query[]) {
    if (!kinds.includes(query?.kind)) throw bad("kind", `one of ${kinds.join(", ")}`, query?.kind);
    if (query.kind !== "range") {
      checkKey("key", query.key);
      continue;
    }
    checkKey("from", query.from);
    if (query.to !== undefined) checkKey("to", query.to);
    if (!Number.isInteger(query.limitMax) || query.limitMax < 1 || query.limitMax > 0xffff_ffff)
      throw bad("limitMax", "an integer from 1 to 2^32 - 1", query.limitMax);
  }
}

export function encodeQueries(queries: readonly Query[]): Uint8Array {
  const writer = new Writer(2 + queries.length * 48);
  const key = (bytes: Uint8Array) => {
    writer.u16(bytes.length);
    writer.raw(bytes);
  };
  writer.u16(queries.length);
  for (const query of queries) {
    writer.u8(kinds.indexOf(query.kind));
    if (query.kind !== "range") {
      key(query.key);
      continue;
    }
    key(query.from);
    if (query.to === undefined) writer.u16(openEnd);
    else key(query.to);
    writer.u32(query.limitMax);
  }
  return writer.bytes();
}

export function decodeQueries(payload: Uint8Array): Query[] {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const bytes = (length: number) => {
    if (length > keyBytesMax) throw reader.fault(`a key of ${length} bytes`);
    return reader.copy(length);
  };
  const queries: Query[] = [];
  for (let count = reader.u16(); count > 0; count--) {
    const kind = kinds[reader.u8()];
    if (kind === undefined) throw reader.fault("an unknown kind of query");
    const key = bytes(reader.u16());
    if (kind !== "range") {
      queries.push({ kind, key });
      continue;
    }
    const toLength = reader.u16();
    const to = toLength === openEnd ? {} : { to: bytes(toLength) };
    const limitMax = reader.u32();
    if (limitMax === 0) throw reader.fault("a range of at most 0 entries");
    queries.push({ kind, from: key, ...to, limitMax });
  }
  reader.end();
  return queries;
}

export function encodeAnswers(version: number, answers: readonly Answer[]): Uint8Array {
  const writer = new Writer(12 + answers.length * 96);
  writer.u64(version);
  writer.u16(answers.length);
  for (const { entries, more } of answers) {
    writer.u8(more ? 1 : 0);
    writer.u32(entries.length);
    for (const { key, value } of entries) {
      writer.u16(key.length);
      writer.raw(key);
      writer.u32(value.length);
      writer.raw(value);
    }
  }
  return writer.bytes();
}

/** Keys and values are copies: they do not keep the frame alive. */
export function decodeAnswers(payload: Uint8Array): Answer[] {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const version = reader.u64();
  const answers: Answer[] = [];
  for (let count = reader.u16(); count > 0; count--) {
    const more = (reader.u8() & 1) === 1;
    const entries: Entry[] = [];
    for (let left = reader.u32(); left > 0; left--) {
      const key = reader.copy(reader.u16());
      const value = reader.copy(reader.u32());
      entries.push({ key, value });
    }
    answers.push({ version, entries, more });
  }
  reader.end();
  return answers;
}

/** Numbers on the wire; never reused. An unknown number reads as `ERR_MEMDS_UNAVAILABLE`. */
const wireCodes: Readonly<Record<number, MemdsErrorCode>> = {
  1: "ERR_MEMDS_NOT_READY",
  2: "ERR_MEMDS_TOO_LARGE",
  3: "ERR_MEMDS_PROTOCOL",
  4: "ERR_MEMDS_UNSUPPORTED",
  5: "ERR_MEMDS_CORRUPT",
  6: "ERR_MEMDS_CLOSED",
  7: "ERR_MEMDS_UNAUTHORIZED",
};

export function encodeError({ code, message }: MemdsError): Uint8Array {
  const number = Object.entries(wireCodes).find(([, known]) => known === code)?.[0] ?? "0";
  const writer = new Writer();
  writer.u8(Number(number));
  for (const character of message.slice(0, 512)) writer.u16(character.charCodeAt(0));
  return writer.bytes();
}

export function decodeError(payload: Uint8Array): MemdsError {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const code = wireCodes[reader.u8()] ?? "ERR_MEMDS_UNAVAILABLE";
  let message = "";
  while (reader.remaining >= 2) message += String.fromCharCode(reader.u16());
  return new MemdsError(code, message);
}
