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
  "operators",
  "reserved word",
  "undefined",
  "operand count",
  "same operands",
  "operand type",
  "paths",
] as const;

export type ProblemKind = (typeof PRECEDENCE)[number];

/** From here on it is the first condition with a mistake whose mistake is reported, be those of a later one higher or lower. */
const OF_ONE_CONDITION = PRECEDENCE.indexOf("undefined");

export class Problems {
  #rank: number = PRECEDENCE.length;
  #message = "";
  #decided = false;

  note(kind: ProblemKind, message: string): void {
    const rank = PRECEDENCE.indexOf(kind);
    if (rank >= this.#rank || (this.#decided && rank >= OF_ONE_CONDITION)) return;
    this.#rank = rank;
    this.#message = message;
  }

  /** One comparison or one call has been read, with all that stands in it. */
  endCondition(): void {
    this.#decided = this.#rank < PRECEDENCE.length;
  }

  throwFirst(): void {
    if (this.#rank < PRECEDENCE.length) throw new ExpressionError(this.#message);
  }
}
