import { ScrubberError } from "./core/errors.js";
import type { Entry, KeptDigests, ReplicaSnapshot, ReplicaSource } from "./core/source.js";

export const ANSWER_TIMEOUT_MS = 600_000;

/** What is under way when a pass is ended gets so long to end: who closes a store afterwards should not close it under a reader. */
const GRACE_MS = 5_000;
/** The longest delay that `setTimeout` takes; a longer one would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/**
 * The same source, with a bound on each wait for it. Where it has not answered for `timeoutMs` (once the signal is aborted, for five seconds) it is gone for the rest of the
 * pass: that call and all later ones reject with ERR_SCRUBBER_TIMEOUT, and it is asked nothing more. A snapshot that it then still holds is closed when it answers after all.
 */
export function patientSource(
  source: ReplicaSource,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): ReplicaSource {
  const { name, kind } = source;
  let gone: ScrubberError | undefined;
  /** What it was asked last: a pass asks a source for one thing at a time. */
  let asked: Promise<unknown> = Promise.resolve();

  async function answer<T>(what: string, ask: () => Promise<T> | T): Promise<T> {
    if (gone !== undefined) throw gone;
    const answered = Promise.resolve(ask());
    asked = answered;
    return await new Promise<T>((resolve, reject) => {
      const giveUp = (when: string) => {
        gone = new ScrubberError("ERR_SCRUBBER_TIMEOUT", `${name} has not answered (${what}) ${when}`);
        reject(gone);
      };
      const wait = (ms: number, when: string) =>
        setTimeout(giveUp, Math.min(ms, timeoutMs, DELAY_MAX_MS), when).unref();
      let timer = wait(timeoutMs, `for ${timeoutMs} ms`);
      const hurry = () => {
        clearTimeout(timer);
        timer = wait(GRACE_MS, "and the pass was ended");
      };
      if (signal?.aborted) hurry();
      else signal?.addEventListener("abort", hurry, { once: true });
      const forget = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", hurry);
      };
      answered.finally(forget).then(resolve, reject);
    });
  }

  async function* eachOf(entries: AsyncIterable<Entry>): AsyncIterable<Entry> {
    const iterator = entries[Symbol.asyncIterator]();
    let isBetween = false;
    try {
      for (;;) {
        const next = await answer("entries", () => iterator.next());
        if (next.done === true) return;
        isBetween = true;
        yield next.value;
        isBetween = false;
      }
    } finally {
      if (isBetween) await answer("entries", () => iterator.return?.());
    }
  }

  function keptOf(kept: KeptDigests): KeptDigests {
    return {
      digests: (ranges) => answer("digests", () => kept.digests(ranges)),
      splits: (range, options) => answer("splits", () => kept.splits(range, options)),
      intact: (range) => answer("intact", () => kept.intact(range)),
    };
  }

  function snapshotOf(snapshot: ReplicaSnapshot): ReplicaSnapshot {
    const { digestsAsKept, intact, kept } = snapshot;
    return {
      digests: (ranges) => answer("digests", () => snapshot.digests(ranges)),
      splits: (range, options) => answer("splits", () => snapshot.splits(range, options)),
      entries(range) {
        const entries = snapshot.entries(range);
        return Symbol.iterator in entries ? entries : eachOf(entries);
      },
      ...(digestsAsKept && {
        digestsAsKept: (ranges) => answer("digests", () => digestsAsKept.call(snapshot, ranges)),
      }),
      ...(intact && { intact: (range) => answer("intact", () => intact.call(snapshot, range)) }),
      ...(kept && { kept: keptOf(kept) }),
      async close() {
        if (gone === undefined) return await answer("close", () => snapshot.close());
        void closeLater(() => snapshot);
      },
    };
  }

  /** When what it owes has come after all, if ever: not under a reader. */
  async function closeLater(held: (answer: unknown) => ReplicaSnapshot | undefined): Promise<void> {
    const answer = await asked.catch(() => undefined);
    try {
      await held(answer)?.close();
    } catch {
      // Nobody is left to tell.
    }
  }

  return {
    name,
    ...(kind && { kind }),
    async snapshot(at) {
      if (gone !== undefined) throw gone;
      try {
        return snapshotOf(await answer("snapshot", () => source.snapshot(at)));
      } catch (error) {
        if (error === gone) void closeLater((answer) => answer as ReplicaSnapshot | undefined);
        throw error;
      }
    },
  };
}
