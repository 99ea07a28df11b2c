import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Agenda } from "../src/host/agenda.js";

class Item {
  plannedMs = Number.POSITIVE_INFINITY;
  constructor(readonly name: number) {}
}

describe("the agenda of a node", () => {
  it("calls each at its earliest time, once, and nobody before", () => {
    const times = fc.array(fc.record({ who: fc.integer({ min: 0, max: 9 }), atMs: fc.integer({ min: 0, max: 100 }) }));
    fc.assert(
      fc.property(times, (plans) => {
        const agenda = new Agenda<Item>();
        const items = Array.from({ length: 10 }, (_, name) => new Item(name));
        const earliest = new Map<number, number>();
        for (const { who, atMs } of plans) {
          agenda.plan(items[who] as Item, atMs);
          earliest.set(who, Math.min(atMs, earliest.get(who) ?? Number.POSITIVE_INFINITY));
        }
        for (let nowMs = 0; nowMs <= 100; nowMs++) {
          const called: number[] = [];
          agenda.due(nowMs, ({ name }) => called.push(name));
          const wanted = [...earliest].filter(([, atMs]) => atMs === nowMs).map(([who]) => who);
          expect(called.sort()).toEqual(wanted.sort());
        }
        expect(agenda.size).toBe(0);
      }),
    );
  });

  it("keeps what is planned during a call for the next time, and nothing for who was forgotten", () => {
    const agenda = new Agenda<Item>();
    const [one, other] = [new Item(1), new Item(2)];
    agenda.plan(one, 5);
    agenda.plan(other, 6);
    agenda.forget(other);
    let calls = 0;
    const call = (item: Item) => {
      calls++;
      agenda.plan(item, 0);
    };
    agenda.due(10, call);
    expect(calls).toBe(1);
    agenda.due(10, call);
    expect(calls).toBe(2);
  });
});
