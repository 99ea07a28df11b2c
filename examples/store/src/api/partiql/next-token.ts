/** Where a statement that has not answered everything goes on: opaque to clients, and good for this statement alone. */
import { decodeBase64, encodeBase64, isBase64 } from "../base64.js";
import { validationError } from "../errors.js";
import { hash32 } from "../hash.js";
import type { AttributeValue } from "../model.js";
import { fromUtf8, utf8 } from "../text.js";
import { canonicalText } from "../transactions.js";
import { partiqlMessages } from "./messages.js";

export interface Position {
  /** Which of the plan's ranges. */
  readonly range: number;
  /** Behind this key; absent: from the range's beginning. */
  readonly after?: Uint8Array;
}

const VERSION = 1;

export function statementSum(statement: string, parameters: readonly AttributeValue[]): number {
  return hash32(utf8(canonicalText([statement, parameters])));
}

export function nextToken(sum: number, { range, after }: Position): string {
  const fields = [VERSION, sum, range, after === undefined ? null : encodeBase64(after)];
  return encodeBase64(utf8(JSON.stringify(fields)));
}

/** @throws ValidationException */
export function positionOf(token: string, sum: number): Position {
  const fields = isBase64(token) ? jsonOf(decodeBase64(token)) : undefined;
  const [version, of, range, after] = Array.isArray(fields) ? (fields as unknown[]) : [];
  const whole =
    version === VERSION &&
    Number.isSafeInteger(range) &&
    (range as number) >= 0 &&
    (after === null || (typeof after === "string" && isBase64(after)));
  if (!whole) throw validationError(partiqlMessages.tokenInvalid);
  if (of !== sum) throw validationError(partiqlMessages.tokenMismatch);
  return { range: range as number, ...(typeof after === "string" && { after: decodeBase64(after) }) };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch {
    return undefined;
  }
}
