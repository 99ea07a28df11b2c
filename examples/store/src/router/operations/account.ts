/** What the service says of itself and of an account. */
import { nothing } from "../../api/requests/control.js";
import type { Operation } from "./operation.js";

/** The service's default quotas. This store has none for an account, and holds a table on demand to the same. */
export const describeLimits: Operation<Record<string, never>> = {
  shape: nothing("DescribeLimitsInput"),
  async run() {
    return {
      AccountMaxReadCapacityUnits: 80_000,
      AccountMaxWriteCapacityUnits: 80_000,
      TableMaxReadCapacityUnits: 40_000,
      TableMaxWriteCapacityUnits: 40_000,
    };
  },
};

export const describeEndpoints: Operation<Record<string, never>> = {
  shape: nothing("DescribeEndpointsRequest"),
  async run(_, { address = () => "127.0.0.1:8000" }) {
    return { Endpoints: [{ Address: address(), CachePeriodInMinutes: 1440 }] };
  },
};
