import fc from "fast-check";
import { expect, it } from "vitest";
import { compareBytes } from "../src/core/bytes.js";
import { SortedTree } from "../src/core/sorted-tree.js";

interface Item {
  readonly key: Uint8Array;
  readonly value: number;
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
  { weight: 1, arbitrary: fc.record({ op: fc.constant("snapshot" as const) }) },
);

it("is a sorted list, and its snapshots stay as they were, whatever its keys have in common", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
      const tree = new SortedTree<Item>();
      let model: Item[] = [];
      const kept: { view: ReturnType<typeof tree.snapshot>; items: Item[] }[] = [];
      const at = (wanted: Uint8Array) => model.findIndex((one) => compareBytes(one.key, wanted) >= 0);
      for (const [value, one] of steps.entries()) {
        if (one.op === "snapshot") {
          kept.push({ view: tree.snapshot(), items: [...model] });
          continue;
        }
        const next = at(one.key);
        const there = model[next];
        const held = there !== undefined && compareBytes(there.key, one.key) === 0 ? there : undefined;
        if (one.op === "set") {
          const item = { key: one.key, value };
          expect(tree.set(item)).toBe(held);
          model = [...model.filter((other) => other !== held), item].sort((a, b) => compareBytes(a.key, b.key));
        } else if (one.op === "delete") {
          expect(tree.delete(one.key)).toBe(held);
          model = model.filter((other) => other !== held);
        } else {
          const view = tree.peek();
          const before = next < 0 ? model.at(-1) : model[next - 1];
          expect(view.ceiling(one.key)).toBe(there);
          expect(view.below(one.key)).toBe(before);
          expect(view.locate(one.key)).toEqual(held === undefined ? undefined : { item: held, before: before?.key });
          const to = one.to ?? undefined;
          const range = model.filter(
            (other) => compareBytes(other.key, one.key) >= 0 && (to === undefined || compareBytes(other.key, to) < 0),
          );
          expect([...view.range(one.key, to)]).toEqual(range);
        }
      }
      for (const { view, items } of kept) expect([...view.range(new Uint8Array(0), undefined)]).toEqual(items);
      expect([...tree.peek().range(new Uint8Array(0), undefined)]).toEqual(model);
    }),
    { numRuns: 60 },
  );
});
