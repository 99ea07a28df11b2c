import { messages } from "../messages.js";
import { ExpressionError } from "./problems.js";

/** Symbols stand as their own kind: `(`, `<=`, `.`. */
export type TokenKind = "word" | "name" | "value" | "number" | "symbol" | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins in the expression. */
  readonly at: number;
}

const TOKEN = /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(#[A-Za-z0-9_]+)|(:[A-Za-z0-9_]+)|([0-9]+)|(<>|<=|>=|[-=<>()[\].,+]))/y;
const KINDS: readonly TokenKind[] = ["word", "name", "value", "number", "symbol"];
const SPACE = /\s*/y;

/** @throws ExpressionError at the first character that begins no token */
export function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(expression);
    if (match === null) break;
    const group = match.findIndex((part, i) => i > 0 && part !== undefined);
    const text = match[group] as string;
    at = TOKEN.lastIndex;
    tokens.push({ kind: KINDS[group - 1] as TokenKind, text, at: at - text.length });
  }
  SPACE.lastIndex = at;
  SPACE.exec(expression);
  if (SPACE.lastIndex < expression.length) {
    const start = SPACE.lastIndex;
    const near = expression.slice(tokens[tokens.length - 1]?.at ?? start, start + 1);
    throw new ExpressionError(messages.syntaxError(expression.charAt(start), near));
  }
  tokens.push({ kind: "end", text: "<EOF>", at: expression.length });
  return tokens;
}
