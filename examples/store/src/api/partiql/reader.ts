/** What all parts of a statement have in common: a walk over its tokens, with bounds, values and paths. */
import { setAttribute, typeOf } from "../attributes.js";
import { ApiError, validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, DocumentPath, Item } from "../model.js";
import { normalizeNumber } from "../number.js";
import { LIST_INDEX_DIGITS_MAX, PATH_STEPS_MAX } from "../path.js";
import { TokenCursor } from "../token-cursor.js";
import { checkValue } from "../value-check.js";
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

  /** @throws ValidationException */
  constructor(statement: string, parameters: readonly AttributeValue[]) {
    super(partiqlTokens(statement));
    this.#statement = statement;
    this.#parameters = parameters;
  }

  /** @throws ValidationException always: the next token has no place here */
  fail(): never {
    const { at } = this.peek();
    throw validationError(partiqlMessages.malformed(this.#statement.slice(at, at + 32)));
  }

  /** Where a token stands, as error texts say it: line, column and length, in characters from 1. */
  placeOf({ at, text }: PartiqlToken): string {
    const before = this.#statement.slice(0, at);
    return `${before.split("\n").length}:${at - before.lastIndexOf("\n")}:${text.length}`;
  }

  /** True at `name(`. */
  atCall(): boolean {
    return this.peek().kind === "word" && this.isSymbol("(", 1);
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

  /** A table, an index or an attribute. */
  name(): string {
    const { kind, text } = this.peek();
    if (kind !== "word" && kind !== "name") this.fail();
    this.take();
    return text;
  }

  /** `a."b"[3]['c']`. */
  path(): DocumentPath {
    const steps: (string | number)[] = [this.name()];
    for (;;) {
      if (this.acceptSymbol(".")) steps.push(this.name());
      else if (this.acceptSymbol("[")) steps.push(this.#step());
      else break;
    }
    if (steps.length > PATH_STEPS_MAX) throw validationError(messages.pathTooDeep(steps.length));
    return steps;
  }

  #step(): string | number {
    const { kind, text } = this.take();
    this.expectSymbol("]");
    if (kind === "string") return text;
    if (kind !== "number" || !/^\d+$/.test(text)) this.fail();
    if (text.length > LIST_INDEX_DIGITS_MAX) throw validationError(messages.listIndexTooLarge(text));
    return Number(text);
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
    try {
      return { N: normalizeNumber(text) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw validationError(partiqlMessages.numberUnder(error.message, this.#place));
    }
  }

  #within<T>(step: string, read: () => T): T {
    const place = this.#place;
    this.#place += step;
    const result = read();
    this.#place = place;
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
        const value = this.#parameters[this.#parameter++];
        if (value === undefined) throw validationError(partiqlMessages.parameterCount);
        return value;
      }
      case "-":
      case "+":
        if (this.peek().kind !== "number") this.fail();
        return this.#number(text + this.take().text);
      case "[":
        return { L: this.nested(() => this.#members("]")) };
      case "<<":
        return this.nested(() => setOf(this.#members(">>")));
      default:
        return { M: this.nested(() => this.#tuple()) };
    }
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
