/** The parameters that were there before expressions: which may stand together, and what they come to. */
import { validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { DocumentPath } from "../model.js";
import type { Expressions } from "../requests/expressions.js";
import type { ExpressionParameters } from "../requests/items.js";
import { assertNameFits } from "../value-check.js";
import { type AttributeUpdate, updateActions } from "./attribute-updates.js";
import {
  type ConditionalOperator,
  type ExpectedAttribute,
  expectedCondition,
  filterCondition,
  keyConditions,
  type LegacyCondition,
} from "./conditions.js";

export interface LegacyParameters {
  AttributeUpdates?: Record<string, AttributeUpdate>;
  AttributesToGet?: string[];
  Expected?: Record<string, ExpectedAttribute>;
  QueryFilter?: Record<string, LegacyCondition>;
  ScanFilter?: Record<string, LegacyCondition>;
  ConditionalOperator?: ConditionalOperator;
  KeyConditions?: Record<string, LegacyCondition>;
  /** As old as these are. */
  IndexName?: string;
}

/** Four of either kind. How many there are only the index says. */
const INDEX_KEYS_MAX = 8;

const NONE: Expressions = {};

/** Both in the order in which an error text lists them. */
const LEGACY = [
  "AttributeUpdates",
  "AttributesToGet",
  "Expected",
  "QueryFilter",
  "ScanFilter",
  "ConditionalOperator",
  "KeyConditions",
] as const satisfies readonly (keyof LegacyParameters)[];

const EXPRESSIONS = [
  "UpdateExpression",
  "ConditionExpression",
  "ProjectionExpression",
  "FilterExpression",
  "KeyConditionExpression",
] as const satisfies readonly (keyof ExpressionParameters)[];

/**
 * Whether parameters may stand together at all: asked of every request before any of its values is looked at.
 * @throws ValidationException
 */
export function checkTogether(request: ExpressionParameters): void {
  if (!hasLegacy(request)) return;
  const legacy = LEGACY.filter((name) => request[name] !== undefined);
  const expressions = EXPRESSIONS.filter((name) => request[name] !== undefined);
  // KeyConditions go with any expression but the one that says the same.
  const mixed = legacy.filter((name) => name !== "KeyConditions" || expressions.includes("KeyConditionExpression"));
  if (expressions.length > 0 && mixed.length > 0) throw validationError(messages.parametersMixed(mixed, expressions));
  if (request.ConditionalOperator === undefined) return;
  const conditions = Object.keys(request.Expected ?? request.QueryFilter ?? request.ScanFilter ?? {}).length;
  if (conditions === 0) throw validationError(messages.conditionalOperatorAlone);
  if (conditions === 1) throw validationError(messages.conditionalOperatorOfOne);
}

const LEGACY_NAMES: ReadonlySet<string> = new Set(LEGACY);

/** On the way of every request, and nearly none has any: no more than a look at what there is. */
function hasLegacy(request: LegacyParameters): boolean {
  for (const name in request)
    if (LEGACY_NAMES.has(name) && request[name as keyof LegacyParameters] !== undefined) return true;
  return false;
}

/** @throws ValidationException */
export function legacyExpressions(request: LegacyParameters): Expressions {
  if (!hasLegacy(request)) return NONE;
  const { AttributeUpdates, AttributesToGet, Expected, QueryFilter, ScanFilter, KeyConditions } = request;
  const operator = request.ConditionalOperator ?? "AND";
  const update = AttributeUpdates && updateActions(AttributeUpdates);
  const condition = Expected && expectedCondition(Expected, operator);
  const asked = QueryFilter ?? ScanFilter;
  const filter = asked && filterCondition(asked, operator);
  const projection = AttributesToGet && topLevel(AttributesToGet);
  const keyCondition =
    KeyConditions && keyConditions(KeyConditions, request.IndexName === undefined ? 2 : INDEX_KEYS_MAX);
  return {
    ...(update && { update }),
    ...(condition && { condition }),
    ...(filter && { filter }),
    ...(projection && { projection }),
    ...(keyCondition && { keyCondition }),
  };
}

/** Names as they stand: a dot in one is part of it. */
function topLevel(names: readonly string[]): DocumentPath[] {
  const seen = new Set<string>();
  return names.map((name) => {
    assertNameFits(name);
    if (seen.has(name)) throw validationError(messages.attributeTwice(name));
    seen.add(name);
    return [name];
  });
}
