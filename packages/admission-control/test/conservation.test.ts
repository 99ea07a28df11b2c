import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fleet, type Router } from "./fleet.js";

const RATE = 1000;
const BURST_SECONDS = 2;

/** What can befall a fleet. `who` picks a router, modulo those that live. */
const event = fc.record({
  afterMs: fc.integer({ min: 0, max: 3000 }),
  who: fc.nat(20),
  what: fc.constantFrom("up", "up", "down", "hang", "lose-replies", "join", "kill", "close", "none", "none"),
  demand: fc.constantFrom(0, 10, 300, 2000),
});

describe("a fleet under one limit", () => {
  it("admits no more in any span than one bucket of the whole size would, whatever befalls it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 5, maxLength: 25 }),
        fc.integer({ min: 1, max: 2 ** 31 }),
        async (events, seed) => {
          const fleet = new Fleet({ ratePerSecond: RATE, burstSeconds: BURST_SECONDS }, seed, {
            learnForMs: 0,
            leaseMs: 6000,
          });
          const demand = new Map<Router, number>();
          const dead = new Set<Router>();
          for (let i = 0; i < 3; i += 1) demand.set(fleet.join({ whenAway: "deny" }), 500);
          // The one bucket that must never be found empty.
          let room = RATE * BURST_SECONDS;
          let lowest = room;
          for (const { afterMs, who, what, demand: perSecond } of events) {
            for (let passed = 0; passed < afterMs; passed += 50) {
              for (const router of fleet.routers) {
                if (dead.has(router)) continue;
                const asked = (demand.get(router) ?? 0) / 20;
                for (let i = 0; i < asked; i += 1) if (router.limit.tryTake(1)) room -= 1;
              }
              lowest = Math.min(lowest, room);
              expect(fleet.coordinator.inspect("orders:write")?.outstandingPerSecond ?? 0).toBeLessThanOrEqual(
                RATE * (1 + 1e-9),
              );
              await fleet.time.pass(50);
              room = Math.min(RATE * BURST_SECONDS, room + RATE / 20);
            }
            const living = fleet.routers.filter((router) => !dead.has(router));
            const router = living[who % Math.max(1, living.length)];
            if (what === "join" && fleet.routers.length < 12) demand.set(fleet.join({ whenAway: "deny" }), perSecond);
            if (router === undefined) continue;
            demand.set(router, perSecond);
            if (what === "kill") {
              // As SIGKILL does: no word to anybody, nothing spent any more.
              dead.add(router);
              router.line.mode = "down";
            } else if (what === "close") {
              dead.add(router);
              void router.admission.close();
            } else if (what !== "none" && what !== "join") {
              router.line.mode = what;
            }
          }
          // A hundredth of a token: the sums above are ordinary floating point.
          expect(lowest).toBeGreaterThan(-0.01);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("loses nothing either: a steady fleet uses all of the limit", async () => {
    const fleet = new Fleet({ ratePerSecond: RATE, burstSeconds: BURST_SECONDS });
    for (let i = 0; i < 5; i += 1) fleet.join();
    await fleet.load(10_000, () => 1000);
    const admitted = await fleet.load(10_000, () => 1000);
    const total = admitted.flat().reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThan(10 * RATE * 0.99);
    expect(total).toBeLessThanOrEqual(10 * RATE + 5);
  });
});
