import { describe, expect, it } from "vitest";
import { Fleet, sum } from "./fleet.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

describe("members of different standing", () => {
  it("share what is contested by weight", async () => {
    const fleet = new Fleet(LIMIT);
    const [light, heavy] = [fleet.join(), fleet.join()];
    heavy.admission.limit("orders:write", { ...LIMIT, weight: 3 });
    expect(light.limit.stats()).toMatchObject({ ratePerSecond: 1000 });
    await fleet.load(10_000, () => 2000);
    const admitted = (await fleet.load(5000, () => 2000)).map((counts) => sum(counts) / 5);
    expect(admitted[0]).toBeCloseTo(250, -1);
    expect(admitted[1]).toBeCloseTo(750, -1);
  });

  it("have what is guaranteed to them the moment they want it, though others want all", async () => {
    const fleet = new Fleet(LIMIT);
    const [greedy, calm] = [fleet.join(), fleet.join()];
    calm.limit.reconfigure({ guaranteedPerSecond: 300 });
    await fleet.load(10_000, (router) => (router === 0 ? 5000 : 0));
    expect(calm.limit.stats().sharePerSecond).toBeGreaterThanOrEqual(300);
    expect(greedy.limit.stats().sharePerSecond).toBeGreaterThan(600);
    const [, first] = await fleet.load(200, (router) => (router === 0 ? 5000 : 300));
    expect(sum(first as number[])).toBe(60);
  });

  it("keep what is left out of a change, also where it is left out by undefined", async () => {
    const fleet = new Fleet(LIMIT);
    const [light, heavy] = [fleet.join(), fleet.join()];
    heavy.limit.reconfigure({ weight: 3 });
    heavy.limit.reconfigure({ weight: undefined, burstSeconds: undefined, ratePerSecond: 500 } as never);
    expect(heavy.limit.stats()).toMatchObject({ ratePerSecond: 500, burstSeconds: 1 });
    light.limit.reconfigure({ ratePerSecond: 500 });
    await fleet.load(10_000, () => 2000);
    expect(heavy.limit.stats().sharePerSecond).toBeCloseTo(375, -1);
  });

  it("are told apart from members that make no sense", () => {
    const fleet = new Fleet(LIMIT);
    const { admission } = fleet.join();
    for (const change of [{ weight: 0 }, { weight: Number.NaN }, { weight: 1001 }, { guaranteedPerSecond: -1 }]) {
      expect(() => admission.limit("x", { ...LIMIT, ...change })).toThrow(
        expect.objectContaining({ code: "ERR_ADMISSION_ARGUMENT" }),
      );
    }
  });
});
