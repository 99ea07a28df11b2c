/** Equality and order of attribute values, as conditions, filters and keys see them. */
import type { AttributeType } from "./attributes.js";
import { base64Bytes, compareBase64 } from "./base64.js";
import { madeOnce } from "./made-once.js";
import type { AttributeValue, Comparator } from "./model.js";
import { compareNumbers } from "./number.js";
import { compareText, utf8Bytes } from "./text.js";

/** Numbers are in normal form and binary is canonical base64, so scalars are equal exactly when their texts are. */
export function equalValues(a: AttributeValue, b: AttributeValue): boolean {
  if (a === b) return true;
  if ("S" in a) return "S" in b && a.S === b.S;
  if ("N" in a) return "N" in b && a.N === b.N;
  if ("B" in a) return "B" in b && a.B === b.B;
  if ("BOOL" in a) return "BOOL" in b && a.BOOL === b.BOOL;
  if ("NULL" in a) return "NULL" in b;
  if ("SS" in a) return "SS" in b && equalSets(a.SS, b.SS);
  if ("NS" in a) return "NS" in b && equalSets(a.NS, b.NS);
  if ("BS" in a) return "BS" in b && equalSets(a.BS, b.BS);
  if ("L" in a) {
    return (
      "L" in b && a.L.length === b.L.length && a.L.every((value, i) => equalValues(value, b.L[i] as AttributeValue))
    );
  }
  if (!("M" in b)) return false;
  const names = Object.keys(a.M);
  if (names.length !== Object.keys(b.M).length) return false;
  return names.every(
    (name) => Object.hasOwn(b.M, name) && equalValues(a.M[name] as AttributeValue, b.M[name] as AttributeValue),
  );
}

function equalSets(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  const members = membersOf(b);
  return a.every((member) => members.has(member));
}

/** A condition may ask for them a hundred times. */
const membersOf = madeOnce((set: readonly string[]): ReadonlySet<string> => new Set(set));

/** Of those that have an order. */
export const ORDERED_TYPES: ReadonlySet<string> = new Set<AttributeType>(["S", "N", "B"]);

/** What a comparison is with its sides exchanged. */
export const MIRRORED = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
} as const satisfies Record<Comparator, Comparator>;

/** Below zero, zero or above; `undefined` where there is no order: different types, or a type that has none. */
export function compareValues(a: AttributeValue, b: AttributeValue): number | undefined {
  if ("S" in a) return "S" in b ? compareText(a.S, b.S) : undefined;
  if ("N" in a) return "N" in b ? compareNumbers(a.N, b.N) : undefined;
  if ("B" in a) return "B" in b ? compareBase64(a.B, b.B) : undefined;
  return undefined;
}

/** Of sets: members come back in their own order, whatever order they came in. */
export const MEMBER_ORDER = { SS: compareText, NS: compareNumbers, BS: compareBase64 } as const;

/** @returns itself where it is in order already, as what was read and is written back */
export function inOrder(members: string[], compare: (a: string, b: string) => number): string[] {
  for (let i = 1; i < members.length; i++)
    if (compare(members[i - 1] as string, members[i] as string) > 0) return [...members].sort(compare);
  return members;
}

/** What `size()` answers; `undefined` for the types that have none. */
export function sizeOfValue(value: AttributeValue): number | undefined {
  if ("S" in value) return utf8Bytes(value.S);
  if ("B" in value) return base64Bytes(value.B);
  if ("SS" in value) return value.SS.length;
  if ("NS" in value) return value.NS.length;
  if ("BS" in value) return value.BS.length;
  if ("L" in value) return value.L.length;
  if ("M" in value) return Object.keys(value.M).length;
  return undefined;
}
