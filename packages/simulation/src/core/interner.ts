import { textOf } from "./text.js";

/**
 * Numbers for values, from 0, the same for equal plain data: so that a state of many parts is a few integers, and what was worked out for a part
 * once can be looked up by its number.
 */
export class Interner<T> {
  readonly #numbers = new Map<string, number>();
  readonly #values: T[] = [];

  get size(): number {
    return this.#values.length;
  }

  /** `text`: another text that is equal for equal values only, where `value` is not plain data or a shorter one is known. */
  number(value: T, text: string = textOf(value)): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#values.length;
    this.#numbers.set(text, number);
    this.#values.push(value);
    return number;
  }

  value(number: number): T {
    return this.#values[number] as T;
  }
}
