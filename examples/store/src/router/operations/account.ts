/** What the service says of itself and of an account. */
import { UNITS_PER_SECOND_MAX } from "../../api/control/quotas.js";
import { nothing } from "../../api/requests/control.js";
import type { Operation } from "./operation.js";

/** The service's default quotas. This store has none for an account. */
export const describeLimits: Operation<Record<string, never>> = {
  shape: nothing("DescribeLimitsInput"),
  async run() {
    return {
      AccountMaxReadCapacityUnits: 80_000,
      AccountMaxWriteCapacityUnits: 80_000,
      TableMaxReadCapacityUnits: UNITS_PER_SECOND_MAX,
      TableMaxWriteCapacityUnits: UNITS_PER_SECOND_MAX,
    };
  },
};

export const describeEndpoints: Operation<Record<string, never>> = {
  shape: nothing("DescribeEndpointsRequest"),
  async run(_, { address = () => "127.0.0.1:8000" }) {
    return { Endpoints: [{ Address: address(), CachePeriodInMinutes: 1440 }] };
  },
};
