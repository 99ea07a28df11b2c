/** What all parts of a statement have in common: a walk over its tokens, with bounds, values and paths. */
import { setAttribute, typeOf } from "../attributes.js";
import { ApiError, validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, DocumentPath, Item } from "../model.js";
import { normalizeNumber } from "../number.js";
import { PATH_STEPS_MAX } from "../path.js";
import { TokenCursor } from "../token-cursor.js";
import { NESTING_MAX } from "../update.js";
import { checkValue } from "../value-check.js";
import { isFunctionWord, isOperatorWord, isReservedWord } from "./keywords.js";
import { partiqlMessages } from "./messages.js";
import { type PartiqlToken, partiqlTokens } from "./tokens.js";

const ROOT = "root";
const INTEGER_MAX = 2 ** 31 - 1;

export class Reader extends TokenCursor<PartiqlToken> {
  readonly #statement: string;
  readonly #parameters: readonly AttributeValue[];
  #parameter = 0;
  /** Within the literal that is being read. */
  #place = ROOT;
  /** Lists and maps around it, within the value of one attribute. */
  #levels = 0;
  /** As they stand in the statement. */
  readonly #numbers: string[] = [];

  /** @throws ValidationException */
  constructor(statement: string, parameters: readonly AttributeValue[]) {
    super(partiqlTokens(statement));
    this.#statement = statement;
    this.#parameters = parameters;
  }

  /** @throws ValidationException always: the next token has no place here, where a term should be */
  fail(problem: string = this.#problem()): never {
    throw validationError(partiqlMessages.malformed(problem));
  }

  #problem(): string {
    const { kind, text } = this.peek();
    if (kind !== "word" || !isReservedWord(text)) return partiqlMessages.unexpectedTerm;
    return isOperatorWord(text) ? partiqlMessages.unexpectedOperator : partiqlMessages.unexpectedKeyword;
  }

  /** Behind an operator something has to come. */
  expectRight(): void {
    if (this.peek(this.isSymbol(";") ? 1 : 0).kind === "end") this.fail(partiqlMessages.missingRight);
  }

  /** Where a token stands, as error texts say it: line, column and length, in characters from 1. */
  placeOf({ at, length }: PartiqlToken): string {
    const before = this.#statement.slice(0, at);
    return `${before.split("\n").length}:${at - before.lastIndexOf("\n")}:${length}`;
  }

  /** True at `name(`. */
  atCall(): boolean {
    const { kind, text } = this.peek();
    return kind === "word" && this.isSymbol("(", 1) && (!isReservedWord(text) || isFunctionWord(text));
  }

  /** True at a name: a word that is none of PartiQL's own, or any in quotes. */
  atName(): boolean {
    const { kind, text } = this.peek();
    return kind === "name" || (kind === "word" && !isReservedWord(text));
  }

  protected tooDeep(): Error {
    return validationError(partiqlMessages.tooDeep);
  }

  /** Everything is read. */
  finish(): void {
    this.acceptSymbol(";");
    if (this.peek().kind !== "end") throw validationError(partiqlMessages.leftOver);
    if (this.#parameter !== this.#parameters.length) throw validationError(partiqlMessages.parameterCount);
  }

  /** A table, an index or an attribute. @param problem what is said where there is none */
  name(problem?: string): string {
    if (!this.atName()) this.fail(problem);
    return this.take().text;
  }

  /** `a."b"[3]['c']`. */
  path(problem?: string): DocumentPath {
    const steps: (string | number)[] = [this.name(problem)];
    for (;;) {
      if (this.acceptSymbol(".")) steps.push(this.name(partiqlMessages.dotComponent));
      else if (this.acceptSymbol("[")) steps.push(this.#step());
      else break;
    }
    if (steps.length > PATH_STEPS_MAX) throw validationError(messages.pathTooDeep(steps.length));
    return steps;
  }

  #step(): string | number {
    const minus = this.acceptSymbol("-");
    const token = this.peek();
    const { kind, text } = token;
    if (kind === "string" && !minus) {
      this.take();
      this.expectSymbol("]");
      return text;
    }
    if (kind !== "number" || !/^\d+$/.test(text)) this.fail();
    this.take();
    this.expectSymbol("]");
    const index = minus ? -Number(text) : Number(text);
    if (index < 0 || index > INTEGER_MAX)
      throw validationError(partiqlMessages.listIndex(minus ? `-${text}` : text, this.placeOf(token)));
    return Math.abs(index);
  }

  atValue(): boolean {
    const { kind, text } = this.peek();
    if (kind === "string" || kind === "number") return true;
    if (kind === "symbol") return "?-+[{<<".includes(text) && text !== "<";
    return ["TRUE", "FALSE", "NULL", "MISSING"].some((keyword) => this.isKeyword(keyword));
  }

  /** A literal, or the next parameter. */
  value(): AttributeValue {
    const value = this.#literal();
    checkValue(value);
    return value;
  }

  /** An item: each of its attributes is a value of its own. */
  item(): Item {
    this.expectSymbol("{");
    const item = this.nested(() => this.#tuple(true));
    for (const name in item) checkValue(item[name]);
    return item;
  }

  #number(text: string): AttributeValue {
    const [, fraction = "", exponent = "0"] = /^[+-]?\d*(?:\.(\d*))?(?:[eE](.*))?$/.exec(text) ?? [];
    const scale = fraction.length - Number(exponent);
    if (Math.abs(Number(exponent)) > INTEGER_MAX || Math.abs(scale) > INTEGER_MAX) {
      throw validationError(partiqlMessages.unreadable);
    }
    this.#numbers.push(text);
    try {
      return { N: normalizeNumber(text) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw validationError(partiqlMessages.numberUnder(error.message, this.#place));
    }
  }

  #within<T>(step: string, read: () => T): T {
    const place = this.#place;
    const levels = this.#levels;
    this.#place += step;
    if (step !== "") this.#levels++;
    if (this.#levels >= NESTING_MAX) throw validationError(partiqlMessages.literalTooDeep(this.#place));
    const result = read();
    this.#place = place;
    this.#levels = levels;
    return result;
  }

  #literal(): AttributeValue {
    const { kind, text } = this.take();
    if (kind === "string") return { S: text };
    if (kind === "number") return this.#number(text);
    if (kind === "word") {
      const keyword = text.toUpperCase();
      if (keyword === "MISSING") throw validationError(partiqlMessages.missingLiteral);
      if (keyword === "NULL") return { NULL: true };
      return { BOOL: keyword === "TRUE" };
    }
    switch (text) {
      case "?": {
        // Beside others of a list, a map or a set there has to be something that is written out.
        if (this.#place !== ROOT) {
          const at = this.placeOf(this.peek(-1));
          throw validationError(partiqlMessages.unsupportedData("Parameter", this.#place, at));
        }
        const value = this.#parameters[this.#parameter++];
        if (value === undefined) throw validationError(partiqlMessages.parameterCount);
        return value;
      }
      case "-":
      case "+": {
        let sign = text === "-" ? -1 : 1;
        while (this.isSymbol("-") || this.isSymbol("+")) if (this.take().text === "-") sign = -sign;
        if (this.peek().kind !== "number") this.fail();
        return this.#number((sign < 0 ? "-" : "+") + this.take().text);
      }
      case "[":
        return { L: this.nested(() => this.#members("]")) };
      case "<<":
        return this.nested(() => this.#bag());
      default:
        return { M: this.nested(() => this.#tuple()) };
    }
  }

  #bag(): AttributeValue {
    const before = this.#numbers.length;
    const set = setOf(this.#members(">>"));
    if ("NS" in set && new Set(set.NS).size < set.NS.length) {
      throw validationError(partiqlMessages.bagDuplicates(this.#numbers.slice(before), this.#place));
    }
    return set;
  }

  #members(end: string): AttributeValue[] {
    const members: AttributeValue[] = [];
    if (this.acceptSymbol(end)) return members;
    do {
      this.#assertValue();
      members.push(this.#within(`[${members.length}]`, () => this.#literal()));
    } while (this.acceptSymbol(","));
    this.expectSymbol(end);
    return members;
  }

  /** A call has no place in a literal, and is told so. */
  #assertValue(): void {
    const token = this.peek();
    if (this.atCall()) throw validationError(partiqlMessages.unsupportedData(token.text, ROOT, this.placeOf(token)));
    if (!this.atValue()) this.fail();
  }

  #tuple(isItem = false): Item {
    const item: Item = {};
    if (this.acceptSymbol("}")) return item;
    do {
      const { kind, text } = this.take();
      if (kind !== "string" && kind !== "name") this.fail();
      if (Object.hasOwn(item, text)) throw validationError(partiqlMessages.duplicateKey(text));
      this.expectSymbol(":");
      this.#assertValue();
      setAttribute(
        item,
        text,
        this.#within(isItem ? "" : `.${text}`, () => this.#literal()),
      );
    } while (this.acceptSymbol(","));
    this.expectSymbol("}");
    return item;
  }
}

function setOf(members: readonly AttributeValue[]): AttributeValue {
  const [first] = members;
  if (first === undefined) throw validationError(partiqlMessages.emptyBag);
  const type = typeOf(first);
  if ((type !== "S" && type !== "N" && type !== "B") || members.some((member) => typeOf(member) !== type)) {
    throw validationError(partiqlMessages.bagTypes);
  }
  return { [`${type}S`]: members.map((member) => (member as Record<string, string>)[type]) } as AttributeValue;
}
