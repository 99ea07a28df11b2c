import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { TokenBucket, tryTakeAll } from "@evenkeel/token-bucket";
import { describe, expect, it } from "vitest";
import { Admission, AdmissionError, memoryCoordinator } from "../src/index.js";
import { Fleet, StagedTime } from "./fleet.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

function staged(options: Partial<ConstructorParameters<typeof Admission>[0]> = {}) {
  const time = new StagedTime();
  const coordinator = memoryCoordinator({ now: time.now, learnForMs: 0 });
  const admission = new Admission({ coordinator, member: "a", now: time.now, timer: time.timer, ...options });
  return { time, coordinator, admission };
}

describe("many limits", () => {
  it("are the same object under the same name, with the limit given last", () => {
    const { admission } = staged();
    const limit = admission.limit("t", LIMIT);
    expect(admission.limit("t", { ratePerSecond: 10, burstSeconds: 1 })).toBe(limit);
    expect(limit.stats()).toMatchObject({ ratePerSecond: 10, sharePerSecond: 10, tokens: 10 });
  });

  it("are settled in messages of batchMax", async () => {
    const fleet = new Fleet(LIMIT);
    const { admission, line } = fleet.join({ batchMax: 100 });
    for (let i = 0; i < 950; i += 1) admission.limit(`t${i}`, LIMIT);
    const settle = async () => {
      const settled = admission.settle();
      // It takes a breath between messages.
      for (let i = 0; i < 20; i += 1) await fleet.time.pass(1);
      await settled;
    };
    await settle();
    const before = line.settlements;
    await settle();
    expect(line.settlements - before).toBe(10);
    expect(admission.stats()).toMatchObject({ limits: 951, failures: 0 });
  });

  it("stay independent of one another", () => {
    const { admission } = staged();
    const [a, b] = [admission.limit("a", LIMIT), admission.limit("b", LIMIT)];
    expect(a.tryTake(1000)).toBe(true);
    expect(a.tryTake(1)).toBe(false);
    expect(b.tryTake(1000)).toBe(true);
  });

  it("end at limitsMax with an error, and at the coordinator's with the policy", async () => {
    const { admission } = staged({ limitsMax: 2 });
    admission.limit("a", LIMIT);
    admission.limit("b", LIMIT);
    expect(() => admission.limit("c", LIMIT)).toThrow(expect.objectContaining({ code: "ERR_ADMISSION_LIMITS" }));
    const full = staged({ coordinator: memoryCoordinator({ limitsMax: 1, learnForMs: 0 }) }).admission;
    full.limit("a", LIMIT);
    expect(full.limit("b", LIMIT).stats()).toMatchObject({ mode: "policy" });
    expect(full.stats()).toMatchObject({ degraded: true, lastError: { code: "ERR_ADMISSION_ANSWER" } });
  });

  it("are given back and forgotten one by one, and may come again under their name", async () => {
    const { admission, coordinator, time } = staged();
    const limit = admission.limit("t", LIMIT);
    expect(limit.tryTake(1000)).toBe(true);
    limit.close();
    limit.close();
    expect(limit.tryTake(1)).toBe(false);
    expect(limit.stats().mode).toBe("closed");
    await admission.settle();
    const again = admission.limit("t", LIMIT);
    // What was spent is spent: leaving and coming back mints nothing.
    expect(again.stats().tokens).toBeLessThan(1);
    again.close();
    for (let i = 0; i < 5; i += 1) admission.limit(`u${i}`, LIMIT).close();
    await admission.settle();
    await time.pass(10_000);
    const other = admission.limit("other", LIMIT);
    for (let i = 0; i < 10; i += 1) await admission.settle();
    expect(other.stats().mode).toBe("lease");
    expect(coordinator.stats().limits).toBe(1);
  });

  it("charge nobody when the partition's own bucket is empty while the table has tokens", () => {
    const { admission, time } = staged();
    const table = admission.limit("t", LIMIT);
    const partition = new TokenBucket({ ratePerSecond: 1, capacity: 10, tokens: 0, now: time.now });
    expect(tryTakeAll([table, partition], 1)).toBe(false);
    expect(table.stats()).toMatchObject({ tokens: 1000, used: 0 });
    partition.refund(5);
    expect(tryTakeAll([table, partition], 5)).toBe(true);
    expect(table.stats()).toMatchObject({ tokens: 995, used: 5 });
  });
});

describe("one limit", () => {
  it("is charged after the fact, pays back first, and takes refunds", async () => {
    const { admission, time } = staged();
    const limit = admission.limit("t", LIMIT);
    limit.debit(1500);
    expect(limit.stats().tokens).toBe(-500);
    expect(limit.msUntil(1)).toBeCloseTo(501, 6);
    await time.pass(501);
    expect(limit.tryTake(1)).toBe(true);
    limit.refund(1);
    expect(limit.stats()).toMatchObject({ used: 1500 });
  });

  it("leaves a debt behind for the others when its member goes", async () => {
    const fleet = new Fleet(LIMIT);
    const { limit, admission } = fleet.join();
    await fleet.time.pass(100);
    limit.debit(2500);
    await admission.close();
    const next = fleet.join({ whenAway: "deny" });
    await next.admission.settle();
    expect(next.limit.tryTake(1)).toBe(false);
  });

  it("says when to come back: soon, after a settlement, or never", () => {
    const { admission } = staged();
    const limit = admission.limit("t", LIMIT);
    expect(limit.tryTake(1000)).toBe(true);
    expect(limit.msUntil(100)).toBeCloseTo(100, 6);
    expect(limit.msUntil(1001)).toBe(Number.POSITIVE_INFINITY);
    limit.close();
    expect(limit.msUntil(1)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, "3", undefined])("refuses %s as a rate, and says so", (value) => {
    const { admission } = staged();
    expect(() => admission.limit("t", { ratePerSecond: value as number, burstSeconds: 1 })).toThrow(
      expect.objectContaining({ code: "ERR_ADMISSION_ARGUMENT", message: expect.stringContaining("ratePerSecond") }),
    );
    expect(() => admission.limit("t", { ratePerSecond: 1, burstSeconds: value as number })).toThrow(/burstSeconds/);
    const limit = admission.limit("t", LIMIT);
    if (value !== undefined) expect(() => limit.tryTake(value as number)).toThrow(/units must be/);
    expect(() => limit.debit(value as number)).toThrow(AdmissionError);
    expect(limit.stats().tokens).toBe(1000);
  });

  it("refuses options that make no sense, naming them", () => {
    const coordinator = memoryCoordinator();
    expect(() => new Admission({ coordinator, member: "" })).toThrow(/member/);
    expect(() => new Admission({ coordinator, member: "a", settleEveryMs: 0 })).toThrow(/settleEveryMs/);
    expect(() => new Admission({ coordinator, member: "a", whenAway: "wait" as "deny" })).toThrow(/whenAway.*"wait"/);
    expect(() => new Admission({ coordinator: {} as never, member: "a" })).toThrow(/coordinator/);
    expect(() => memoryCoordinator({ leaseMs: -1 })).toThrow(/leaseMs/);
    expect(() =>
      new Admission({ coordinator, member: "a" }).limit("t", { ratePerSecond: 1e12, burstSeconds: 86_400 }),
    ).toThrow(/burstSeconds/);
  });

  it("is refused after close", async () => {
    const { admission } = staged();
    await admission.close();
    expect(() => admission.limit("t", LIMIT)).toThrow(expect.objectContaining({ code: "ERR_ADMISSION_CLOSED" }));
  });
});

it("keeps no process alive", async () => {
  const source = `
    import { Admission, memoryCoordinator } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const limit = new Admission({ coordinator: memoryCoordinator(), member: "a" }).limit("t", { ratePerSecond: 1, burstSeconds: 5 });
    console.log(limit.tryTake(1));
  `;
  const args = ["--import", "tsx", "--conditions=@evenkeel/source", "--input-type=module", "--eval", source];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: new URL("..", import.meta.url),
    timeout: 240_000,
  });
  expect(stdout.trim()).toBe("true");
});
