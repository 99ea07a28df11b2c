import { getAttribute } from "./attributes.js";
import type { AttributeValue, DocumentPath, Item } from "./model.js";

export const PATH_STEPS_MAX = 32;
export const LIST_INDEX_DIGITS_MAX = 9;

/** What stands at a path, if anything does. */
export function resolvePath(item: Item, path: DocumentPath): AttributeValue | undefined {
  let value = getAttribute(item, path[0] as string);
  for (let i = 1; i < path.length && value !== undefined; i++) value = child(value, path[i] as string | number);
  return value;
}

export function child(value: AttributeValue, step: string | number): AttributeValue | undefined {
  if (typeof step === "number") return "L" in value ? value.L[step] : undefined;
  return "M" in value ? getAttribute(value.M, step) : undefined;
}

/** As error texts print it: `[a, [3], b]`. */
export function printPath(path: DocumentPath): string {
  return `[${path.map((step) => (typeof step === "number" ? `[${step}]` : step)).join(", ")}]`;
}
