import type { AttributeValue, Item } from "./model.js";

export type AttributeType = "S" | "N" | "B" | "SS" | "NS" | "BS" | "BOOL" | "NULL" | "L" | "M";

export const ATTRIBUTE_TYPES: ReadonlySet<string> = new Set<AttributeType>([
  "S",
  "SS",
  "N",
  "NS",
  "B",
  "BS",
  "BOOL",
  "NULL",
  "L",
  "M",
]);

/** The one type that a validated value has. */
export function typeOf(value: AttributeValue): AttributeType {
  for (const type in value) return type as AttributeType;
  throw new TypeError("an attribute value has exactly one type, this one has none");
}

/** Attribute names are the client's: `constructor` is one like any other, so only own properties count. */
export function getAttribute(item: Item, name: string): AttributeValue | undefined {
  return Object.hasOwn(item, name) ? item[name] : undefined;
}

/** Plain assignment to `__proto__` would change what the object is instead of what it holds. */
export function setAttribute(item: Item, name: string, value: AttributeValue): void {
  if (name === "__proto__") {
    Object.defineProperty(item, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    item[name] = value;
  }
}

/** Levels of nesting: 1 for a scalar or a set, one more for each list or map around it. */
export function depthOf(value: AttributeValue): number {
  let deepest = 0;
  if ("L" in value) for (const element of value.L) deepest = Math.max(deepest, depthOf(element));
  else if ("M" in value)
    for (const name in value.M) deepest = Math.max(deepest, depthOf(value.M[name] as AttributeValue));
  return deepest + 1;
}
