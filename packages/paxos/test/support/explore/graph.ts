import { Interner } from "@evenkeel/simulation";

const NUMBER = 0;
const NEGATIVE = 1;
const TEXT = 2;
const TRUE = 3;
const FALSE = 4;
const ABSENT = 5;
const VALUE = 6;
const REF = 7;
const LIST = 8;
const MAP = 9;
const SET = 10;
const OBJECT = 11;
const TIME = 12;
const ODD = 13;
const FRACTION = 14;

interface Shape {
  readonly prototype: object;
  readonly keys: readonly string[];
  /** Which of them mean nothing. */
  readonly timeless: readonly boolean[];
}

/**
 * Takes the state out of a graph of objects, as integers that are equal for equal states, and puts it back. Objects that are reached twice stay one object.
 * Values that are never changed (ballots, entries, messages) are numbered as wholes. Functions stay where they are, and so do plain objects that
 * hold one; objects of a class are written into and not made anew, for functions may be bound to them.
 */
export class Graphs {
  readonly #texts = new Interner<string>();
  readonly #values = new Interner<object>();
  readonly #shapes: Shape[] = [];
  readonly #shapeNumbers = new Map<string, number>();
  readonly #prototypes = new Map<object, number>();
  /** Of classes: their objects all have the same fields. */
  readonly #classes = new Map<object, number>();
  readonly #known = new WeakMap<object, number>();
  /** Fields that are left alone: always the same. */
  readonly #constant: ReadonlySet<string>;
  /** Times mean nothing: every field named `...Ms` is 0. */
  readonly #timeless: boolean;

  constructor(constant: readonly string[], timeless: boolean) {
    this.#constant = new Set(constant);
    this.#timeless = timeless;
  }

  save(root: object): number[] {
    const out: number[] = [];
    const seen = new Map<object, number>();
    const write = (value: unknown): void => {
      if (typeof value === "number") this.#number(value, out);
      else if (typeof value === "string") out.push(TEXT, this.#texts.number(value, value));
      else if (typeof value === "boolean") out.push(value ? TRUE : FALSE);
      else if (value === undefined || value === null) out.push(ABSENT);
      else writeObject(value as object);
    };
    const writeObject = (object: object): void => {
      if (isValue(object)) {
        out.push(VALUE, this.#valueNumber(object));
        return;
      }
      const known = seen.get(object);
      if (known !== undefined) {
        out.push(REF, known);
        return;
      }
      seen.set(object, seen.size);
      if (Array.isArray(object)) {
        out.push(LIST, object.length);
        for (const item of object) write(item);
      } else if (object instanceof Map) {
        out.push(MAP, object.size);
        for (const [key, item] of object) {
          write(key);
          write(item);
        }
      } else if (object instanceof Set) {
        out.push(SET, object.size);
        for (const item of object) write(item);
      } else {
        const fields = object as Record<string, unknown>;
        const shape = this.#shape(fields);
        out.push(OBJECT, shape);
        const { keys, timeless } = this.#shapes[shape] as Shape;
        for (let i = 0; i < keys.length; i++) {
          if (timeless[i]) out.push(TIME);
          else write(fields[keys[i] as string]);
        }
      }
    };
    writeObject(root);
    return out;
  }

  /** Into `root`, which must be of the same make. */
  restore(root: object, numbers: readonly number[]): void {
    let at = 0;
    const objects: object[] = [];
    const read = (present: unknown): unknown => {
      const tag = numbers[at++];
      switch (tag) {
        case NUMBER:
          return numbers[at++];
        case NEGATIVE:
          return -(numbers[at++] as number);
        case ODD:
          return [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][numbers[at++] as number];
        case FRACTION:
          return Number(this.#texts.value(numbers[at++] as number));
        case TIME:
          return 0;
        case TEXT:
          return this.#texts.value(numbers[at++] as number);
        case TRUE:
          return true;
        case FALSE:
          return false;
        case ABSENT:
          return undefined;
        case VALUE:
          return this.#values.value(numbers[at++] as number);
        case REF:
          return objects[numbers[at++] as number];
        case LIST: {
          const list: unknown[] = [];
          objects.push(list);
          for (let count = numbers[at++] as number; count > 0; count--) list.push(read(undefined));
          return list;
        }
        case MAP: {
          const map = new Map<unknown, unknown>();
          objects.push(map);
          for (let count = numbers[at++] as number; count > 0; count--) {
            const key = read(undefined);
            map.set(key, read(undefined));
          }
          return map;
        }
        case SET: {
          const set = new Set<unknown>();
          objects.push(set);
          for (let count = numbers[at++] as number; count > 0; count--) set.add(read(undefined));
          return set;
        }
        default: {
          const { prototype, keys } = this.#shapes[numbers[at++] as number] as Shape;
          const fits = typeof present === "object" && present !== null && Object.getPrototypeOf(present) === prototype;
          // What is not a class's may be another object at the same place: only classes' are written into.
          const object = fits && prototype !== Object.prototype ? present : Object.create(prototype);
          objects.push(object);
          for (const key of keys) object[key] = read(object[key]);
          return object;
        }
      }
    };
    read(root);
  }

  #number(value: number, out: number[]): void {
    if (Number.isSafeInteger(value) && Math.abs(value) < 2 ** 31) {
      out.push(value < 0 ? NEGATIVE : NUMBER, Math.abs(value));
    } else if (value === Number.POSITIVE_INFINITY) out.push(ODD, 0);
    else if (value === Number.NEGATIVE_INFINITY) out.push(ODD, 1);
    else out.push(FRACTION, this.#texts.number(String(value), String(value)));
  }

  #shape(object: Record<string, unknown>): number {
    const prototype = Object.getPrototypeOf(object) as object;
    const known = this.#classes.get(prototype);
    if (known !== undefined) return known;
    const keys = Object.keys(object).filter((key) => !this.#constant.has(key) && !isFixed(object[key]));
    let number = this.#prototypes.get(prototype);
    if (number === undefined) {
      number = this.#prototypes.size;
      this.#prototypes.set(prototype, number);
    }
    const text = `${number} ${keys.join(" ")}`;
    let shape = this.#shapeNumbers.get(text);
    if (shape === undefined) {
      shape = this.#shapes.length;
      this.#shapes.push({ prototype, keys, timeless: keys.map((key) => this.#timeless && key.endsWith("Ms")) });
      this.#shapeNumbers.set(text, shape);
    }
    if (prototype !== Object.prototype) this.#classes.set(prototype, shape);
    return shape;
  }

  #valueNumber(value: object): number {
    let number = this.#known.get(value);
    if (number === undefined) {
      number = this.#values.number(value, this.#valueText(value));
      this.#known.set(value, number);
    }
    return number;
  }

  #valueText(value: object): string {
    const timeless = this.#timeless;
    return JSON.stringify(value, (key, held) => {
      if (timeless && key.endsWith("Ms")) return 0;
      if (held instanceof Uint8Array) return Array.from(held);
      return typeof held === "number" && !Number.isFinite(held) ? String(held) : held;
    });
  }
}

/** Functions, and what holds some: bound to the instance that they are in. */
function isFixed(value: unknown): boolean {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).some((held) => typeof held === "function");
}

/** What nobody ever changes: bytes, ballots, names of bonds, entries, positions, messages and effects. */
function isValue(object: object): boolean {
  if (object instanceof Uint8Array) return true;
  if (Object.getPrototypeOf(object) !== Object.prototype) return false;
  return (
    "type" in object ||
    ("ballot" in object && "slot" in object) ||
    (("round" in object || "turn" in object) && Object.keys(object).length === 2)
  );
}
