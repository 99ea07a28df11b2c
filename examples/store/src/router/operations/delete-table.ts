import { deleteTable as shape, type TableNameRequest } from "../../api/requests/tables.js";
import { deletedDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const deleteTable: Operation<TableNameRequest> = {
  shape,
  async run({ TableName }, { backend }) {
    return { TableDescription: deletedDescription(await backend.deleteTable(TableName)) };
  },
};
