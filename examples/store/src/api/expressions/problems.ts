/** What is wrong with one expression; becomes a ValidationException that names the parameter. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
  /** How it is told of a ConditionExpression by those operations whose checks the service has renewed. */
  readonly newer: string | undefined;

  constructor(message: string, newer?: string) {
    super(message);
    this.newer = newer;
  }
}

/** Mistakes that leave the grammar intact. */
export type ProblemKind =
  | "parentheses"
  | "section"
  | "unknown function"
  | "misplaced function"
  | "operators"
  | "reserved word"
  | "undefined name"
  | "undefined value"
  | "operand count"
  | "same operands"
  | "operand type"
  | "section's operand"
  | "deep path"
  | "overlap"
  | "conflict";

/** Of two mistakes the one of the lower rank is reported, of one rank the first. */
export type Ranks = Readonly<Record<ProblemKind, number>>;

/** From here on it is the first condition with a mistake whose mistake is reported, be those of a later one higher or lower. */
const OF_ONE_CONDITION = 6;

/** Of conditions, filters and projections. */
const RANKS: Ranks = {
  parentheses: 0,
  section: 1,
  "unknown function": 2,
  "misplaced function": 3,
  operators: 4,
  "reserved word": 5,
  "undefined name": OF_ONE_CONDITION,
  "undefined value": OF_ONE_CONDITION,
  "operand count": 7,
  "same operands": 8,
  "operand type": 9,
  "section's operand": 9,
  "deep path": 10,
  overlap: 11,
  conflict: 12,
};

/** In an update the paths come before what is done to them, and all that is wrong with a function's operands is one kind of mistake. */
export const UPDATE_RANKS: Ranks = {
  "reserved word": 0,
  "unknown function": 1,
  "misplaced function": 2,
  operators: 3,
  section: 4,
  "undefined name": 5,
  "undefined value": 6,
  "deep path": 7,
  overlap: 8,
  conflict: 9,
  "section's operand": 10,
  "operand count": 11,
  "operand type": 11,
  parentheses: 12,
  "same operands": 12,
};

/**
 * The mistake to be reported. A syntax error anywhere in the expression is reported before any of them, so they are noted while parsing and
 * thrown at its end.
 */
export class Problems {
  readonly #ranks: Ranks;
  #rank = Number.POSITIVE_INFINITY;
  #message = "";
  #newer: string | undefined;
  #decided = false;

  constructor(ranks = RANKS) {
    this.#ranks = ranks;
  }

  note(kind: ProblemKind, message: string, newer?: string): void {
    const rank = this.#ranks[kind];
    if (rank >= this.#rank || (this.#decided && rank >= OF_ONE_CONDITION)) return;
    this.#rank = rank;
    this.#message = message;
    this.#newer = newer;
  }

  /** One comparison or one call has been read, with all that stands in it. */
  endCondition(): void {
    this.#decided = this.#rank < Number.POSITIVE_INFINITY;
  }

  throwFirst(): void {
    if (this.#rank < Number.POSITIVE_INFINITY) throw new ExpressionError(this.#message, this.#newer);
  }
}
