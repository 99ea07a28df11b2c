import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GroupTable } from "../src/host/group-table.js";

describe("the table of a node's groups", () => {
  it("holds what a map would, whoever comes and goes", () => {
    // Few ids, so that most of them come, go and come again, and enough for the slots to wrap around.
    const id = fc.integer({ min: 0, max: 40 }).map((n) => `g/${n}`);
    const call = fc.tuple(fc.boolean(), id);
    fc.assert(
      fc.property(fc.array(call, { maxLength: 300 }), (calls) => {
        const table = new GroupTable<{ groupId: string }>();
        const model = new Map<string, { groupId: string }>();
        for (const [comes, groupId] of calls) {
          if (!comes) {
            table.delete(groupId);
            model.delete(groupId);
          } else if (!table.has(groupId)) {
            const item = { groupId };
            table.add(item);
            model.set(groupId, item);
          }
          expect(table.size).toBe(model.size);
          expect(table.get(groupId)).toBe(model.get(groupId));
        }
        for (let n = 0; n <= 40; n++) expect(table.get(`g/${n}`)).toBe(model.get(`g/${n}`));
        expect(new Set(table.values())).toEqual(new Set(model.values()));
      }),
      { numRuns: 300 },
    );
  });

  it("grows to thousands and empties again, in whatever order they leave", () => {
    const table = new GroupTable<{ groupId: string }>();
    const items = Array.from({ length: 5000 }, (_, i) => ({ groupId: `orders/${i}/Ω` }));
    for (const item of items) table.add(item);
    expect(items.every((item) => table.get(item.groupId) === item)).toBe(true);
    expect([...table.values()]).toHaveLength(5000);
    const gone = items.filter((_, i) => i % 3 !== 0);
    for (const { groupId } of gone.reverse()) table.delete(groupId);
    expect(items.filter(({ groupId }) => table.has(groupId))).toEqual(items.filter((_, i) => i % 3 === 0));
    for (const { groupId } of items) table.delete(groupId);
    expect([table.size, [...table.values()]]).toEqual([0, []]);
  });

  it("knows nobody by what is no id", () => {
    const table = new GroupTable<{ groupId: string }>();
    table.add({ groupId: "" });
    expect(table.get("")).toEqual({ groupId: "" });
    expect([undefined, 1, {}].map((id) => table.get(id as string))).toEqual([undefined, undefined, undefined]);
  });
});
