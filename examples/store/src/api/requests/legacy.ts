/** What the parameters that were there before expressions may look like. */
import { UPDATE_ACTIONS } from "../legacy/attribute-updates.js";
import { COMPARISON_OPERATORS } from "../legacy/comparisons.js";
import { type Shape, structure } from "./shapes.js";

const values: Shape = { type: "list", of: { type: "value" } };
const comparisonOperator = { type: "string", oneOf: COMPARISON_OPERATORS } as const;

export const conditionMap: Shape = {
  type: "map",
  of: structure("Condition", {
    AttributeValueList: values,
    ComparisonOperator: { ...comparisonOperator, required: true },
  }),
};

export const expected: Shape = {
  type: "map",
  of: structure("ExpectedAttributeValue", {
    Value: { type: "value" },
    Exists: { type: "boolean" },
    ComparisonOperator: comparisonOperator,
    AttributeValueList: values,
  }),
};

export const attributeUpdates: Shape = {
  type: "map",
  of: structure("AttributeValueUpdate", {
    Value: { type: "value" },
    Action: { type: "string", oneOf: UPDATE_ACTIONS },
  }),
};

export const attributesToGet: Shape = { type: "list", lengthMin: 1, lengthMax: 255, of: { type: "string" } };
export const conditionalOperator: Shape = { type: "string", oneOf: ["OR", "AND"] };
