import type { Condition, Operand } from "../model.js";

/** The top-level attributes that a condition looks at. */
export function attributeNames(condition: Condition, into = new Set<string>()): Set<string> {
  switch (condition.kind) {
    case "and":
    case "or":
      attributeNames(condition.left, into);
      return attributeNames(condition.right, into);
    case "not":
      return attributeNames(condition.condition, into);
    case "exists":
    case "not-exists":
    case "type":
      return into.add(condition.path[0] as string);
    case "compare":
      return ofOperands([condition.left, condition.right], into);
    case "between":
      return ofOperands([condition.value, condition.low, condition.high], into);
    case "in":
      return ofOperands([condition.value, ...condition.among], into);
    case "begins-with":
    case "contains":
      return ofOperands([condition.value, condition.search], into);
  }
}

function ofOperands(operands: readonly Operand[], into: Set<string>): Set<string> {
  for (const operand of operands) if (operand.kind !== "value") into.add(operand.path[0] as string);
  return into;
}
