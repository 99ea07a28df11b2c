import { restoreSummary } from "../../api/control/backups.js";
import { describeTable as shape, type TableNameRequest } from "../../api/requests/tables.js";
import { tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const describeTable: Operation<TableNameRequest> = {
  shape,
  async run({ TableName }, { backend, nowMs }) {
    const table = await backend.describeTable(TableName);
    const origin = table.restore ?? table.restoredFrom;
    return {
      Table: {
        ...tableDescription(table, await backend.sizes(table), nowMs()),
        ...(origin && { RestoreSummary: restoreSummary(origin, table.status === "CREATING") }),
      },
    };
  },
};
