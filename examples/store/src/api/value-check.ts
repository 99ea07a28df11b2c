/**
 * Checks attribute values as they come out of `JSON.parse`, and brings them into normal form in place (numbers, and the order of sets:
 * everything else is kept as it came). One walk; nothing else is copied.
 */
import { isBase64 } from "./base64.js";
import { inOrder, MEMBER_ORDER } from "./compare.js";
import { ApiError, validationError } from "./errors.js";
import { messages } from "./messages.js";
import type { AttributeValue, Item } from "./model.js";
import { normalizeNumber } from "./number.js";
import { utf8Bytes } from "./text.js";
import { NESTING_MAX } from "./update.js";

type Json = unknown;
/** True: there is a member without a name in it, which is told when all else has been looked at. */
type Unnamed = boolean;
type Checker = (holder: Record<string, Json>, depth: number) => Unnamed | void;

/** @throws ValidationException, or SerializationException where the JSON itself has the wrong shape */
export function checkItem(item: Json): asserts item is Item {
  const members = structure(item);
  // An attribute without a name is seen before all values, a member without one after them.
  if (Object.hasOwn(members, "") || checkMap(item, 1)) throw validationError(messages.attributeNameEmpty);
}

const NAME_BYTES_MAX = 65_535;
const UTF8_BYTES_MAX = 3;

export const nameFits = (name: string): boolean =>
  name.length * UTF8_BYTES_MAX <= NAME_BYTES_MAX || utf8Bytes(name) <= NAME_BYTES_MAX;

/** @throws ValidationException for an attribute's name that is too long */
export function assertNameFits(name: string): void {
  if (!nameFits(name)) throw validationError(messages.attributeNameTooLarge);
}

/**
 * @param levels that it may be nested
 * @throws as `checkItem`
 */
export function checkValue(value: Json, levels = NESTING_MAX): asserts value is AttributeValue {
  if (checkAt(value, 1 + NESTING_MAX - levels)) throw validationError(messages.attributeNameEmpty);
}

function checkMap(map: Json, depth: number): Unnamed {
  const members = structure(map);
  let unnamed = false;
  for (const name in members) {
    assertNameFits(name);
    if (checkAt(members[name], depth)) unnamed = true;
  }
  return unnamed;
}

function checkAt(value: Json, depth: number): Unnamed {
  const holder = structure(value, messages.unexpectedValueType);
  let types = 0;
  let unnamed = false;
  for (const type in holder) {
    // Fields that the service does not know, and nulls, are as if they were not there.
    if (holder[type] === null || !Object.hasOwn(CHECKERS, type)) {
      delete holder[type];
      continue;
    }
    types++;
    if ((CHECKERS[type] as Checker)(holder, depth)) unnamed = true;
  }
  if (types !== 1) throw validationError(types === 0 ? messages.valueEmpty : messages.valueAmbiguous);
  return unnamed;
}

const CHECKERS: Readonly<Record<string, Checker>> = {
  S: (holder) => void string(holder.S),
  N: (holder) => {
    holder.N = normalizeNumber(string(holder.N));
  },
  B: (holder) => void binary(holder.B),
  SS: (holder) => {
    const members = membersOf(holder.SS, string, messages.stringSetNull);
    if (members.length === 0) throw validationError(messages.stringSetEmpty);
    const ordered = inOrder(members, MEMBER_ORDER.SS);
    if (hasDuplicates(ordered)) {
      const newer = messages.stringSetDuplicatesNewer(asFarAsRead(members, MEMBER_ORDER.SS));
      throw validationError(messages.stringSetDuplicates(`[${members.join(", ")}]`), newer);
    }
    holder.SS = ordered;
  },
  NS: (holder) => {
    const members = membersOf(holder.NS, (member) => normalizeNumber(string(member)));
    if (members.length === 0) throw validationError(messages.numberSetEmpty);
    const ordered = inOrder(members, MEMBER_ORDER.NS);
    if (hasDuplicates(ordered)) {
      throw validationError(messages.numberSetDuplicates, messages.numberSetDuplicatesNewer);
    }
    holder.NS = ordered;
  },
  BS: (holder) => {
    const members = membersOf(holder.BS, binary);
    if (members.length === 0) throw validationError(messages.binarySetEmpty);
    const ordered = inOrder(members, MEMBER_ORDER.BS);
    if (hasDuplicates(ordered)) {
      const newer = messages.binarySetDuplicatesNewer(asFarAsRead(members, MEMBER_ORDER.BS));
      throw validationError(messages.binarySetDuplicates(`[${members.join(", ")}]`), newer);
    }
    holder.BS = ordered;
  },
  BOOL: (holder) => void boolean(holder.BOOL),
  NULL: (holder) => {
    if (!boolean(holder.NULL)) throw validationError(messages.nullMustBeTrue);
  },
  L: (holder, depth) => {
    if (depth >= NESTING_MAX) throw validationError(messages.nestingTooDeep);
    let unnamed = false;
    for (const element of list(holder.L)) if (checkAt(element, depth + 1)) unnamed = true;
    return unnamed;
  },
  M: (holder, depth) => {
    if (depth >= NESTING_MAX) throw validationError(messages.nestingTooDeep);
    return checkMap(holder.M, depth + 1) || Object.hasOwn(holder.M as object, "");
  },
};

/** What is nested deeper is refused for that, whatever it is. */
const READ_DEPTH_MAX = 2 * NESTING_MAX;

/**
 * Whether this can be read as an attribute value at all: before anything is asked of what it says, and of what stands beside it.
 * @throws SerializationException
 */
export function assertReadable(value: Json, depth = 1): void {
  const holder = structure(value, messages.unexpectedValueType);
  if (depth > READ_DEPTH_MAX) return;
  for (const type in holder) {
    const held = holder[type];
    if (held !== null && Object.hasOwn(READERS, type)) (READERS[type] as Reader)(held, depth);
  }
}

type Reader = (held: Json, depth: number) => void;

const READERS: Readonly<Record<string, Reader>> = {
  S: string,
  N: string,
  B: binary,
  SS: (held) => list(held).filter(isThere).forEach(string),
  NS: (held) => list(held).filter(isThere).forEach(string),
  BS: (held) => list(held).filter(isThere).forEach(binary),
  BOOL: boolean,
  NULL: boolean,
  L: (held, depth) => {
    for (const element of list(held)) assertReadable(element, depth + 1);
  },
  M: (held, depth) => {
    for (const member of Object.values(structure(held))) assertReadable(member, depth + 1);
  },
};

const isThere = (value: Json): boolean => value !== null;

/** @param ifNull what is said of a member that is null. Of numbers and bytes only that it is refused so is written down, not in which words. */
function membersOf(set: Json, read: (member: Json) => string, ifNull: string = messages.valueEmpty): string[] {
  return list(set).map((member) => {
    if (member === null) throw validationError(ifNull);
    return read(member);
  });
}

function hasDuplicates(ordered: readonly string[]): boolean {
  return ordered.some((member, i) => member === ordered[i - 1]);
}

/** How newer checks show a set: in order as far as it was read, up to the first member that was there already; then the rest as it came. */
function asFarAsRead(members: readonly string[], compare: (a: string, b: string) => number): string[] {
  const read = new Set<string>();
  for (const member of members) {
    if (read.has(member)) break;
    read.add(member);
  }
  return [...[...read].sort(compare), ...members.slice(read.size)];
}

function structure(value: Json, otherwise: string = messages.unexpectedFieldType): Record<string, Json> {
  if (typeof value !== "object" || value === null) throw malformed(otherwise);
  if (Array.isArray(value)) {
    throw malformed(messages.startOfList("class com.amazonaws.dynamodb.v20120810.AttributeValue"));
  }
  return value as Record<string, Json>;
}

function list(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  throw malformed(typeof value === "object" ? messages.startOfStructure : messages.unexpectedFieldType);
}

export function string(value: Json): string {
  if (typeof value === "string") return value;
  throw malformed(conversion(value, "String"));
}

export function boolean(value: Json): boolean {
  if (typeof value === "boolean") return value;
  throw malformed(typeof value === "string" ? messages.unexpectedToken : conversion(value, "Boolean"));
}

function binary(value: Json): string {
  if (typeof value !== "string") {
    throw malformed(typeof value === "object" ? conversion(value, "ByteBuffer") : messages.onlyBase64);
  }
  if (value.length % 4 !== 0) throw malformed(messages.base64Length(value.length));
  if (!isBase64(value)) throw malformed(messages.base64Character);
  return value;
}

/** Why a JSON token cannot be what the field is. */
export function conversion(value: Json, to: string): string {
  if (Array.isArray(value)) return messages.startOfList(`class java.${to === "ByteBuffer" ? "nio" : "lang"}.${to}`);
  switch (typeof value) {
    case "string":
      return messages.cannotBeConverted("STRING_VALUE", to);
    case "number":
      return messages.cannotBeConverted(Number.isInteger(value) ? "NUMBER_VALUE" : "DECIMAL_VALUE", to);
    case "boolean":
      return messages.cannotBeConverted(value ? "TRUE_VALUE" : "FALSE_VALUE", to);
    default:
      return messages.startOfStructure;
  }
}

export function malformed(message: string): ApiError {
  return new ApiError("SerializationException", message);
}
