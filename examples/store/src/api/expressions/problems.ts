/** What is wrong with one expression; becomes a ValidationException that names the parameter. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

/**
 * Mistakes that leave the grammar intact, the one to be reported first at the top. A syntax error anywhere in the expression is reported
 * before any of them, so they are noted while parsing and thrown at its end.
 */
const PRECEDENCE = [
  "parentheses",
  "section",
  "unknown function",
  "misplaced function",
  "reserved word",
  "undefined",
  "operand count",
  "same operands",
  "operand type",
  "paths",
] as const;

export type ProblemKind = (typeof PRECEDENCE)[number];

export class Problems {
  #rank: number = PRECEDENCE.length;
  #message = "";

  note(kind: ProblemKind, message: string): void {
    const rank = PRECEDENCE.indexOf(kind);
    if (rank >= this.#rank) return;
    this.#rank = rank;
    this.#message = message;
  }

  throwFirst(): void {
    if (this.#rank < PRECEDENCE.length) throw new ExpressionError(this.#message);
  }
}
