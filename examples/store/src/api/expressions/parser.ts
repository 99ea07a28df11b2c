/** What all expressions have in common: a walk over the tokens, bounds, document paths and value placeholders. */
import { messages } from "../messages.js";
import type { AttributeValue, DocumentPath } from "../model.js";
import { LIST_INDEX_DIGITS_MAX, PATH_STEPS_MAX } from "../path.js";
import { utf8Bytes } from "../text.js";
import { TokenCursor } from "../token-cursor.js";
import type { Placeholders } from "./placeholders.js";
import { ExpressionError, Problems, type Ranks } from "./problems.js";
import { isReserved } from "./reserved-words.js";
import { type Token, tokenize } from "./tokens.js";

const EXPRESSION_BYTES_MAX = 4096;
export const OPERATORS_MAX = 300;

/** Stands in for a placeholder that is not defined, until that is reported. */
const NOTHING: AttributeValue = { NULL: true };

export class Parser extends TokenCursor<Token> {
  readonly problems: Problems;
  readonly #expression: string;
  readonly #placeholders: Placeholders;
  /** The pair of parentheses that was closed last, by the places of its first token and of the token behind it. */
  lastPair: { readonly from: number; readonly to: number } | undefined;
  #operators = 0;

  /** @throws ExpressionError for an empty or oversized expression */
  constructor(expression: string, placeholders: Placeholders, tooLong = messages.expressionTooLong, ranks?: Ranks) {
    if (expression === "") throw new ExpressionError(messages.expressionEmpty);
    const size = utf8Bytes(expression);
    if (size > EXPRESSION_BYTES_MAX) throw new ExpressionError(tooLong(size));
    super(tokenize(expression));
    this.problems = new Problems(ranks);
    this.#expression = expression;
    this.#placeholders = placeholders;
  }

  /** Everything is read: reports what was noted on the way. */
  finish(): void {
    if (this.peek().kind !== "end") this.fail();
    this.problems.throwFirst();
  }

  /** @throws ExpressionError always: the next token has no place here */
  fail(): never {
    const token = this.peek();
    const before = this.peek(-1);
    const after = token.kind === "end" ? token : this.peek(1);
    const end = after.kind === "end" ? this.#expression.length : after.at + after.text.length;
    throw new ExpressionError(messages.syntaxError(token.text, this.#expression.slice(before.at, end).trim()));
  }

  countOperator(): void {
    if (++this.#operators > OPERATORS_MAX) {
      this.problems.note("operators", messages.expressionTooManyOperators(OPERATORS_MAX + 1));
    }
  }

  protected tooDeep(): Error {
    const operators = this.#operators > OPERATORS_MAX;
    return new ExpressionError(
      operators ? messages.expressionTooManyOperators(OPERATORS_MAX + 1) : messages.expressionTooDeep,
    );
  }

  /** At a path: `a.#b[3]`. */
  path(): DocumentPath {
    const steps: (string | number)[] = [this.#pathName()];
    for (;;) {
      if (this.acceptSymbol(".")) steps.push(this.#pathName());
      else if (this.acceptSymbol("[")) steps.push(this.#listIndex());
      else break;
    }
    if (steps.length > PATH_STEPS_MAX) this.problems.note("deep path", messages.pathTooDeep(steps.length));
    return steps;
  }

  #pathName(): string {
    const { kind, text } = this.peek();
    if (kind === "word") {
      if (isReserved(text)) this.problems.note("reserved word", messages.reservedKeyword(text));
    } else if (kind !== "name") this.fail();
    this.take();
    if (kind === "word") return text;
    const name = this.#placeholders.name(text);
    if (name === undefined) this.problems.note("undefined name", messages.nameUndefined(text));
    return name ?? text;
  }

  #listIndex(): number {
    const { kind, text } = this.peek();
    if (kind !== "number") this.fail();
    if (text.length > LIST_INDEX_DIGITS_MAX) throw new ExpressionError(messages.listIndexTooLarge(text));
    this.take();
    this.expectSymbol("]");
    return Number(text);
  }

  /** At a value placeholder: `:v`. */
  value(): AttributeValue {
    const { text } = this.take();
    const value = this.#placeholders.value(text);
    if (value === undefined) this.problems.note("undefined value", messages.valueUndefined(text));
    return value ?? NOTHING;
  }

  /** True at `name(`. */
  atFunction(): boolean {
    return this.peek().kind === "word" && this.isSymbol("(", 1);
  }
}
