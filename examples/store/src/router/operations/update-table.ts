import { controlMessages } from "../../api/control/messages.js";
import { checkTableClass, type TableChange } from "../../api/control/settings.js";
import { assertTogether } from "../../api/control/update-rules.js";
import { ApiError, validationError } from "../../api/errors.js";
import { type IndexUpdate, indexUpdatesOf } from "../../api/index-updates.js";
import { updateTable as shape, type UpdateTableRequest } from "../../api/requests/control.js";
import { streamChange } from "../../api/streams/specification.js";
import { assertInBounds, tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const updateTable: Operation<UpdateTableRequest> = {
  shape,
  async run(request, { backend }) {
    const { TableName, StreamSpecification } = request;
    assertTogether(request);
    checkTableClass(request.TableClass);
    const indexUpdates = indexUpdatesOf(request);
    const change = changeOf(request, indexUpdates);
    const streamViewType = StreamSpecification && streamChange(StreamSpecification);
    if (streamViewType !== undefined && backend.streams === undefined) throw new ApiError("UnknownOperationException");
    const table = await backend.updateTable(TableName, {
      ...change,
      ...(indexUpdates.length > 0 && { indexUpdates }),
      ...(streamViewType !== undefined && { streamViewType }),
    });
    return { TableDescription: tableDescription(table) };
  },
};

function changeOf(request: UpdateTableRequest, indexUpdates: readonly IndexUpdate[]): TableChange {
  const { BillingMode, ProvisionedThroughput: throughput, DeletionProtectionEnabled, TableClass } = request;
  const { OnDemandThroughput, WarmThroughput, SSESpecification: encryption } = request;
  if (BillingMode === "PROVISIONED" && throughput === undefined) {
    throw validationError(controlMessages.throughputWithMode);
  }
  assertInBounds(throughput);
  return {
    ...(BillingMode && {
      billingMode: BillingMode,
      indexesWithThroughput: indexUpdates.flatMap((update) => (update.kind === "throughput" ? [update.name] : [])),
    }),
    ...(OnDemandThroughput && { OnDemandThroughput }),
    ...(WarmThroughput && { WarmThroughput }),
    ...(encryption && { encryption }),
    ...(throughput && {
      throughput: { readUnits: throughput.ReadCapacityUnits, writeUnits: throughput.WriteCapacityUnits },
    }),
    ...(DeletionProtectionEnabled !== undefined && { deletionProtection: DeletionProtectionEnabled }),
    ...(TableClass && { tableClass: TableClass }),
  };
}
