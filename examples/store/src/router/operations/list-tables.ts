import { LIST_TABLES_MAX, type ListTablesRequest, listTables as shape } from "../../api/requests/tables.js";
import type { Operation } from "./operation.js";

export const listTables: Operation<ListTablesRequest> = {
  shape,
  async run({ ExclusiveStartTableName: after, Limit = LIST_TABLES_MAX }, { backend }) {
    const { names, more } = await backend.listTables({ limitMax: Limit, ...(after !== undefined && { after }) });
    return { TableNames: names, ...(more && { LastEvaluatedTableName: names[names.length - 1] }) };
  },
};
