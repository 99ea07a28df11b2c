import { validationError } from "../errors.js";
import { partiqlMessages } from "./messages.js";

export interface PartiqlToken {
  readonly kind: "word" | "name" | "string" | "number" | "symbol" | "end";
  /** A quoted one without its quotes. */
  readonly text: string;
  readonly at: number;
  /** As it is written, quotes included. */
  readonly length: number;
}

/** Blanks and comments, then one token: "name", 'string', number, word, or symbol. */
const BLANK = /(?:\s+|--[^\n]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*/y;
const TOKEN =
  /"((?:[^"]|"")*)"|'((?:[^']|'')*)'|((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z_$][A-Za-z0-9_$]*)|(<<|>>|<>|!=|<=|>=|[=<>()[\]{},.?*+\-:;])/y;

/** @throws ValidationException at the first character that begins no token */
export function partiqlTokens(statement: string): PartiqlToken[] {
  const tokens: PartiqlToken[] = [];
  let at = 0;
  for (;;) {
    BLANK.lastIndex = at;
    at += BLANK.exec(statement)?.[0].length ?? 0;
    if (at >= statement.length) break;
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(statement);
    if (match === null) throw validationError(partiqlMessages.unreadable);
    const [whole, name, string, number, word, symbol] = match;
    const { length } = whole;
    if (name !== undefined) tokens.push({ kind: "name", text: name.replaceAll('""', '"'), at, length });
    else if (string !== undefined) tokens.push({ kind: "string", text: string.replaceAll("''", "'"), at, length });
    else if (number !== undefined) tokens.push({ kind: "number", text: number, at, length });
    else if (word !== undefined) tokens.push({ kind: "word", text: word, at, length });
    else tokens.push({ kind: "symbol", text: symbol as string, at, length });
    at += length;
  }
  tokens.push({ kind: "end", text: "", at, length: 0 });
  return tokens;
}
