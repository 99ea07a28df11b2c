/** Cuts the named parts out of an item, keeping their places: `a.b` of `{a: {b, c}}` is `{a: {b}}`; of a list, the elements close up. */
import { getAttribute, setAttribute } from "./attributes.js";
import type { AttributeValue, DocumentPath, Item } from "./model.js";
import { child } from "./path.js";

/** Paths with a common beginning share it. A leaf (no children) stands for everything below. */
export interface Projection {
  readonly children: ReadonlyMap<string | number, Projection>;
}

interface Branch extends Projection {
  readonly children: Map<string | number, Branch>;
}

/** @param paths none of which overlaps with another */
export function projectionOf(paths: readonly DocumentPath[]): Projection {
  const root: Branch = { children: new Map() };
  for (const path of paths) {
    let at = root;
    for (const step of path) {
      let next = at.children.get(step);
      if (next === undefined) {
        next = { children: new Map() };
        at.children.set(step, next);
      }
      at = next;
    }
  }
  return root;
}

/** The item's own values, not copies. */
export function project(item: Item, projection: Projection): Item {
  const result: Item = {};
  for (const [name, below] of projection.children) {
    const value = getAttribute(item, name as string);
    const part = value === undefined ? undefined : projectValue(value, below);
    if (part !== undefined) setAttribute(result, name as string, part);
  }
  return result;
}

function projectValue(value: AttributeValue, { children }: Projection): AttributeValue | undefined {
  if (children.size === 0) return value;
  if ("M" in value) {
    const part = project(value.M, { children });
    for (const _ in part) return { M: part };
    return undefined;
  }
  if (!("L" in value)) return undefined;
  const elements: AttributeValue[] = [];
  for (const step of [...children.keys()].sort((a, b) => Number(a) - Number(b))) {
    const element = child(value, step);
    const part = element === undefined ? undefined : projectValue(element, children.get(step) as Projection);
    if (part !== undefined) elements.push(part);
  }
  return elements.length === 0 ? undefined : { L: elements };
}
