import { controlMessages } from "../../api/control/messages.js";
import type { TableChange } from "../../api/control/settings.js";
import { validationError } from "../../api/errors.js";
import { indexUpdatesOf } from "../../api/index-updates.js";
import { updateTable as shape, type UpdateTableRequest } from "../../api/requests/control.js";
import { tableDescription, UNITS_MAX } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const updateTable: Operation<UpdateTableRequest> = {
  shape,
  async run(request, { backend }) {
    const updates = indexUpdatesOf(request);
    const change = changeOf(request, updates.length > 0);
    const { TableName: name } = request;
    let table = change && (await backend.updateTable(name, change));
    if (table === undefined || updates.length > 0) table = await backend.updateIndexes(name, updates);
    return { TableDescription: tableDescription(table) };
  },
};

/** @param besides whether the request asks for anything else; absent then: for nothing but that */
function changeOf(request: UpdateTableRequest, besides: boolean): TableChange | undefined {
  const { BillingMode, ProvisionedThroughput: throughput, DeletionProtectionEnabled, TableClass } = request;
  const wishes = [BillingMode, throughput, DeletionProtectionEnabled, TableClass];
  if (wishes.every((wish) => wish === undefined)) {
    if (besides) return undefined;
    throw validationError(controlMessages.nothingToUpdate);
  }
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
