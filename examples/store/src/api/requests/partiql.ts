/** What the operations that take PartiQL statements take. */
import type { AttributeValue } from "../model.js";
import { type CapacityDetail, capacityDetail, returnedOnFailure } from "./item-parts.js";
import { type Shape, type StructureShape, structure } from "./shapes.js";

export interface StatementRequest {
  Statement: string;
  Parameters?: AttributeValue[];
  ConsistentRead?: boolean;
  ReturnValuesOnConditionCheckFailure?: "ALL_OLD" | "NONE";
}

export interface ExecuteStatementRequest extends StatementRequest {
  Limit?: number;
  NextToken?: string;
  ReturnConsumedCapacity?: CapacityDetail;
}

const ofStatements: Readonly<Record<string, Shape>> = {
  Statement: { type: "string", required: true, lengthMin: 1, lengthMax: 8192 },
  Parameters: { type: "list", lengthMin: 1, of: { type: "value" } },
  ConsistentRead: { type: "boolean" },
  ReturnValuesOnConditionCheckFailure: returnedOnFailure,
};

export const executeStatement: StructureShape = structure("ExecuteStatementInput", {
  ...ofStatements,
  NextToken: { type: "string", lengthMin: 1, lengthMax: 32_768 },
  ReturnConsumedCapacity: capacityDetail,
  Limit: { type: "integer", wire: "Integer", min: 1 },
});

export interface ExecuteTransactionRequest {
  TransactStatements: Pick<StatementRequest, "Statement" | "Parameters" | "ReturnValuesOnConditionCheckFailure">[];
  ClientRequestToken?: string;
  ReturnConsumedCapacity?: CapacityDetail;
}

export const executeTransaction: StructureShape = structure("ExecuteTransactionInput", {
  TransactStatements: {
    type: "list",
    required: true,
    lengthMin: 1,
    lengthMax: 100,
    of: structure("ParameterizedStatement", ofStatements),
  },
  ClientRequestToken: { type: "string", lengthMin: 1, lengthMax: 36 },
  ReturnConsumedCapacity: capacityDetail,
});

const STATEMENTS_MAX = 25;

export interface BatchExecuteStatementRequest {
  Statements: StatementRequest[];
  ReturnConsumedCapacity?: CapacityDetail;
}

export const batchExecuteStatement: StructureShape = structure("BatchExecuteStatementInput", {
  Statements: {
    type: "list",
    required: true,
    lengthMin: 1,
    lengthMax: STATEMENTS_MAX,
    of: structure("BatchStatementRequest", ofStatements),
  },
  ReturnConsumedCapacity: capacityDetail,
});
