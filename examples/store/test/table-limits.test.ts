import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { expect, test } from "vitest";
import type { TableRecord } from "../src/api/model.js";
import { TableLimits } from "../src/router/table-limits.js";

const tableOf = (tableId: string): TableRecord => ({
  name: tableId,
  tableId,
  keySchema: { partition: { name: "id", type: "S" } },
  billingMode: "PROVISIONED",
  readUnitsPerSecond: 5,
  writeUnitsPerSecond: 7,
  status: "ACTIVE",
  createdAtMs: 0,
  partitions: 1,
});

test("limits are bounded in number, whatever many tables come and go; the one in use stays", async () => {
  const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router" });
  const limits = new TableLimits(admission, { limitsMax: 8 });
  const kept = limits.of(tableOf("kept"), "write");
  const first = limits.of(tableOf("table-0"), "read");
  for (let i = 1; i < 100; i++) {
    expect(limits.of(tableOf(`table-${i}`), "read").tryTake(1)).toBe(true);
    expect(limits.of(tableOf("kept"), "write")).toBe(kept);
  }
  expect(admission.stats().limits).toBeLessThanOrEqual(8);
  expect(kept.tryTake(1)).toBe(true);
  expect(kept.stats().ratePerSecond).toBe(7);
  // A read that was admitted before is charged after the fact, also when its limit is gone.
  first.debit(1);
  await admission.close();
});

test("a limit takes the rate that its table has by now", async () => {
  const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router" });
  const limits = new TableLimits(admission);
  const table = tableOf("updated");
  const before = limits.of(table, "write");
  const after = limits.of({ ...table, writeUnitsPerSecond: 9 }, "write");
  expect(after).toBe(before);
  expect(after.stats().ratePerSecond).toBe(9);
  const onDemand = limits.of({ ...table, billingMode: "PAY_PER_REQUEST", writeUnitsPerSecond: 0 }, "write");
  expect(onDemand.stats().ratePerSecond).toBe(40_000);
  await admission.close();
});
