import { channel } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import type { Coordinator } from "../src/index.js";
import { Fleet } from "./fleet.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

describe("while the coordinator is away", () => {
  it.each(["down", "hang"] as const)(
    "(%s) a member lives on its last share until the lease ends, then on the policy, then recovers",
    async (mode) => {
      const fleet = new Fleet(LIMIT);
      const { limit, line, admission } = fleet.join();
      const events: string[] = [];
      const listen = (name: string) => {
        const listener = () => void events.push(name);
        const topic = channel(`evenkeel:admission-control:${name}`);
        topic.subscribe(listener);
        return () => topic.unsubscribe(listener);
      };
      const stop = [listen("degraded"), listen("recovered")];
      await fleet.time.pass(2000);
      line.mode = mode;
      await fleet.time.pass(7000);
      expect(limit.stats()).toMatchObject({ mode: "lease", sharePerSecond: 1000 });
      expect(events).toEqual([]);
      await fleet.time.pass(60_000);
      expect(limit.stats()).toMatchObject({ mode: "policy", sharePerSecond: 0, tokens: 50 });
      expect(limit.tryTake(50)).toBe(true);
      expect(limit.tryTake(1)).toBe(false);
      expect(limit.msUntil(1)).toBeCloseTo(20, 6);
      expect(admission.stats()).toMatchObject({ degraded: true, lastError: expect.any(Error) });
      line.mode = "up";
      await fleet.time.pass(5000);
      expect(limit.stats()).toMatchObject({ mode: "lease", sharePerSecond: 1000 });
      expect(admission.stats()).toMatchObject({ degraded: false, lastError: undefined });
      expect(events).toEqual(["degraded", "recovered"]);
      for (const unsubscribe of stop) unsubscribe();
    },
  );

  it.each([
    ["deny", false],
    ["allow", true],
  ] as const)("the policy %s, from the start, admits: %s", async (whenAway, admits) => {
    const fleet = new Fleet(LIMIT);
    fleet.coordinator = { ...fleet.coordinator };
    const { limit, line } = fleet.join({ whenAway });
    line.mode = "down";
    await fleet.time.pass(5000);
    for (let i = 0; i < 3000; i += 1) expect(limit.tryTake(1)).toBe(admits);
    limit.debit(1_000_000);
    expect(limit.tryTake(1)).toBe(admits);
    expect(limit.msUntil(1) === 0).toBe(admits);
    line.mode = "up";
    await fleet.time.pass(5000);
    // What was allowed without a limit is not collected afterwards.
    if (whenAway === "allow") expect(limit.tryTake(1)).toBe(true);
  });

  it("shares no more than evenly among the members last known", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 50; i += 1) fleet.join();
    await fleet.time.pass(5000);
    for (const { line } of fleet.routers) line.mode = "down";
    await fleet.time.pass(60_000);
    const tokens = fleet.routers.map(({ limit }) => limit.stats().tokens);
    expect(Math.max(...tokens)).toBeCloseTo(20, 6);
  });

  it("never waits: a decision is a value, not a promise, in every state", async () => {
    const fleet = new Fleet(LIMIT);
    const { limit, line } = fleet.join();
    line.mode = "hang";
    for (let i = 0; i < 20; i += 1) {
      expect(typeof limit.tryTake(1)).toBe("boolean");
      await fleet.time.pass(1000);
    }
  });

  it("takes an answer that makes no sense for none", async () => {
    const answers: unknown[] = [
      undefined,
      "half a bo",
      [null],
      [{}],
      [],
      [
        {
          limit: "orders:write",
          sequence: 1,
          lease: "x",
          ratePerSecond: Number.NaN,
          tokensTotal: 0,
          leaseMs: 1e4,
          evenPerSecond: 1,
        },
      ],
    ];
    for (const answer of answers) {
      const fleet = new Fleet(LIMIT);
      const coordinator = { settle: async () => answer } as unknown as Coordinator;
      const { limit, admission } = fleet.join({ coordinator });
      await fleet.time.pass(5000);
      expect(limit.stats()).toMatchObject({ mode: "policy" });
      expect(admission.stats().failures).toBeGreaterThan(1);
      expect(admission.stats().lastError).toMatchObject({ code: "ERR_ADMISSION_ANSWER" });
    }
  });

  it("survives a coordinator that throws, rejects late, or is told to stop", async () => {
    const fleet = new Fleet(LIMIT);
    const aborted: unknown[] = [];
    const coordinator: Coordinator = {
      settle: (_settlements, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.push(signal.reason);
            reject(new Error("much too late"));
          });
        }),
    };
    fleet.join({ coordinator });
    fleet.join({
      coordinator: {
        settle: () => {
          throw new Error("at once");
        },
      },
    });
    await fleet.time.pass(10_000);
    expect(aborted).toContainEqual(expect.objectContaining({ code: "ERR_ADMISSION_TIMEOUT" }));
    expect(fleet.routers[1]?.admission.stats().lastError).toMatchObject({ message: "at once" });
  });

  it("closes in the time of one settlement, whatever the coordinator does", async () => {
    const fleet = new Fleet(LIMIT);
    const { admission, line } = fleet.join();
    await fleet.time.pass(1000);
    line.mode = "hang";
    const closed = admission.close();
    await fleet.time.pass(2001);
    await closed;
    await admission.close();
  });
});
