/**
 * The two passes that the service makes over every request: is each JSON value of the right type (SerializationException for the first that is not), then
 * do all values keep their limits (one ValidationException that lists up to ten that do not).
 */
import { type ApiError, validationError } from "../errors.js";
import { madeOnce } from "../made-once.js";
import { messages } from "../messages.js";
import { assertReadable, boolean, conversion, malformed, string } from "../value-check.js";
import { camelCase, printed } from "./printed.js";
import { type Lengths, NAME, type Shape, type StructureShape } from "./shapes.js";
import { calledAs, nameWithin } from "./table-called.js";

const TABLE_NAME_RULES = [
  messages.mustHaveLengthMax(255),
  messages.mustHaveLengthMin(3),
  messages.mustMatch(NAME.source.slice(1, -1)),
];
const FAILURES_MAX = 10;

/**
 * Checks a request in place: null and unknown members are removed, integers rounded down, as the service does.
 * @throws ApiError SerializationException or ValidationException
 */
export function checkRequest(shape: StructureShape, request: unknown): Record<string, unknown> {
  const members = deserialize(shape, request) as Record<string, unknown>;
  const keeps = keepsLimits(shape, members);
  const alone = aloneFailure(shape, members);
  // Most keep all limits: which checks they would be told by is not asked.
  const older = (!keeps || alone !== undefined) && isLeftToOlder(shape, members);
  if (alone !== undefined && !older) throw alone;
  if (!keeps) {
    const failures: string[] = [];
    checkMembers(shape, members, "", failures, older);
    checkKeysLast(shape, members, failures);
    throw validationError(messages.constraints(failures.slice(0, FAILURES_MAX)));
  }
  checkSupported(shape, members);
  return members;
}

/**
 * The service reads a whole request before it asks anything of it, and so tells first what it cannot read. Here attribute values are read when it is their turn:
 * whoever is about to refuse a request looks at the others as well.
 * @throws SerializationException for the first attribute value that is none
 */
export function assertReadableValues(shape: Shape, value: unknown): void {
  if (value === undefined || value === null) return;
  switch (shape.type) {
    case "value":
      return assertReadable(value);
    case "item":
      for (const one of Object.values(value)) assertReadable(one);
      return;
    case "list":
    case "map":
      for (const one of Object.values(value)) assertReadableValues(shape.of, one);
      return;
    case "structure":
      for (const name in shape.members)
        assertReadableValues(shape.members[name] as Shape, (value as Record<string, unknown>)[name]);
  }
}

/** What of a shape's members is to be looked at though a request may not have it: a few of the twenty that a shape has. Worked out once. */
interface Outline {
  readonly alone: readonly string[];
  readonly required: readonly string[];
  readonly keysLast: readonly string[];
}

const outlineOf = madeOnce((shape: StructureShape): Outline => {
  const all = Object.entries(shape.members);
  return {
    alone: all.flatMap(([name, { newer }]) => (newer?.alone ? [name] : [])),
    required: all.flatMap(([name, { required }]) => (required ? [name] : [])),
    keysLast: all.flatMap(([name, member]) => (member.type === "map" && member.keysLast ? [name] : [])),
  };
});

/** Nearly all requests do. Of one that does not the failures are told in the order of its shape, not of what was sent. */
function keepsLimits(shape: StructureShape, members: Record<string, unknown>): boolean {
  for (const name of outlineOf(shape).required) if (members[name] === undefined) return false;
  const failures: string[] = [];
  for (const name in members) check(shape.members[name] as Shape, members[name], name, failures);
  checkKeysLast(shape, members, failures);
  // What has been renewed is told in other words, and no less of it: who keeps these limits keeps those.
  return failures.length === 0;
}

function deserialize(shape: Shape, value: unknown): unknown {
  switch (shape.type) {
    case "string":
      return shape.table === undefined ? string(value) : nameWithin(string(value));
    case "boolean":
      return boolean(value);
    case "timestamp":
      if (typeof value === "number") return value;
      throw malformed(conversion(value, "Date"));
    case "integer":
      if (typeof value === "number") return Math.floor(value);
      throw malformed(conversion(value, shape.wire));
    case "list": {
      const list = array(value);
      for (let i = 0; i < list.length; i++) if (list[i] !== null) list[i] = deserialize(shape.of, list[i]);
      return list;
    }
    case "map": {
      const map = object(value, "java.util.Map");
      for (const name in map) if (map[name] !== null) map[name] = deserialize(shape.of, map[name]);
      return map;
    }
    case "item":
      return object(value, "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>");
    case "value":
      return object(value, "class com.amazonaws.dynamodb.v20120810.AttributeValue");
    case "structure": {
      const structure = object(value, `class com.amazonaws.dynamodb.v20120810.${shape.name}`);
      for (const name in structure) {
        const member = Object.hasOwn(shape.members, name) ? shape.members[name] : undefined;
        if (member === undefined || structure[name] === null) delete structure[name];
        else {
          const given = structure[name];
          structure[name] = deserialize(member, given);
          if (member.type === "string" && member.table && structure[name] !== given) calledAs(structure, given);
        }
      }
      return structure;
    }
    case "unsupported":
      return value;
  }
}

function array(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw malformed(typeof value === "object" ? messages.startOfStructure : messages.unexpectedFieldType);
}

function object(value: unknown, type: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw malformed(messages.unexpectedFieldType);
  if (Array.isArray(value)) throw malformed(messages.startOfList(type));
  return value as Record<string, unknown>;
}

function isLeftToOlder({ olderWithout, olderWhereDeep }: StructureShape, members: Record<string, unknown>): boolean {
  if (olderWithout !== undefined && members[olderWithout] === undefined) return true;
  return olderWhereDeep === true && isDeep(members);
}

/** What the newer checks can read of a request, in levels of its JSON: an attribute value of 62 maps in one another. */
const NEWER_DEPTH_MAX = 128;

/** Whether a request is nested deeper than the newer checks read it. */
export function isDeep(request: unknown, depthMax = NEWER_DEPTH_MAX): boolean {
  if (typeof request !== "object" || request === null) return false;
  return depthMax === 0 || Object.values(request).some((member) => isDeep(member, depthMax - 1));
}

function aloneFailure(shape: StructureShape, members: Record<string, unknown>): ApiError | undefined {
  for (const name of outlineOf(shape).alone) {
    if (members[name] === undefined) continue;
    const member = shape.members[name] as Shape;
    const failure = newerFailure(member, members[name], name);
    if (failure !== undefined)
      return validationError(member.newer?.alone === "bare" ? failure : messages.constraints([failure]));
  }
  return undefined;
}

/** What a renewed check has against a value. */
function newerFailure(shape: Shape, value: unknown, name: string): string | undefined {
  if (shape.newer === undefined) return undefined;
  if (shape.type === "integer") {
    const { min } = shape;
    if (min === undefined || (value as number) >= min) return undefined;
    return messages.constraintOf(name, messages.mustBeMin(min));
  }
  const { lengthMin, lengthMax } = shape as Lengths;
  const length = shape.type === "map" ? Object.keys(value as object).length : (value as string).length;
  if (lengthMin !== undefined && length < lengthMin)
    return messages.constraintOf(name, messages.mustHaveLengthMin(lengthMin));
  if (shape.type === "list" && lengthMax !== undefined && length > lengthMax)
    return messages.constraintOf(name, messages.mustHaveLengthMax(lengthMax));
  if (shape.type !== "string" || shape.oneOf === undefined || shape.oneOf.includes(value as string)) return undefined;
  return shape.newer.noneOfThem ?? messages.constraintOfNone(messages.mustBeOneOf(shape.newer.oneOf ?? shape.oneOf));
}

function checkMembers(
  shape: StructureShape,
  members: Record<string, unknown>,
  at: string,
  failures: string[],
  older = false,
): void {
  for (const name in shape.members) {
    const member = shape.members[name] as Shape;
    if (members[name] === undefined && !member.required) continue;
    const told = `${at.charAt(0).toUpperCase()}${at.slice(1)}${name}`;
    const newer = older || members[name] === undefined ? undefined : newerFailure(member, members[name], told);
    if (newer !== undefined) {
      if (failures.length < FAILURES_MAX) failures.push(newer);
      continue;
    }
    check(member, members[name], `${at}${camelCase(name)}`, failures);
  }
}

function check(shape: Shape, value: unknown, at: string, failures: string[]): void {
  if (failures.length >= FAILURES_MAX) return;
  const fail = (rule: string) => failures.push(messages.constraint(printed(value, shape), at, rule));
  if (value === undefined || value === null) {
    if (shape.required) fail(messages.mustNotBeNull);
    return;
  }
  switch (shape.type) {
    case "string":
      if (!shape.patternFirst) checkLength(shape, (value as string).length, fail);
      if (shape.pattern && !shape.pattern.test(value as string))
        fail(messages.mustMatch(shape.patternTold ?? shape.pattern.source.slice(1, -1)));
      if (shape.patternFirst) checkLength(shape, (value as string).length, fail);
      if (shape.oneOf && !shape.oneOf.includes(value as string)) fail(messages.mustBeOneOf(shape.oneOf));
      return;
    case "integer":
      if (shape.min !== undefined && (value as number) < shape.min) fail(messages.mustBeMin(shape.min));
      if (shape.max !== undefined && (value as number) > shape.max) fail(messages.mustBeMax(shape.max));
      return;
    case "list":
      checkLength(shape, (value as unknown[]).length, fail);
      (value as unknown[]).forEach((element, i) => {
        check({ ...shape.of, required: true }, element, `${at}.${i + 1}.member`, failures);
      });
      return;
    case "map": {
      const map = value as Record<string, unknown>;
      const names = Object.keys(map);
      checkLength(shape, names.length, fail);
      if (!shape.keysLast) checkKeys(shape, map, fail);
      if (shape.valueLengths) checkValueLengths(shape.valueLengths, map, fail);
      for (const name of names) check({ ...shape.of, required: true }, map[name], `${at}.${name}.member`, failures);
      return;
    }
    case "structure":
      return checkMembers(shape, value as Record<string, unknown>, `${at}.`, failures);
  }
}

function checkKeys(shape: Shape, map: Record<string, unknown>, fail: (rule: string) => void): void {
  if (shape.type !== "map" || shape.keys === undefined || Object.keys(map).every(isTableName)) return;
  fail(messages.mapKeysMust(TABLE_NAME_RULES));
}

function checkKeysLast(shape: StructureShape, members: Record<string, unknown>, failures: string[]): void {
  if (failures.length > 0) return;
  for (const name of outlineOf(shape).keysLast) {
    const at = camelCase(name);
    const member = shape.members[name] as Shape;
    const map = members[name] as Record<string, unknown>;
    checkKeys(member, map, (rule) => failures.push(messages.constraint(printed(map, member), at, rule)));
  }
}

function isTableName(called: string): boolean {
  const name = nameWithin(called);
  return name.length >= 3 && name.length <= 255 && NAME.test(name);
}

function checkLength({ lengthMin, lengthMax }: Lengths, length: number, fail: (rule: string) => void): void {
  if (lengthMin !== undefined && length < lengthMin) fail(messages.mustHaveLengthMin(lengthMin));
  if (lengthMax !== undefined && length > lengthMax) fail(messages.mustHaveLengthMax(lengthMax));
}

function checkValueLengths(lengths: Lengths, map: Record<string, unknown>, fail: (rule: string) => void): void {
  const { lengthMin = 0, lengthMax = Number.POSITIVE_INFINITY } = lengths;
  for (const name in map) {
    const length = (map[name] as unknown[] | null)?.length ?? 0;
    if (length >= lengthMin && length <= lengthMax) continue;
    return fail(messages.mapValueMust([messages.mustHaveLengthMax(lengthMax), messages.mustHaveLengthMin(lengthMin)]));
  }
}

function checkSupported(shape: StructureShape, members: Record<string, unknown>): void {
  for (const name in members) {
    const member = shape.members[name] as Shape;
    if (member.type !== "unsupported" || member.unless?.(members[name])) continue;
    throw validationError(member.instead?.(members[name], members) ?? messages.notSupported(name));
  }
}
