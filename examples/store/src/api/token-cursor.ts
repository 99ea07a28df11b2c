interface CursorToken {
  readonly kind: string;
  readonly text: string;
}

/** Parentheses, NOTs, lists and calls around one another: bounds the recursion of a parser and of whoever walks its result. */
const DEPTH_MAX = 300;

/** A walk over the tokens of an expression or a statement; the last one says that there are no more, and is never passed. */
export abstract class TokenCursor<T extends CursorToken> {
  readonly #tokens: readonly T[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly T[]) {
    this.#tokens = tokens;
  }

  /** @throws always: the next token has no place here */
  abstract fail(): never;

  /** What is thrown past the bound of nesting. */
  protected abstract tooDeep(): Error;

  /** How many tokens have been taken. */
  get position(): number {
    return this.#next;
  }

  /** The token `ahead` places from here, without taking it; -1: the one that was taken last, if any was. */
  peek(ahead = 0): T {
    return this.#tokens[Math.max(0, Math.min(this.#next + ahead, this.#tokens.length - 1))] as T;
  }

  take(): T {
    const token = this.peek();
    if (token.kind !== "end") this.#next++;
    return token;
  }

  isSymbol(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === "symbol" && token.text === text;
  }

  /** @param keyword in capitals; it may be written in any case */
  isKeyword(keyword: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === "word" && token.text.length === keyword.length && token.text.toUpperCase() === keyword;
  }

  acceptSymbol(text: string): boolean {
    if (!this.isSymbol(text)) return false;
    this.#next++;
    return true;
  }

  acceptKeyword(keyword: string): boolean {
    if (!this.isKeyword(keyword)) return false;
    this.#next++;
    return true;
  }

  expectSymbol(text: string): void {
    if (!this.acceptSymbol(text)) this.fail();
  }

  expectKeyword(keyword: string): void {
    if (!this.acceptKeyword(keyword)) this.fail();
  }

  nested<R>(parse: () => R): R {
    if (++this.#depth > DEPTH_MAX) throw this.tooDeep();
    const result = parse();
    this.#depth--;
    return result;
  }
}
