import { channel } from "node:diagnostics_channel";
import { setTimeout as delay } from "node:timers/promises";
import { checksum } from "./checksum.js";
import {
  badArgument,
  checkedFunction,
  checkedInteger,
  checkedState,
  checkOptions,
  ScrubberError,
} from "./core/errors.js";
import type { PassReport } from "./core/finding.js";
import { Pace } from "./core/pace.js";
import { decodeSchedule, encodeSchedule } from "./core/schedule-state.js";
import type { PassRunOptions, SavedText } from "./scrubber.js";

/** What is compared as one: a partition, a group, a table. A `Scrubber` is one, with a name. */
export interface ScrubUnit {
  readonly name: string;
  pass(options: PassRunOptions): Promise<PassReport>;
}

export interface ScrubScheduleOptions {
  /** What there is to compare; asked before every pass, so that units may come and go. */
  readonly units: () => Promise<readonly ScrubUnit[]> | readonly ScrubUnit[];
  /** Everything is compared once in this time. */
  readonly fullPassEveryMs: number;
  /** A bound on the bytes that may be read, shared with whoever else; `take` of a `TokenBucket` fits. What is larger than its capacity is asked for in parts. */
  readonly bucket?: {
    take(bytes: number, options: { readonly signal: AbortSignal }): Promise<void> | void;
    readonly capacity?: number;
  };
  /** How busy the foreground is, 0 to 1. The schedule sees late timers by itself. */
  readonly busy?: () => number;
  /** Where the progress of the round is kept, so that a restart goes on in the middle of it. */
  readonly state?: SavedText;
  /** Told of each pass, and awaited before the next one. What it throws counts as the pass having failed. */
  readonly onReport?: (unit: string, report: PassReport) => Promise<void> | void;
  /** Of a pass that failed altogether; the unit is tried again when its turn comes. */
  readonly onError?: (unit: string | undefined, error: unknown) => void;
  /** The pace of the first round, when nobody knows how much there is. 16 MiB/s by default. */
  readonly firstBytesPerSecond?: number;
  /** The share of its time that the schedule may spend on comparing, whatever the pace. 0.25 by default. */
  readonly dutyMax?: number;
  /** The longest pause for the sake of the foreground. 1,000 by default. */
  readonly yieldMsMax?: number;
  /** Between two saves of `state` within a pass, in milliseconds. 5,000 by default; 0 is after each step. */
  readonly saveEveryMs?: number;
  /** Monotonic time and waiting, for tests. */
  readonly clock?: ScheduleClock;
}

const optionNames: Record<keyof ScrubScheduleOptions, 0> = {
  units: 0,
  fullPassEveryMs: 0,
  bucket: 0,
  busy: 0,
  state: 0,
  onReport: 0,
  onError: 0,
  firstBytesPerSecond: 0,
  dutyMax: 0,
  yieldMsMax: 0,
  saveEveryMs: 0,
  clock: 0,
};

export interface ScheduleClock {
  nowMs(): number;
  wallMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface ScrubScheduleStats {
  /** Passes over a unit, complete and with every source taking part. */
  readonly passes: number;
  /** Passes that could not compare everything, such as when a replica was behind. */
  readonly incomplete: number;
  readonly rounds: number;
  /** The unit that is being compared, and how far. */
  readonly unit: string | undefined;
  readonly through: Uint8Array | undefined;
  /** Of the running round, 0 to 1; undefined in the first one. */
  readonly progress: number | undefined;
  /** Milliseconds since the range that waits longest was last compared completely, or first seen. */
  readonly oldestMs: number;
  readonly bytes: number;
  /** Over the last ten to twenty seconds, or since the step before the last one where steps are further apart. */
  readonly bytesPerSecond: number;
  readonly divergences: number;
  readonly unreadable: number;
}

interface Unit {
  verifiedAtMs: number;
  /** Of the pass that was interrupted. */
  through: Uint8Array | undefined;
  startedAtMs: number | undefined;
}

const SAVE_EVERY_MS = 5_000;
const RATE_WINDOW_MS = 10_000;
const IDLE_MS_MAX = 1_000;
const passChannel = channel("evenkeel:scrubber:pass");

const realClock: ScheduleClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (ms, signal) => delay(ms, undefined, { signal, ref: false }),
};

/**
 * Constant work: every unit is compared once a period, one after another, evenly spread, whatever the load. It gives way to the foreground, but a step
 * is made at least every `yieldMsMax`; it goes on where it was after a restart. It finds and tells; it never repairs.
 */
export class ScrubSchedule {
  readonly #options: ScrubScheduleOptions;
  readonly #clock: ScheduleClock;
  readonly #closing = new AbortController();
  readonly #units = new Map<string, Unit>();
  #pace: Pace;
  #queue: string[] = [];
  #unit: string | undefined;
  #through: Uint8Array | undefined;
  #savedAtMs = 0;
  #lagMs = 0;
  /** Compared since the last pause. */
  #unpausedBytes = 0;
  /** When the step that runs began; undefined before the first one of a pass. */
  #workSinceMs: number | undefined;
  /** What was compared in this window, and in the one before it. */
  #rate = { beforeMs: 0, beforeBytes: 0, sinceMs: 0, bytes: 0 };
  #counts = { passes: 0, incomplete: 0, rounds: 0, bytes: 0, divergences: 0, unreadable: 0 };
  readonly #running: Promise<void>;

  constructor(options: ScrubScheduleOptions) {
    options = checkOptions("ScrubSchedule", options, optionNames);
    if (typeof options.units !== "function") throw badArgument("units", "a function", options.units);
    // Found out later, in the middle of a round, these would end the scrubbing.
    for (const name of ["onReport", "onError", "busy"] as const) checkedFunction(name, options[name]);
    const { bucket, state, clock = realClock } = options;
    if (bucket !== undefined && typeof bucket?.take !== "function")
      throw badArgument("bucket", "an object with take", bucket);
    checkedState(state);
    if (typeof clock?.nowMs !== "function") throw badArgument("clock", "a ScheduleClock", clock);
    checkedInteger("fullPassEveryMs", options.fullPassEveryMs, 1);
    const { dutyMax = 0.25, yieldMsMax = 1_000, firstBytesPerSecond = 16 * 1024 * 1024 } = options;
    if (typeof dutyMax !== "number" || !(dutyMax > 0 && dutyMax <= 1))
      throw badArgument("dutyMax", "more than 0 and at most 1", dutyMax);
    if (typeof yieldMsMax !== "number" || !(yieldMsMax >= 0)) throw badArgument("yieldMsMax", "0 or more", yieldMsMax);
    if (typeof firstBytesPerSecond !== "number" || !(firstBytesPerSecond > 0))
      throw badArgument("firstBytesPerSecond", "more than 0", firstBytesPerSecond);
    if (options.saveEveryMs !== undefined) checkedInteger("saveEveryMs", options.saveEveryMs, 0);
    this.#options = options;
    this.#clock = clock;
    const pace = { roundMs: options.fullPassEveryMs, firstBytesPerSecond, dutyMax, yieldMsMax };
    const now = this.#clock.nowMs();
    this.#pace = new Pace(pace, now);
    this.#rate = { beforeMs: now, beforeBytes: 0, sinceMs: now, bytes: 0 };
    this.#running = this.#run(pace).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#options.onError?.(undefined, error);
    });
  }

  stats(): ScrubScheduleStats {
    const now = this.#clock.nowMs();
    const { beforeMs, beforeBytes, bytes } = this.#rate;
    const oldest = Math.min(now, ...[...this.#units.values()].map((unit) => unit.verifiedAtMs));
    return {
      ...this.#counts,
      unit: this.#unit,
      through: this.#through,
      progress: this.#pace.progress,
      oldestMs: now - oldest,
      bytesPerSecond: ((beforeBytes + bytes) * 1000) / Math.max(1, now - beforeMs),
    };
  }

  /** Stops after the step that runs, and saves where it was. */
  async close(): Promise<void> {
    this.#closing.abort(new ScrubberError("ERR_SCRUBBER_CLOSED", "the schedule was closed"));
    await this.#running;
    await this.#save();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(pace: ConstructorParameters<typeof Pace>[0]): Promise<void> {
    const { signal } = this.#closing;
    await this.#load(pace);
    while (!signal.aborted) {
      const units = await this.#look();
      if (units === undefined) continue;
      const next = this.#queue.shift();
      const unit = units.find(({ name }) => name === next);
      if (unit !== undefined) await this.#pass(unit);
      else if (next === undefined) await this.#endRound();
    }
  }

  /** Between rounds: until the period is over. */
  async #endRound(): Promise<void> {
    const { signal } = this.#closing;
    if (this.#units.size > 0 && this.#pace.bytes > 0) this.#counts.rounds++;
    for (;;) {
      const leftMs = this.#pace.endsMs - this.#clock.nowMs();
      if (leftMs <= 0 || signal.aborted) break;
      await this.#sleep(Math.min(leftMs, IDLE_MS_MAX));
      await this.#look();
      // What is new need not wait for the next round.
      if (this.#queue.length > 0) return;
    }
    this.#pace.begin(this.#clock.nowMs());
    this.#queue = [...this.#units].sort(([, a], [, b]) => a.verifiedAtMs - b.verifiedAtMs).map(([name]) => name);
    if (this.#queue.length === 0) await this.#sleep(Math.min(this.#options.fullPassEveryMs, IDLE_MS_MAX));
  }

  /** Which units there are now; who is new gets in line. Undefined, after a while, where that is not known. */
  async #look(): Promise<readonly ScrubUnit[] | undefined> {
    let units: readonly ScrubUnit[] = [];
    try {
      units = await this.#options.units();
    } catch (error) {
      this.#options.onError?.(undefined, error);
      await this.#sleep(IDLE_MS_MAX);
      return undefined;
    }
    const present = new Set(units.map(({ name }) => name));
    for (const name of this.#units.keys()) if (!present.has(name)) this.#units.delete(name);
    this.#queue = this.#queue.filter((name) => present.has(name));
    for (const name of present) {
      if (this.#units.has(name)) continue;
      this.#units.set(name, { verifiedAtMs: this.#clock.nowMs(), through: undefined, startedAtMs: undefined });
      this.#queue.push(name);
    }
    return units;
  }

  async #pass(unit: ScrubUnit): Promise<void> {
    const { signal } = this.#closing;
    const state = this.#units.get(unit.name) as Unit;
    const from = state.through;
    state.startedAtMs ??= this.#clock.nowMs();
    this.#unit = unit.name;
    this.#workSinceMs = undefined;
    this.#through = from;
    try {
      const report = await unit.pass({
        signal,
        ...(from === undefined ? {} : { from }),
        take: (bytes) => this.#take(bytes),
        onStep: async ({ through, bytes, findings }) => {
          // What is found is told at the end of the pass: one that goes on after a restart has to come by it again.
          if (findings === 0) state.through = through;
          this.#through = through;
          this.#count(bytes);
          if (this.#clock.nowMs() - this.#savedAtMs >= (this.#options.saveEveryMs ?? SAVE_EVERY_MS)) await this.#save();
        },
      });
      this.#counts.divergences += report.divergences.length;
      this.#counts.unreadable += report.unreadable.length;
      if (report.complete && report.absent.length === 0) {
        this.#counts.passes++;
        state.verifiedAtMs = state.startedAtMs;
      } else this.#counts.incomplete++;
      if (report.complete) {
        state.through = undefined;
        state.startedAtMs = undefined;
      }
      passChannel.publish({ unit: unit.name, report });
      await this.#options.onReport?.(unit.name, report);
    } catch (error) {
      if (signal.aborted) return;
      this.#counts.incomplete++;
      this.#options.onError?.(unit.name, error);
      // One that fails at once must not turn this into a busy loop.
      await this.#sleep(Math.min(IDLE_MS_MAX, this.#options.fullPassEveryMs));
    } finally {
      this.#unit = undefined;
    }
    await this.#save();
  }

  async #take(bytes: number): Promise<void> {
    const { busy, bucket } = this.#options;
    const { signal } = this.#closing;
    const now = this.#clock.nowMs();
    const workMs = this.#workSinceMs === undefined ? 0 : Math.max(0, now - this.#workSinceMs);
    const load = Math.min(1, Math.max(0, busy?.() ?? 0));
    const compared = this.#unpausedBytes;
    this.#unpausedBytes = 0;
    await this.#sleep(this.#pace.waitMs(compared, now, { busy: load, lagMs: this.#lagMs, workMs }));
    if (bucket !== undefined) {
      const part = Math.max(1, bucket.capacity ?? bytes);
      for (let left = bytes; left > 0; left -= part) await bucket.take(Math.min(left, part), { signal });
    }
    this.#workSinceMs = this.#clock.nowMs();
  }

  async #sleep(ms: number): Promise<void> {
    const before = this.#clock.nowMs();
    const asked = Math.max(1, Math.ceil(ms));
    try {
      await this.#clock.sleep(asked, this.#closing.signal);
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
    }
    // A millisecond or two late is what timers are.
    this.#lagMs = Math.max(0, this.#clock.nowMs() - before - asked - 2);
  }

  #count(bytes: number): void {
    this.#pace.done(bytes);
    this.#unpausedBytes += bytes;
    this.#counts.bytes += bytes;
    const now = this.#clock.nowMs();
    this.#rate.bytes += bytes;
    const { sinceMs, bytes: beforeBytes } = this.#rate;
    if (now - sinceMs >= RATE_WINDOW_MS) this.#rate = { beforeMs: sinceMs, beforeBytes, sinceMs: now, bytes: 0 };
  }

  async #load(pace: ConstructorParameters<typeof Pace>[0]): Promise<void> {
    const text = await this.#options.state?.load();
    const saved = text === undefined ? undefined : decodeSchedule(text, checksum);
    if (saved === undefined) return;
    const [now, wall] = [this.#clock.nowMs(), this.#clock.wallMs()];
    // A wall clock that was set back makes nothing younger than now.
    const monotonic = (wallMs: number): number => now - Math.max(0, wall - wallMs);
    for (const { name, verifiedAtMs, through, startedAtMs } of saved.units) {
      this.#units.set(name, {
        verifiedAtMs: monotonic(verifiedAtMs),
        through,
        startedAtMs: startedAtMs === undefined ? undefined : monotonic(startedAtMs),
      });
    }
    this.#pace = new Pace(pace, now, saved.roundBytes > 0 ? saved.roundBytes : undefined);
    const interrupted = (name: string): number => (this.#units.get(name)?.through === undefined ? 1 : 0);
    this.#queue = [...this.#units]
      .sort(([x, a], [y, b]) => interrupted(x) - interrupted(y) || a.verifiedAtMs - b.verifiedAtMs)
      .map(([name]) => name);
  }

  async #save(): Promise<void> {
    const { state } = this.#options;
    if (state === undefined) return;
    const [now, wall] = [this.#clock.nowMs(), this.#clock.wallMs()];
    this.#savedAtMs = now;
    const wallOf = (ms: number): number => Math.round(wall - (now - ms));
    const units = [...this.#units].map(([name, { verifiedAtMs, through, startedAtMs }]) => ({
      name,
      verifiedAtMs: wallOf(verifiedAtMs),
      ...(through === undefined || startedAtMs === undefined ? {} : { through, startedAtMs: wallOf(startedAtMs) }),
    }));
    try {
      await state.save(encodeSchedule({ units, roundBytes: this.#pace.expectedBytes }, checksum));
    } catch (error) {
      // What cannot be saved costs a pass after the next restart, and nothing now.
      this.#options.onError?.(undefined, error);
    }
  }
}
