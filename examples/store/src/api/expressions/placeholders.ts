import { getAttribute, typeOf } from "../attributes.js";
import { ApiError, validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, Item } from "../model.js";
import { valueBytes } from "../size.js";
import { utf8Bytes } from "../text.js";
import { checkValue, nameFits } from "../value-check.js";

/** What the values of one request's expressions may weigh, each as often as it is used: what is sent to a storage node has them at every use. */
export const VALUES_BYTES_MAX = 2 * 1024 * 1024;
const NAMES_BYTES_MAX = 2 * 1024 * 1024;

const NAME = /^#[A-Za-z0-9_]+$/;
const VALUE = /^:[A-Za-z0-9_]+$/;

/** `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request, and which of them its expressions have used. */
export class Placeholders {
  readonly #names: Readonly<Record<string, string>>;
  readonly #values: Item;
  readonly #usedNames = new Set<string>();
  readonly #usedValues = new Set<string>();
  readonly #weights = new Map<AttributeValue, number>();
  #usedBytes = 0;

  /**
   * Checks the values and brings them into normal form, in place.
   * @param levels that a value may be nested
   * @throws ValidationException
   */
  constructor(names: Readonly<Record<string, string>> | undefined, values: Item | undefined, levels?: number) {
    this.#names = names ?? {};
    this.#values = values ?? {};
    if (names !== undefined) checkNames(names);
    if (values !== undefined) checkValues(values, levels);
  }

  name(placeholder: string): string | undefined {
    this.#usedNames.add(placeholder);
    return Object.hasOwn(this.#names, placeholder) ? this.#names[placeholder] : undefined;
  }

  /** @throws ValidationException when that is one use too many of values as large as these */
  value(placeholder: string): AttributeValue | undefined {
    this.#usedValues.add(placeholder);
    const value = getAttribute(this.#values, placeholder);
    if (value !== undefined) this.#usedBytes += this.#weightOf(value);
    if (this.#usedBytes > VALUES_BYTES_MAX) throw validationError(messages.valuesTooLarge);
    return value;
  }

  #weightOf(value: AttributeValue): number {
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    const weight = valueBytes(value);
    // Looking a small one up would take longer than weighing it again.
    if ("L" in value || "M" in value || "NS" in value) this.#weights.set(value, weight);
    return weight;
  }

  /** To be called when all expressions are parsed. @throws ValidationException */
  assertAllUsed(): void {
    const names = Object.keys(this.#names).filter((name) => !this.#usedNames.has(name));
    if (names.length > 0) throw validationError(messages.namesUnused(names));
    const values = Object.keys(this.#values).filter((name) => !this.#usedValues.has(name));
    if (values.length > 0) throw validationError(messages.valuesUnused(values));
  }
}

const KEY_BYTES_MAX = 255;

const isKeyTooLong = (key: string): boolean => key.length * 3 > KEY_BYTES_MAX && utf8Bytes(key) > KEY_BYTES_MAX;

function checkNames(names: Readonly<Record<string, string>>): void {
  if (!namesFit(names)) throw validationError(messages.namesTooLarge);
  let count = 0;
  for (const name in names) {
    count++;
    if (isKeyTooLong(name)) throw validationError(messages.nameKeyTooLong(utf8Bytes(name)));
    if (!NAME.test(name)) throw validationError(messages.nameKey(name));
    if (names[name] === "") throw validationError(messages.nameValue(messages.attributeNameEmpty, name));
    if (!nameFits(names[name] as string)) {
      throw validationError(messages.nameValue(messages.attributeNameTooLarge, name));
    }
  }
  if (count === 0) throw validationError(messages.namesEmpty);
}

function namesFit(names: Readonly<Record<string, string>>): boolean {
  let length = 0;
  for (const name in names) length += name.length + (names[name] as string).length;
  if (length * 3 <= NAMES_BYTES_MAX) return true;
  let bytes = 0;
  for (const name in names) bytes += utf8Bytes(name) + utf8Bytes(names[name] as string);
  return bytes <= NAMES_BYTES_MAX;
}

function checkValues(values: Item, levels?: number): void {
  let count = 0;
  for (const name in values) {
    count++;
    if (isKeyTooLong(name)) throw validationError(messages.valueKeyTooLong);
    if (!VALUE.test(name)) throw validationError(messages.valueKey(name));
  }
  if (count === 0) throw validationError(messages.valuesEmpty);
  for (const name in values) {
    try {
      checkValue(values[name], levels);
    } catch (error) {
      if (!(error instanceof ApiError) || error.type !== "ValidationException") throw error;
      throw validationError(messages.valueValue(error.message, name), error.newer ?? error.message);
    }
  }
}

/** As error texts print a value: `{N:5}`. */
export function printValue(value: AttributeValue): string {
  const type = typeOf(value);
  const inner = (value as unknown as Record<string, unknown>)[type];
  return `{${type}:${typeof inner === "object" ? JSON.stringify(inner) : String(inner)}}`;
}
