import { ApiError } from "../../api/errors.js";
import {
  describeTimeToLive as describeShape,
  type UpdateTimeToLiveRequest,
  updateTimeToLive as updateShape,
} from "../../api/requests/control.js";
import type { TableNameRequest } from "../../api/requests/tables.js";
import { timeToLiveDescription } from "../../api/time-to-live.js";
import type { Operation } from "./operation.js";

export const updateTimeToLive: Operation<UpdateTimeToLiveRequest> = {
  shape: updateShape,
  async run({ TableName, TimeToLiveSpecification: { Enabled, AttributeName } }, { backend }) {
    if (backend.setTimeToLive === undefined) throw new ApiError("UnknownOperationException");
    await backend.setTimeToLive(TableName, { attribute: AttributeName, enabled: Enabled });
    return { TimeToLiveSpecification: { Enabled, AttributeName } };
  },
};

export const describeTimeToLive: Operation<TableNameRequest> = {
  shape: describeShape,
  async run({ TableName }, { backend }) {
    return { TimeToLiveDescription: timeToLiveDescription(await backend.describeTable(TableName)) };
  },
};
