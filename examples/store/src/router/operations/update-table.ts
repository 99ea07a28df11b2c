import { controlMessages } from "../../api/control/messages.js";
import type { TableChange } from "../../api/control/settings.js";
import { ApiError, validationError } from "../../api/errors.js";
import { indexUpdatesOf } from "../../api/index-updates.js";
import type { TableRecord } from "../../api/model.js";
import { updateTable as shape, type UpdateTableRequest } from "../../api/requests/control.js";
import { streamChange } from "../../api/streams/specification.js";
import { tableDescription, UNITS_MAX } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const updateTable: Operation<UpdateTableRequest> = {
  shape,
  async run(request, { backend }) {
    const { TableName, StreamSpecification } = request;
    const change = changeOf(request);
    const indexUpdates = indexUpdatesOf(request);
    const changesSettings = Object.keys(change).length > 0;
    if (!changesSettings && StreamSpecification === undefined && indexUpdates.length === 0)
      throw validationError(controlMessages.nothingToUpdate);
    const viewType = StreamSpecification === undefined ? null : streamChange(StreamSpecification);
    if (StreamSpecification !== undefined && backend.streams === undefined)
      throw new ApiError("UnknownOperationException");
    let table = changesSettings ? await backend.updateTable(TableName, change) : undefined;
    if (indexUpdates.length > 0) table = await backend.updateIndexes(TableName, indexUpdates);
    if (StreamSpecification !== undefined) table = await backend.streams?.setStream(TableName, viewType);
    return { TableDescription: tableDescription(table as TableRecord) };
  },
};

function changeOf(request: UpdateTableRequest): TableChange {
  const { BillingMode, ProvisionedThroughput: throughput, DeletionProtectionEnabled, TableClass } = request;
  if (BillingMode === "PROVISIONED" && throughput === undefined) {
    throw validationError(controlMessages.throughputWithMode);
  }
  for (const name of ["ReadCapacityUnits", "WriteCapacityUnits"] as const) {
    const value = throughput?.[name] ?? 0;
    if (value > UNITS_MAX) throw validationError(controlMessages.throughputOutOfBounds(value, name));
  }
  return {
    ...(BillingMode && { billingMode: BillingMode }),
    ...(throughput && {
      throughput: { readUnits: throughput.ReadCapacityUnits, writeUnits: throughput.WriteCapacityUnits },
    }),
    ...(DeletionProtectionEnabled !== undefined && { deletionProtection: DeletionProtectionEnabled }),
    ...(TableClass && { tableClass: TableClass }),
  };
}
