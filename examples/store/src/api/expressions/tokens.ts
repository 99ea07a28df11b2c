/** Symbols stand as their own kind: `(`, `<=`, `.`. Any other character is a token of its own, which has no place anywhere. */
export type TokenKind = "word" | "name" | "value" | "number" | "symbol" | "stray" | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins in the expression. */
  readonly at: number;
}

const TOKEN =
  /\s*(?:([A-Za-z][A-Za-z0-9_]*)|(#[A-Za-z0-9_]+)|(:[A-Za-z0-9_]+)|([0-9]+)|(<>|<=|>=|[-=<>()[\].,+])|(\S))/uy;
const KINDS: readonly TokenKind[] = ["word", "name", "value", "number", "symbol", "stray"];

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
  tokens.push({ kind: "end", text: "<EOF>", at: expression.length });
  return tokens;
}
