import { validationError } from "../errors.js";
import { partiqlMessages } from "./messages.js";

export interface PartiqlToken {
  readonly kind: "word" | "name" | "string" | "number" | "symbol" | "end";
  /** A quoted one without its quotes. */
  readonly text: string;
  readonly at: number;
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
    if (name !== undefined) tokens.push({ kind: "name", text: name.replaceAll('""', '"'), at });
    else if (string !== undefined) tokens.push({ kind: "string", text: string.replaceAll("''", "'"), at });
    else if (number !== undefined) tokens.push({ kind: "number", text: number, at });
    else if (word !== undefined) tokens.push({ kind: "word", text: word, at });
    else tokens.push({ kind: "symbol", text: symbol as string, at });
    at += whole.length;
  }
  tokens.push({ kind: "end", text: "", at });
  return tokens;
}
