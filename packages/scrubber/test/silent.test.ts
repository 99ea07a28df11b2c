import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PairScrubber, type ReplicaSnapshot, type ReplicaSource, Scrubber } from "../src/index.js";
import { bytes, many, replica, spoiled, text } from "./support/sources.js";

const TIMEOUT_MS = 60_000;

// The timers of the scrubber alone: nothing else here waits for any.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** Lets time pass for as long as it takes. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  work.then(over, over);
  for (let waited = 0; !isOver; waited++) {
    if (waited === 20) throw new Error("is not over");
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS);
  }
  return await work;
}

/** `c` never answers one of these calls; `b` lacks a key, and `a` and `d` have it. */
function silent(call: "snapshot" | keyof ReplicaSnapshot) {
  const contents = many(300);
  const named = (name: string) => replica(name, contents);
  const [a, b, c, d] = [named("a"), named("b"), named("c"), named("d")];
  b.store.delete(bytes("00000150"));
  const state = { asked: 0, closed: 0, answer: () => {} };
  const never = () =>
    new Promise<never>((_, reject) => {
      state.asked++;
      state.answer = () => reject(new Error("after all"));
    });
  const entries = () => ({ [Symbol.asyncIterator]: () => ({ next: never }) });
  const hung: ReplicaSource =
    call === "snapshot"
      ? {
          name: "c",
          snapshot: (at) =>
            never().catch(async () => ({ ...(await c.snapshot(at)), close: async () => void state.closed++ })),
        }
      : spoiled(c, () => ({
          close: async () => void state.closed++,
          [call]: call === "entries" ? entries : never,
        }));
  const replicas = [hung, a, b, d];
  const scrubber = new Scrubber({ replicas, position: () => 1, stepBytes: 500, answerTimeoutMs: TIMEOUT_MS });
  return { state, scrubber, hung, b, c };
}

const gone = { replica: "c", why: "unreachable", cause: { code: "ERR_SCRUBBER_TIMEOUT" } };

it.each(["snapshot", "digests", "splits", "entries"] as const)(
  "a source that never answers %s is left out, asked once, and the others are compared to the end",
  async (call) => {
    const { scrubber, state } = silent(call);
    const report = await inTime(scrubber.pass());
    expect(report).toMatchObject({ complete: true, compared: ["a", "b", "d"], keys: 300, unreadable: [] });
    expect(report.absent).toMatchObject([gone]);
    expect(String((report.absent[0] as { cause: unknown }).cause)).toContain(
      `c has not answered (${call}) for 60000 ms`,
    );
    expect(report.divergences.map(({ key, replica: odd }) => [text(key), odd])).toEqual([["00000150", "b"]]);
    expect(state.asked).toBe(1);
  },
);

it("one that never says whether what is wrong there has rotted is left out from then on", async () => {
  const { scrubber, c, state } = silent("intact");
  c.store.delete(bytes("00000001"));
  const report = await inTime(scrubber.pass());
  expect(report).toMatchObject({ complete: true, absent: [gone] });
  expect(report.divergences).toMatchObject([{ replica: "c", cause: "unknown" }, { replica: "b" }]);
  expect(state.asked).toBe(1);
});

it("one that never closes holds up the end of the pass, and no more", async () => {
  const { scrubber, state } = silent("close");
  expect(await inTime(scrubber.pass())).toMatchObject({ complete: true, compared: ["c", "a", "b", "d"] });
  expect(state.asked).toBe(1);
});

it("a pass that is ended does not wait for it, nor does close", async () => {
  const { scrubber, state } = silent("digests");
  const reason = new Error("enough");
  const abort = new AbortController();
  const pass = scrubber.pass({ signal: abort.signal });
  const ended = expect(pass).rejects.toBe(reason);
  await vi.waitUntil(() => state.asked === 1);
  abort.abort(reason);
  await vi.advanceTimersByTimeAsync(5_000);
  await ended;

  const other = silent("snapshot");
  const refused = expect(other.scrubber.pass()).rejects.toMatchObject({ code: "ERR_SCRUBBER_CLOSED" });
  await vi.waitUntil(() => other.state.asked === 1);
  const closed = other.scrubber.close();
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all([closed, refused]);
});

it.each(["snapshot", "digests"] as const)("what it holds is closed when it answers %s after all", async (call) => {
  const { scrubber, state } = silent(call);
  await inTime(scrubber.pass());
  expect(state.closed).toBe(0);
  state.answer();
  await vi.waitUntil(() => state.closed === 1);
});

it("a repair waits for it once, not for each key", async () => {
  const { scrubber, state, b } = silent("entries");
  b.store.delete(bytes("00000151"));
  const { divergences } = await inTime(scrubber.pass());
  state.asked = 0;
  const results = await inTime(
    scrubber.repair(divergences, async ({ key, value }) => b.store.put(key, value as Uint8Array)),
  );
  expect(results.map(({ outcome }) => outcome)).toEqual(["repaired", "repaired"]);
  expect(state.asked).toBe(1);
});

it("of a pair nothing is said about what it did not answer", async () => {
  const { hung, b } = silent("entries");
  const side = (source: ReplicaSource) => ({ source, position: () => 1, appliedOfOther: () => 1 });
  const pair = new PairScrubber({ left: side(hung), right: side(b), answerTimeoutMs: TIMEOUT_MS });
  expect(await inTime(pair.pass())).toMatchObject({ complete: false, divergences: [], unreadable: [] });
});
