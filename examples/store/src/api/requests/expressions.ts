/** Parses all expressions of one request, and the parameters that were there before them, in the order in which the service reports what is wrong. */
import { validationError } from "../errors.js";
import { parseCondition } from "../expressions/condition-parser.js";
import { Placeholders } from "../expressions/placeholders.js";
import { ExpressionError } from "../expressions/problems.js";
import { parseProjection } from "../expressions/projection-parser.js";
import { parseUpdate } from "../expressions/update-parser.js";
import { checkTogether, legacyExpressions } from "../legacy/parameters.js";
import { messages } from "../messages.js";
import type { Condition, DocumentPath, UpdateAction } from "../model.js";
import { NESTING_MAX } from "../update.js";
import type { ExpressionParameters } from "./items.js";

export interface Expressions {
  readonly update?: readonly UpdateAction[];
  readonly condition?: Condition;
  readonly keyCondition?: Condition;
  readonly filter?: Condition;
  readonly projection?: readonly DocumentPath[];
}

type Parameter =
  | "UpdateExpression"
  | "ConditionExpression"
  | "KeyConditionExpression"
  | "FilterExpression"
  | "ProjectionExpression";

const hasExpression = (request: ExpressionParameters): boolean =>
  request.UpdateExpression !== undefined ||
  request.ConditionExpression !== undefined ||
  request.KeyConditionExpression !== undefined ||
  request.FilterExpression !== undefined ||
  request.ProjectionExpression !== undefined;

/**
 * Whether there is an expression for which there are names or values. Some operations want to know before they look at anything else.
 * @throws ValidationException
 */
export function assertPlaceholdersWanted(request: ExpressionParameters, takesValues: readonly Parameter[]): void {
  const { ExpressionAttributeNames: names, ExpressionAttributeValues: values } = request;
  if (names === undefined && values === undefined) return;
  const withValues = takesValues.some((parameter) => request[parameter] !== undefined);
  if (withValues) return;
  if (request.ProjectionExpression === undefined && names !== undefined)
    throw validationError(messages.namesWithoutExpression);
  if (values === undefined) return;
  const newer = takesValues.includes("ConditionExpression") ? messages.valuesWithoutExpressionNewer : undefined;
  throw validationError(messages.valuesWithoutExpression(takesValues), newer);
}

/** One more than an item's: what is too deep for that only is told of the item that would be written, if it comes to that. */
const ACTION_LEVELS = NESTING_MAX + 1;

/**
 * As a transaction has it: names and values for no expression are not looked at.
 * @throws ValidationException
 */
export function parseOfAction(action: ExpressionParameters, takesValues: readonly Parameter[]): Expressions {
  return hasExpression(action)
    ? parseExpressions(action, takesValues, { levels: ACTION_LEVELS, updateFirst: true })
    : {};
}

/**
 * @param takesValues the operation's expressions in which values may stand, as an error text lists them
 * @param options `levels` that a value may be nested; `updateFirst`: an update is looked at before the condition that is on it, as the older checks do
 * @throws ValidationException
 */
export function parseExpressions(
  request: ExpressionParameters,
  takesValues: readonly Parameter[],
  { levels = NESTING_MAX, updateFirst = false } = {},
): Expressions {
  checkTogether(request);
  assertPlaceholdersWanted(request, takesValues);
  const { ExpressionAttributeNames: names, ExpressionAttributeValues: values } = request;
  if (names === undefined && values === undefined && !hasExpression(request)) return legacyExpressions(request);
  const placeholders = new Placeholders(names, values, levels);
  const parse = <T>(
    parameter: Parameter,
    parser: (expression: string, placeholders: Placeholders) => T,
  ): T | undefined => {
    const expression = request[parameter];
    if (expression === undefined) return undefined;
    try {
      return parser(expression, placeholders);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      const told = (problem: string) => messages.invalidExpression(parameter, problem);
      const renewed = parameter === "ConditionExpression" ? error.newer : undefined;
      throw validationError(told(error.message), renewed === undefined ? undefined : told(renewed));
    }
  };
  const early = updateFirst ? parse("UpdateExpression", parseUpdate) : undefined;
  const condition = parse("ConditionExpression", parseCondition);
  const update = early ?? parse("UpdateExpression", parseUpdate);
  const keyCondition = parse("KeyConditionExpression", parseCondition);
  const filter = parse("FilterExpression", parseCondition);
  const projection = parse("ProjectionExpression", parseProjection);
  placeholders.assertAllUsed();
  return {
    ...legacyExpressions(request),
    ...(update && { update }),
    ...(condition && { condition }),
    ...(keyCondition && { keyCondition }),
    ...(filter && { filter }),
    ...(projection && { projection }),
  };
}
