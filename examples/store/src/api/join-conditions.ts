import type { Condition } from "./model.js";

/** Halved again and again: whoever walks the tree need not go as deep as there are conditions. */
export function joinConditions(conditions: readonly Condition[], kind: "and" | "or"): Condition | undefined {
  if (conditions.length <= 1) return conditions[0];
  const middle = conditions.length >> 1;
  return {
    kind,
    left: joinConditions(conditions.slice(0, middle), kind) as Condition,
    right: joinConditions(conditions.slice(middle), kind) as Condition,
  };
}
