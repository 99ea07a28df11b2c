import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConstantWorkPoller } from "../src/index.js";

beforeEach(() => {
  vi.useFakeTimers({
    toFake: [
      "setTimeout",
      "clearTimeout",
      "setInterval",
      "clearInterval",
      "setImmediate",
      "clearImmediate",
      "performance",
    ],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Config {
  readonly version: number;
}

describe("polling on a fixed period", () => {
  it("asks once a period, whether or not anything changed, answered or not", async () => {
    const asked: number[] = [];
    let mode: "same" | "new" | "fail" | "hang" = "same";
    let version = 1;
    const poller = new ConstantWorkPoller<Config>({
      periodMs: 100,
      fetchAll: async () => {
        asked.push(performance.now());
        if (mode === "fail") throw new Error("down");
        if (mode === "hang") return new Promise<never>(() => {});
        if (mode === "new") version++;
        return { version };
      },
    });
    await vi.advanceTimersByTimeAsync(0);
    const start = asked[0] ?? Number.NaN;
    for (const next of ["same", "new", "fail", "hang", "same"] as const) {
      mode = next;
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(asked.map((ms) => Math.round((ms - start) / 100))).toEqual(Array.from({ length: 51 }, (_, i) => i));
    expect(poller.current).toEqual({ version: 11 });
    poller.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toHaveLength(51);
  });

  it("keeps the last good state through an outage, tells its age, and recovers at the next period", async () => {
    let down = false;
    const events: unknown[] = [];
    const listener = (event: unknown) => events.push(event);
    subscribe("evenkeel:constant-work-cache:poll-failed", listener);
    const poller = new ConstantWorkPoller<Config>({
      periodMs: 100,
      fetchAll: async () => {
        if (down) throw new Error("down");
        return { version: 7 };
      },
    });
    expect(poller.current).toBeUndefined();
    expect(poller.ageMs).toBeUndefined();
    const first = poller.ready();
    await vi.advanceTimersByTimeAsync(1);
    expect(await first).toEqual({ version: 7 });
    down = true;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(poller.current).toEqual({ version: 7 });
    expect(poller.ageMs).toBeGreaterThanOrEqual(29_900);
    expect(poller.stats()).toMatchObject({ polls: 301, failed: 300, timedOut: 0 });
    expect(events).toHaveLength(300);
    down = false;
    await vi.advanceTimersByTimeAsync(100);
    expect(poller.ageMs).toBeLessThanOrEqual(100);
    expect(poller.stats().polls).toBe(302);
    unsubscribe("evenkeel:constant-work-cache:poll-failed", listener);
    poller.close();
  });

  it("aborts a call that hangs, never runs two, and does not take what it answers late", async () => {
    const signals: AbortSignal[] = [];
    const answers: ((config: Config) => void)[] = [];
    const poller = new ConstantWorkPoller<Config>({
      periodMs: 100,
      timeoutMs: 100,
      fetchAll: ({ signal }) => {
        signals.push(signal);
        return new Promise((resolve) => answers.push(resolve));
      },
    });
    await vi.advanceTimersByTimeAsync(1000);
    expect(signals.filter((signal) => !signal.aborted).length).toBe(1);
    answers[0]?.({ version: 1 });
    await vi.advanceTimersByTimeAsync(1);
    expect(poller.current).toBeUndefined();
    answers.at(-1)?.({ version: 2 });
    await vi.advanceTimersByTimeAsync(1);
    expect(poller.current).toEqual({ version: 2 });
    expect(poller.stats().timedOut).toBe(signals.length - 1);
    poller.close();
  });

  it("takes no older state than it holds, and lets its age grow meanwhile", async () => {
    const versions = [3, 5, 4, 2];
    const poller = new ConstantWorkPoller<Config>({
      periodMs: 100,
      versionOf: (config) => config.version,
      fetchAll: () => ({ version: versions.shift() ?? 5 }),
    });
    await vi.advanceTimersByTimeAsync(350);
    expect(poller.current).toEqual({ version: 5 });
    expect(poller.ageMs).toBeGreaterThanOrEqual(200);
    expect(poller.stats()).toMatchObject({ polls: 4, staleStates: 2, failed: 0 });
    poller.close();
  });

  it("counts a state without a usable version as a failure", async () => {
    const poller = new ConstantWorkPoller<Config>({
      periodMs: 100,
      versionOf: (config) => config.version,
      fetchAll: () => ({ version: Number.NaN }),
    });
    await vi.advanceTimersByTimeAsync(1);
    expect(poller.current).toBeUndefined();
    expect(poller.stats()).toMatchObject({ polls: 1, failed: 1 });
    poller.close();
  });
});

describe("waiting for the first state", () => {
  it("ends with the signal's reason, or with the poller", async () => {
    const poller = new ConstantWorkPoller<Config>({ periodMs: 100, fetchAll: () => new Promise<never>(() => {}) });
    const leaving = new AbortController();
    const left = expect(poller.ready({ signal: leaving.signal })).rejects.toThrow("client gone");
    const stayed = expect(poller.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    leaving.abort(new Error("client gone"));
    await left;
    await poller[Symbol.asyncDispose]();
    await stayed;
    await expect(poller.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });
});

describe("arguments", () => {
  it.each([
    [{ periodMs: 0 }, "periodMs"],
    [{ periodMs: Number.NaN }, "periodMs"],
    [{ periodMs: 2 ** 31 }, "periodMs"],
    [{ periodMs: 10, timeoutMs: 11 }, "timeoutMs"],
    [{ fetchAll: "url" }, "fetchAll"],
    [{ versionOf: 3 }, "versionOf"],
    [{ now: 3 }, "now"],
  ])("refuses %j and names it", (wrong, name) => {
    const options = { periodMs: 10, fetchAll: () => ({ version: 1 }), ...wrong };
    expect(() => new ConstantWorkPoller(options as never)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_ARGUMENT", message: expect.stringContaining(name) }),
    );
  });
});
