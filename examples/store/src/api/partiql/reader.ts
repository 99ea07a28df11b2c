/** What all parts of a statement have in common: a walk over its tokens, with bounds, values and paths. */
import { setAttribute, typeOf } from "../attributes.js";
import { validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, DocumentPath, Item } from "../model.js";
import { LIST_INDEX_DIGITS_MAX, PATH_STEPS_MAX } from "../path.js";
import { TokenCursor } from "../token-cursor.js";
import { checkValue } from "../value-check.js";
import { partiqlMessages } from "./messages.js";
import { type PartiqlToken, partiqlTokens } from "./tokens.js";

export class Reader extends TokenCursor<PartiqlToken> {
  readonly #statement: string;
  readonly #parameters: readonly AttributeValue[];
  #parameter = 0;

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

  protected tooDeep(): Error {
    return validationError(partiqlMessages.tooDeep);
  }

  /** Everything is read. */
  finish(): void {
    this.acceptSymbol(";");
    if (this.peek().kind !== "end") this.fail();
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

  #literal(): AttributeValue {
    const { kind, text } = this.take();
    if (kind === "string") return { S: text };
    if (kind === "number") return { N: text };
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
        return { N: text + this.take().text };
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
      if (!this.atValue()) this.fail();
      members.push(this.#literal());
    } while (this.acceptSymbol(","));
    this.expectSymbol(end);
    return members;
  }

  #tuple(): Item {
    const item: Item = {};
    if (this.acceptSymbol("}")) return item;
    do {
      const { kind, text } = this.take();
      if (kind !== "string" && kind !== "name") this.fail();
      if (Object.hasOwn(item, text)) throw validationError(partiqlMessages.duplicateKey(text));
      this.expectSymbol(":");
      if (!this.atValue()) this.fail();
      setAttribute(item, text, this.#literal());
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
