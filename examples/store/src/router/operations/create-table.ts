import { type CreateTableRequest, createTable as shape } from "../../api/requests/tables.js";
import { createdDescription, tableDefinition } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const createTable: Operation<CreateTableRequest> = {
  shape,
  async run(request, { backend }) {
    return { TableDescription: createdDescription(await backend.createTable(tableDefinition(request))) };
  },
};
