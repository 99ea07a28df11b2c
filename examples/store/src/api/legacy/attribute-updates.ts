import { typeOf } from "../attributes.js";
import { validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, UpdateAction } from "../model.js";
import { assertNameFits, checkValue } from "../value-check.js";

/** In the order in which an error text lists them. */
export const UPDATE_ACTIONS = ["ADD", "DELETE", "PUT"] as const;

export interface AttributeUpdate {
  Action?: (typeof UPDATE_ACTIONS)[number];
  Value?: AttributeValue;
}

const ADDED: ReadonlySet<string> = new Set(["N", "SS", "NS", "BS", "L"]);
const DELETED: ReadonlySet<string> = new Set(["SS", "NS", "BS"]);

/** AttributeUpdates, as the actions that an UpdateExpression is parsed to. @throws ValidationException */
export function updateActions(updates: Readonly<Record<string, AttributeUpdate>>): UpdateAction[] {
  return Object.entries(updates).map(([name, update]) => actionOf(name, update));
}

function actionOf(name: string, { Action: action = "PUT", Value: value }: AttributeUpdate): UpdateAction {
  assertNameFits(name);
  const path = [name];
  if (value === undefined) {
    if (action !== "DELETE") throw validationError(messages.updateWithoutValue);
    return { kind: "remove", path };
  }
  checkValue(value);
  const type = typeOf(value);
  if (action === "PUT") return { kind: "set", path, value: { kind: "value", value } };
  if (action === "DELETE") {
    if (!DELETED.has(type)) throw validationError(messages.deleteType(type));
    return { kind: "delete", path, value, legacy: true };
  }
  if (!ADDED.has(type)) throw validationError(messages.addType(type));
  return { kind: "add", path, value, legacy: true };
}
