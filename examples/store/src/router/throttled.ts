/** How a request is refused that a table, or a global index of it, has no capacity for. */
import { controlMessages } from "../api/control/messages.js";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";
import { tableArn } from "../api/tables.js";
import { type LimitedTable, maximumOf } from "./table-limits.js";

export interface ThrottledBy extends LimitedTable {
  /** The table's. */
  readonly name: string;
  /** Absent: the table itself. */
  readonly index?: string;
}

/** Says by what, as the service does: figures that were provisioned, a maximum of the owner's, or what a table may use by default. */
export function throttled(by: ThrottledBy, direction: "read" | "write"): ApiError {
  const { name, index, billingMode } = by;
  const what = `${index === undefined ? "Table" : "Index"}${direction === "read" ? "Read" : "Write"}`;
  const reasons = (limit: string) => [
    { reason: `${what}${limit}`, resource: index === undefined ? tableArn(name) : `${tableArn(name)}/index/${index}` },
  ];
  if (billingMode === "PROVISIONED") {
    const ThrottlingReasons = reasons("ProvisionedThroughputExceeded");
    const message = index === undefined ? messages.throughputExceeded : messages.indexThroughputExceeded;
    return new ApiError("ProvisionedThroughputExceededException", message, { extra: { ThrottlingReasons } });
  }
  if (maximumOf(by, direction) !== undefined) {
    const throttlingReasons = reasons("MaxOnDemandThroughputExceeded");
    return new ApiError("ThrottlingException", controlMessages.maximumExceeded, { extra: { throttlingReasons } });
  }
  const ThrottlingReasons = reasons("AccountLimitExceeded");
  return new ApiError("RequestLimitExceeded", messages.requestLimitExceeded, { extra: { ThrottlingReasons } });
}
