import fc from "fast-check";
import { expect, it } from "vitest";
import { PaxosError } from "../src/core/errors.js";
import { Proposals } from "../src/host/proposals.js";

const ballot = { round: 1, node: "a1" };

it("who waits for a slot is found by it, however many wait and whoever was taken out before", () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant("add" as const), count: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ op: fc.constant("take" as const), count: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ op: fc.constant("takeOne" as const), count: fc.nat(1000) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.array(step, { maxLength: 30 }), (from, steps) => {
      const proposals = new Proposals<number>({ countMax: 1 << 20, bytesMax: 1 << 30 });
      const waiting: number[] = [];
      let last = from;
      for (const { op, count } of steps) {
        for (let i = 0; op === "add" && i < count; i++) {
          void proposals.add(++last, ballot, 3);
          waiting.push(last);
        }
        for (let i = 0; op === "take" && i < count && waiting.length > 0; i++) {
          const slot = waiting.shift() as number;
          expect(proposals.take(slot)?.slot).toBe(slot);
        }
        if (op === "takeOne" && waiting.length > 0) {
          const [slot] = waiting.splice(count % waiting.length, 1) as [number];
          expect(proposals.take(slot)?.slot).toBe(slot);
          expect(proposals.take(slot)).toBeUndefined();
        }
        expect(proposals.count).toBe(waiting.length);
        expect(proposals.hasRoom((1 << 30) - 3 * waiting.length)).toBe(true);
        expect(proposals.hasRoom((1 << 30) - 3 * waiting.length + 1)).toBe(false);
        expect(waiting.every((slot) => proposals.expects(slot, ballot))).toBe(true);
        expect([from, last + 1].some((slot) => proposals.expects(slot, ballot))).toBe(false);
      }
    }),
  );
});

it("all who wait are told in the order of their slots, and nobody waits twice for one", async () => {
  const proposals = new Proposals<number>({ countMax: 100, bytesMax: 100 });
  const told: number[] = [];
  const waits = [7, 8, 9, 10, 11].map((slot) => proposals.add(slot, ballot, 1).catch(() => void told.push(slot)));
  expect(() => proposals.add(9, ballot, 1)).toThrow("slot 9 is taken already");
  proposals.take(8)?.resolve(1);
  proposals.rejectAll(new PaxosError("ERR_PAXOS_CLOSED", "over"));
  await Promise.all(waits);
  expect([told, proposals.count]).toEqual([[7, 9, 10, 11], 0]);
});
