import fc from "fast-check";
import { expect, it } from "vitest";
import { compareBytes } from "../src/core/bytes.js";
import { SortedTree } from "../src/core/sorted-tree.js";
import type { Measure } from "../src/core/sorted-view.js";

interface Item {
  readonly key: Uint8Array;
  readonly value: number;
}

/** What nodes remember of what is below them. */
const count: Measure<Item, { values: number }> = {
  empty: () => ({ values: 0 }),
  addItem: (sum, { value }) => {
    sum.values += value;
  },
  addSum: (sum, { values }) => {
    sum.values += values;
  },
  takeItem: (sum, { value }) => {
    sum.values -= value;
  },
};

function summed(tree: SortedTree<Item, { values: number }>): number {
  let values = 0;
  const take = (sum: { values: number }): boolean => {
    values += sum.values;
    return true;
  };
  tree.peek().walk(new Uint8Array(0), undefined, count, take, () => undefined);
  return values;
}

/** Keys that share much, are prefixes of one another, or differ in zero bytes at their ends alone: what short forms of keys cannot tell apart. */
const key = fc
  .tuple(
    fc.constantFrom("", "a", "item/0000", "item/0000000000000"),
    fc.array(fc.constantFrom(0, 1, 97, 255), { maxLength: 9 }),
  )
  .map(([prefix, rest]) => Uint8Array.from([...Buffer.from(prefix), ...rest]));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("set" as const), key }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("delete" as const), key }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("look" as const), key, to: fc.option(key) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("replace" as const), located: key, key }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("snapshot" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("close" as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("fork" as const) }) },
);

it("is a sorted list, and its snapshots stay as they were, whatever its keys have in common", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
      let tree = new SortedTree<Item, { values: number }>(count);
      let model: Item[] = [];
      const kept: { view: ReturnType<typeof tree.snapshot>; items: Item[] }[] = [];
      const at = (wanted: Uint8Array) => model.findIndex((one) => compareBytes(one.key, wanted) >= 0);
      for (const [value, one] of steps.entries()) {
        if (one.op === "snapshot") {
          kept.push({ view: tree.snapshot(), items: [...model] });
          continue;
        }
        if (one.op === "close") {
          const [closed] = kept.splice(one.which, 1);
          closed?.view.close();
          closed?.view.close();
          if (closed !== undefined) expect(() => closed.view.get(new Uint8Array(1))).toThrow(/closed/);
          continue;
        }
        if (one.op === "fork") {
          // The one that it was forked from goes on to change as well.
          const other = tree;
          tree = tree.fork();
          for (const { key } of model.slice(0, 3)) other.set({ key, value: -1 });
          continue;
        }
        const next = at(one.key);
        const there = model[next];
        const held = there !== undefined && compareBytes(there.key, one.key) === 0 ? there : undefined;
        if (one.op === "set") {
          const item = { key: one.key, value };
          expect(tree.set(item)).toBe(held);
          model = [...model.filter((other) => other !== held), item].sort((a, b) => compareBytes(a.key, b.key));
        } else if (one.op === "replace") {
          tree.locate(one.located);
          if (held === undefined) continue;
          const item = { key: one.key, value };
          tree.replace(item);
          model = model.map((other) => (other === held ? item : other));
        } else if (one.op === "delete") {
          expect(tree.delete(one.key)).toBe(held);
          model = model.filter((other) => other !== held);
        } else {
          summed(tree);
          const view = tree.peek();
          const before = next < 0 ? model.at(-1) : model[next - 1];
          expect(view.ceiling(one.key)).toBe(there);
          expect(view.below(one.key)).toBe(before);
          expect(tree.locate(one.key)).toEqual(held === undefined ? undefined : { item: held, before: before?.key });
          const to = one.to ?? undefined;
          const range = model.filter(
            (other) => compareBytes(other.key, one.key) >= 0 && (to === undefined || compareBytes(other.key, to) < 0),
          );
          expect([...view.range(one.key, to)]).toEqual(range);
        }
      }
      for (const { view, items } of kept) expect([...view.range(new Uint8Array(0), undefined)]).toEqual(items);
      expect([...tree.peek().range(new Uint8Array(0), undefined)]).toEqual(model);
      expect(summed(tree)).toBe(model.reduce((sum, { value }) => sum + value, 0));
    }),
    { numRuns: 60 },
  );
});
