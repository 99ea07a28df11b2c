import { validationError } from "../../api/errors.js";
import { partiqlMessages } from "../../api/partiql/messages.js";
import { nextToken, positionOf, statementSum } from "../../api/partiql/next-token.js";
import { parseStatement } from "../../api/partiql/parse.js";
import { type ExecuteStatementRequest, executeStatement as shape } from "../../api/requests/partiql.js";
import { checkValue } from "../../api/value-check.js";
import { consumedCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { runSelect } from "./partiql/select.js";
import { runWrite } from "./partiql/write.js";

export const executeStatement: Operation<ExecuteStatementRequest> = {
  shape,
  async run(request, { backend }) {
    const { Statement: text, Parameters: parameters = [], NextToken: token } = request;
    // Before they are changed into their normal form: the next request brings them as they were.
    const sum = statementSum(text, parameters);
    for (const parameter of parameters) checkValue(parameter);
    const statement = parseStatement(text, parameters);
    if (statement.kind === "exists") throw validationError(partiqlMessages.existsOutside);
    if (statement.kind !== "select") {
      const returnOld = request.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
      const { attributes, units, indexUnits } = await runWrite(statement, returnOld, backend);
      return {
        Items: attributes === undefined ? [] : [attributes],
        ...consumedCapacity(request.ReturnConsumedCapacity, statement.table, units, indexUnits),
      };
    }
    const { items, units, indexUnits, next, lastKey } = await runSelect(
      statement,
      {
        consistent: request.ConsistentRead ?? false,
        itemsMax: request.Limit,
        from: token === undefined ? undefined : positionOf(token, sum),
      },
      backend,
    );
    return {
      Items: items,
      ...(next && { NextToken: nextToken(sum, next) }),
      ...(lastKey && { LastEvaluatedKey: lastKey }),
      ...consumedCapacity(request.ReturnConsumedCapacity, statement.table, units, indexUnits),
    };
  },
};
