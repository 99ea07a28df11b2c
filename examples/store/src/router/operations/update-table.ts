import { ApiError, validationError } from "../../api/errors.js";
import { updateTable as shape, type UpdateTableRequest } from "../../api/requests/update-table.js";
import { streamMessages } from "../../api/streams/messages.js";
import { streamChange } from "../../api/streams/specification.js";
import { tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const updateTable: Operation<UpdateTableRequest> = {
  shape,
  async run({ TableName, StreamSpecification }, { backend }) {
    if (StreamSpecification === undefined) throw validationError(streamMessages.nothingToUpdate);
    if (backend.streams === undefined) throw new ApiError("UnknownOperationException");
    const viewType = streamChange(StreamSpecification);
    return { TableDescription: tableDescription(await backend.streams.setStream(TableName, viewType)) };
  },
};
