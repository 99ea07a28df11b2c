import { validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import { type Projection, project, projectionOf } from "../../api/projection.js";
import { parseOfAction } from "../../api/requests/expressions.js";
import { transactGetItems as shape, type TransactGetItemsRequest } from "../../api/requests/transactions.js";
import { TRANSACTION_BYTES_MAX } from "../../api/transactions.js";
import { checkItem } from "../../api/value-check.js";
import { itemOf } from "./answers.js";
import type { Operation } from "./operation.js";
import { located, transactCapacity } from "./transaction.js";

export const transactGetItems: Operation<TransactGetItemsRequest> = {
  shape,
  async run(request, { backend }) {
    const projections: (Projection | undefined)[] = [];
    for (const { Get: get } of request.TransactItems) {
      checkItem(get.Key);
      const { projection } = parseOfAction(get, []);
      projections.push(projection && projectionOf(projection));
    }
    const gets = await located(
      backend,
      request.TransactItems.map(({ Get: { TableName, Key } }) => ({ name: TableName, value: Key, isItem: false })),
      "all",
    );
    const outcomes = await backend.transactGet(gets);
    const bytes = outcomes.reduce((sum, outcome) => sum + outcome.bytes, 0);
    if (bytes > TRANSACTION_BYTES_MAX) throw validationError(messages.transactionTooLarge);
    const units = gets.map(({ table: { name } }, i) => ({ name, units: outcomes[i]?.units ?? 0 }));
    return {
      Responses: outcomes.map((outcome, i) => {
        const item = itemOf(outcome);
        const projection = projections[i];
        const told = item && projection ? project(item, projection) : item;
        // One of which nothing was asked for that it has is told as one that is not there: by this operation alone.
        return told === undefined || Object.keys(told).length === 0 ? {} : { Item: told };
      }),
      ...transactCapacity(request.ReturnConsumedCapacity, units, "ReadCapacityUnits"),
    };
  },
};
