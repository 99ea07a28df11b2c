import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/api/errors.js";
import type { TableDefinition, TableStatus } from "../src/api/model.js";
import { DataPlane } from "../src/router/data-plane.js";
import type { LeaderCalls } from "../src/router/leader-calls.js";
import { Reach } from "../src/router/reach.js";
import type { Routes } from "../src/router/routes.js";
import { TablePlane } from "../src/router/table-plane.js";

const DEFINITION = { name: "orders" } as unknown as TableDefinition;

/** Tables as the leader of the metadata tells of them: after its first answer these, one a look. The last one stays. */
function tables(first: TableStatus, looks: readonly (TableStatus | "gone" | "another")[]) {
  const it = { looked: 0, asked: [] as unknown[], members: ["a1"] };
  let tableId = "t";
  const leaders = {
    async call(_partition: number, members: unknown, method: string, params: { tableId?: string }) {
      tableId = params.tableId ?? tableId;
      it.asked.push(members);
      const now = method === "describeTable" ? looks[Math.min(it.looked++, looks.length - 1)] : first;
      if (now === "gone") throw new ApiError("ResourceNotFoundException");
      const table = now === "another" ? { tableId: "later", status: first } : { tableId, status: now };
      return { table: { name: "orders", ...table }, version: 1 };
    },
  } as unknown as LeaderCalls;
  const routes = { learn: () => {} } as unknown as Routes;
  const callerTo = () => {
    throw new Error("nobody is called");
  };
  const reach = new Reach({ routes, leaders, callerTo, deadlineMs: 10_000 });
  return { it, plane: new TablePlane({ routes, leaders, reach, nodes: it }) };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function answered<T>(asked: Promise<T>): Promise<T> {
  await vi.runAllTimersAsync();
  return await asked;
}

test("CreateTable says CREATING, and says so when the table is there", async () => {
  const { it, plane } = tables("CREATING", ["CREATING", "CREATING", "ACTIVE"]);
  expect((await answered(plane.createTable(DEFINITION))).status).toBe("CREATING");
  expect(it.looked).toBe(3);
});

test("DeleteTable says DELETING, and says so when the table is gone, or is another one by then", async () => {
  for (const end of ["gone", "another"] as const) {
    const { it, plane } = tables("DELETING", ["DELETING", end]);
    expect((await answered(plane.deleteTable("orders"))).status).toBe("DELETING");
    expect(it.looked).toBe(2);
  }
});

test("a table that takes longer keeps nobody waiting for more than three seconds", async () => {
  const { plane } = tables("CREATING", ["CREATING"]);
  const askedAt = performance.now();
  expect((await answered(plane.createTable(DEFINITION))).status).toBe("CREATING");
  const heldMs = performance.now() - askedAt;
  expect(heldMs).toBeGreaterThanOrEqual(3_000);
  expect(heldMs).toBeLessThan(3_100);
});

test("asks the nodes that there are by then, not those that there were", async () => {
  const { it, plane } = tables("ACTIVE", ["ACTIVE"]);
  await answered(plane.createTable(DEFINITION));
  it.members = ["b1", "d1"];
  await answered(plane.createTable(DEFINITION));
  expect([it.asked[0], it.asked.at(-1)]).toEqual([["a1"], ["b1", "d1"]]);
});

test("nobody is refused a table for what it was when it was last asked for", async () => {
  let now: TableStatus | undefined;
  const call = async () => {
    if (now === undefined)
      throw new ApiError("ResourceNotFoundException", "Requested resource not found: Table: orders");
    return { table: { name: "orders", status: now }, version: 2 };
  };
  const routes = { table: () => ({ name: "orders", status: "CREATING" }), learn: () => {} } as unknown as Routes;
  const callerTo = () => ({ call, close: async () => {} }) as never;
  const plane = new DataPlane({ routes, admission: {} as never, callerTo, members: ["a1"] });
  for (now of ["ACTIVE", "UPDATING"] as const) expect((await plane.table("orders")).status).toBe(now);
  for (now of ["CREATING", "DELETING", undefined] as const)
    await expect(plane.table("orders")).rejects.toThrow(/^Requested resource not found$/);
});
