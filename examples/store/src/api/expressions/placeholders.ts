import { getAttribute, typeOf } from "../attributes.js";
import { ApiError, validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, Item } from "../model.js";
import { checkValue } from "../value-check.js";

const NAME = /^#[A-Za-z0-9_]+$/;
const VALUE = /^:[A-Za-z0-9_]+$/;

/** `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request, and which of them its expressions have used. */
export class Placeholders {
  readonly #names: Readonly<Record<string, string>>;
  readonly #values: Item;
  readonly #usedNames = new Set<string>();
  readonly #usedValues = new Set<string>();

  /**
   * Checks the values and brings them into normal form, in place.
   * @throws ValidationException
   */
  constructor(names: Readonly<Record<string, string>> | undefined, values: Item | undefined) {
    this.#names = names ?? {};
    this.#values = values ?? {};
    if (names !== undefined) checkNames(names);
    if (values !== undefined) checkValues(values);
  }

  name(placeholder: string): string | undefined {
    this.#usedNames.add(placeholder);
    return Object.hasOwn(this.#names, placeholder) ? this.#names[placeholder] : undefined;
  }

  value(placeholder: string): AttributeValue | undefined {
    this.#usedValues.add(placeholder);
    return getAttribute(this.#values, placeholder);
  }

  /** To be called when all expressions are parsed. @throws ValidationException */
  assertAllUsed(): void {
    const names = Object.keys(this.#names).filter((name) => !this.#usedNames.has(name));
    if (names.length > 0) throw validationError(messages.namesUnused(names));
    const values = Object.keys(this.#values).filter((name) => !this.#usedValues.has(name));
    if (values.length > 0) throw validationError(messages.valuesUnused(values));
  }
}

function checkNames(names: Readonly<Record<string, string>>): void {
  let count = 0;
  for (const name in names) {
    count++;
    if (!NAME.test(name)) throw validationError(messages.nameKey(name));
    if (names[name] === "") throw validationError(messages.nameValue(name));
  }
  if (count === 0) throw validationError(messages.namesEmpty);
}

function checkValues(values: Item): void {
  let count = 0;
  for (const name in values) {
    count++;
    if (!VALUE.test(name)) throw validationError(messages.valueKey(name));
  }
  if (count === 0) throw validationError(messages.valuesEmpty);
  for (const name in values) {
    try {
      checkValue(values[name]);
    } catch (error) {
      if (!(error instanceof ApiError) || error.type !== "ValidationException") throw error;
      throw validationError(messages.valueValue(error.message, name));
    }
  }
}

/** As error texts print a value: `{N:5}`. */
export function printValue(value: AttributeValue): string {
  const type = typeOf(value);
  const inner = (value as unknown as Record<string, unknown>)[type];
  return `{${type}:${typeof inner === "object" ? JSON.stringify(inner) : String(inner)}}`;
}
