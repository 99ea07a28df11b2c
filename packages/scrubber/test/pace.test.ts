import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, it } from "vitest";
import { Scrubber } from "../src/index.js";
import { bytes, many, replica, spoiled, text, trio } from "./support/sources.js";

it("asks the budget before every step, for a step's bytes", async () => {
  const asked: number[] = [];
  const { scrubber } = trio(many(1000), undefined, { stepBytes: 2000, take: (count) => void asked.push(count) });
  const { bytes: compared } = await scrubber.pass();
  expect(new Set(asked)).toEqual(new Set([2000]));
  expect(asked.length).toBeGreaterThanOrEqual(compared / 2100);
  expect(asked.length).toBeLessThanOrEqual(compared / 2000 + 1);
});

it("asks the budget for what narrowing reads once more as well", async () => {
  const asked: number[] = [];
  const { b, scrubber } = trio(many(1000), undefined, { stepBytes: 1 << 30, take: (count) => void asked.push(count) });
  const { bytes: whole } = await scrubber.pass();
  expect(asked.splice(0)).toEqual([1 << 30]);
  b.store.put(bytes("00000500"), bytes("else"));
  await scrubber.pass();
  const [step, ...narrowing] = asked;
  expect(step).toBe(1 << 30);
  // All of it to cut it, then a sixteenth of it, and a sixteenth of that.
  expect(narrowing[0]).toBe(whole);
  expect(narrowing.length).toBeGreaterThan(1);
  for (const [index, bytes] of narrowing.entries()) expect(bytes).toBeLessThan(whole / 8 ** index + 1);
});

it("stops on a signal in the middle of a step in which much differs", async () => {
  const { a, b, c } = trio(many(2000));
  for (const { key } of a.store.sorted()) b.store.put(key, bytes("else"));
  const controller = new AbortController();
  let leaves = 0;
  const counting = spoiled(b, (snapshot) => ({
    entries: (range) => {
      if (++leaves === 3) controller.abort(new Error("enough"));
      return snapshot.entries(range);
    },
  }));
  const scrubber = new Scrubber({ replicas: [a, counting, c], position: () => 1, stepBytes: 1 << 30 });
  await expect(scrubber.pass({ signal: controller.signal })).rejects.toThrow("enough");
  expect(leaves).toBe(3);
});

it("makes progress a step at a time on the smallest budget, and shows where it is", async () => {
  const gates: (() => void)[] = [];
  const { scrubber } = trio(many(100), undefined, {
    stepBytes: 500,
    take: () => new Promise<void>((resolve) => void gates.push(resolve)),
  });
  const pass = scrubber.pass();
  const seen: (string | undefined)[] = [];
  const done = pass.then(() => true);
  for (;;) {
    const ended = await Promise.race([done, new Promise<false>((resolve) => setImmediate(() => resolve(false)))]);
    if (ended) break;
    const open = gates.shift();
    if (open === undefined) continue;
    seen.push(text(scrubber.stats().through));
    expect(scrubber.stats().running).toBe(true);
    open();
  }
  expect(seen[0]).toBeUndefined();
  expect(seen.slice(1)).toEqual([...seen.slice(1)].sort());
  expect(seen.length).toBeGreaterThan(3);
});

it("runs one pass at a time, and stops on a signal or on close", async () => {
  const { scrubber } = trio(many(100), undefined, {
    stepBytes: 100,
    take: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const controller = new AbortController();
  const first = scrubber.pass({ signal: controller.signal });
  await expect(scrubber.pass()).rejects.toMatchObject({ code: "ERR_SCRUBBER_BUSY" });
  controller.abort(new Error("enough"));
  await expect(first).rejects.toThrow("enough");
  const second = scrubber.pass();
  const ended = expect(second).rejects.toMatchObject({ code: "ERR_SCRUBBER_CLOSED" });
  await scrubber.close();
  await ended;
  await expect(scrubber.pass()).rejects.toMatchObject({ code: "ERR_SCRUBBER_CLOSED" });
});

it("publishes each divergence", async () => {
  const heard: unknown[] = [];
  const listen = (message: unknown): void => void heard.push(message);
  subscribe("evenkeel:scrubber:divergence", listen);
  const { a, scrubber } = trio({ k: "v" });
  a.store.delete(bytes("k"));
  await scrubber.pass();
  unsubscribe("evenkeel:scrubber:divergence", listen);
  expect(heard).toMatchObject([{ replica: "a", kind: "missing" }]);
});

it("publishes each range that cannot be read", async () => {
  const heard: unknown[] = [];
  const listen = (message: unknown): void => void heard.push(message);
  subscribe("evenkeel:scrubber:unreadable", listen);
  const { a, b } = trio({ k: "v" });
  const rotten = async () => Promise.reject(new Error("page 17"));
  const broken = spoiled(b, () => ({
    digests: rotten,
    entries: () => {
      throw new Error("page 17");
    },
  }));
  const scrubber = new Scrubber({ replicas: [a, broken], position: () => 1 });
  await scrubber.pass();
  unsubscribe("evenkeel:scrubber:unreadable", listen);
  expect(heard).toMatchObject([{ replica: "b", where: "tree", cause: { message: "page 17" } }]);
  expect(scrubber.stats()).toMatchObject({ passes: 1, divergences: 0, unreadable: 1 });
});

it("closes every snapshot that it opened, also when the pass fails", async () => {
  let open = 0;
  const counted = (name: string) => {
    const source = replica(name, { k: "v" });
    return {
      name,
      snapshot: async (at: number) => {
        const snapshot = await source.snapshot(at);
        open++;
        return { ...snapshot, close: async () => void open-- };
      },
    };
  };
  const scrubber = new Scrubber({
    replicas: [counted("a"), counted("b")],
    position: () => 1,
    take: () => Promise.reject(new Error("the bucket is closed")),
  });
  await expect(scrubber.pass()).rejects.toThrow("the bucket is closed");
  expect(open).toBe(0);
});

it("refuses bad arguments by name", () => {
  const [a, b] = [replica("a", {}), replica("b", {})];
  const position = () => 1;
  expect(() => new Scrubber({ replicas: [a], position })).toThrow(/replicas must be two sources or more.*got 1/);
  expect(() => new Scrubber({ replicas: [a, replica("a", {})], position })).toThrow(/different names/);
  expect(() => new Scrubber({ replicas: [a, b], position, stepBytes: 0 })).toThrow(/stepBytes .*got 0/);
  expect(() => new Scrubber({ replicas: [a, b], position, fanout: 1.5 })).toThrow(/fanout .*got 1.5/);
});
