import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { expect, test } from "vitest";
import { TableLimits } from "../src/router/table-limits.js";
import { type ThrottledBy, throttled } from "../src/router/throttled.js";

const arn = "arn:aws:dynamodb:local:000000000000:table/orders";
const onDemand: ThrottledBy = {
  name: "orders",
  tableId: "1",
  billingMode: "PAY_PER_REQUEST",
  readUnitsPerSecond: 0,
  writeUnitsPerSecond: 0,
};
const provisioned: ThrottledBy = { ...onDemand, billingMode: "PROVISIONED", readUnitsPerSecond: 1 };

test.each([
  [
    provisioned,
    "read",
    "ProvisionedThroughputExceededException",
    { ThrottlingReasons: [{ reason: "TableReadProvisionedThroughputExceeded", resource: arn }] },
    /^The level of configured provisioned throughput for the table was exceeded/,
  ],
  [
    { ...provisioned, index: "by-day" },
    "write",
    "ProvisionedThroughputExceededException",
    { ThrottlingReasons: [{ reason: "IndexWriteProvisionedThroughputExceeded", resource: `${arn}/index/by-day` }] },
    /^The level of configured provisioned throughput for one or more global secondary indexes/,
  ],
  [
    { ...onDemand, onDemand: { writeUnitsMax: 5 } },
    "write",
    "ThrottlingException",
    { throttlingReasons: [{ reason: "TableWriteMaxOnDemandThroughputExceeded", resource: arn }] },
    /^Throughput exceeds the maximum OnDemandThroughput configured on table or index$/,
  ],
  [
    { ...onDemand, onDemand: { writeUnitsMax: 5 } },
    "read",
    "RequestLimitExceeded",
    { ThrottlingReasons: [{ reason: "TableReadAccountLimitExceeded", resource: arn }] },
    /^Throughput exceeds the current throughput limit for your account/,
  ],
] as const)("who is throttled by %j is told by what", (by, direction, type, reasons, message) => {
  const error = throttled(by, direction);
  expect(error.type).toBe(type);
  expect(error.body()).toMatchObject(reasons);
  expect(error.message).toMatch(message);
});

test("a maximum on demand is the limit's rate, until it is removed", async () => {
  const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router" });
  const limits = new TableLimits(admission);
  const rate = (table: ThrottledBy, direction: "read" | "write") => limits.of(table, direction).stats().ratePerSecond;
  const bounded = { ...onDemand, onDemand: { readUnitsMax: 7, writeUnitsMax: -1 } };
  expect([rate(bounded, "read"), rate(bounded, "write")]).toEqual([7, 40_000]);
  expect(rate(onDemand, "read")).toBe(40_000);
  // Provisioned figures count alone.
  expect(rate({ ...bounded, billingMode: "PROVISIONED", readUnitsPerSecond: 3 }, "read")).toBe(3);
  await admission.close();
});
