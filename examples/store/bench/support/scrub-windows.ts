import { setTimeout as delay } from "node:timers/promises";
import type { Scrubbing } from "../../src/scrub/scrubbing.js";
import { cpuOf, type Experiment, experiment, figuresOf, metrics } from "./experiment.js";
import { NEVER_MS, OwnStore } from "./own-store.js";
import { PausableClock } from "./pausable-clock.js";

/** Short, because what else the machine does comes and goes within seconds; and long enough for some of the scrubber's steps. */
const WINDOW_MS = 400;

export const scrubMetrics = {
  ...metrics,
  "scrubbed kB/s": { unit: "kB/s", better: "higher" },
  "processor time of the scrub": { unit: "% of one", better: "lower" },
  "windows in which it read": { unit: "%", better: "higher" },
} as const;

/** A store that is scrubbed, at the pace of a million items an hour, in some windows, and in which the scrubber stands still in the others. */
export class ScrubbedInWindows {
  readonly #items: number;
  readonly #periodMs: number;
  readonly #own: OwnStore;
  readonly #clock = new PausableClock();
  #scrubbing: Scrubbing | undefined;
  #rounds = 0;
  #measured: Promise<Record<string, number>> | undefined;

  constructor(items: number) {
    this.#items = items;
    this.#periodMs = 3.6 * this.#items;
    this.#own = new OwnStore({ items, scrubEveryMs: NEVER_MS });
  }

  readonly note = (seconds: number): string =>
    `replicas, logs and archive are compared and read in a third of all windows of ${WINDOW_MS} ms and stand still in the others, for ${seconds} s, in an order by lot; all turns show the same one experiment`;

  readonly open = async (): Promise<void> => {
    await this.#own.open();
    await this.#own.store.scrub.close();
    // How much there is is known after a first round; the next one has a plan.
    const scrub = this.#own.scrubbing(this.#periodMs, this.#clock);
    this.#scrubbing = scrub;
    while (scrub.stats().rounds === 0) await delay(100);
    await this.#clock.pause();
  };

  readonly close = async (): Promise<void> => {
    this.#clock.resume();
    await this.#scrubbing?.close();
    await this.#own.close();
  };

  /** One experiment, however often it is asked for. */
  measured(load: Experiment["load"], seconds: number): Promise<Record<string, number>> {
    this.#measured ??= this.#measure(load, seconds);
    return this.#measured;
  }

  async #measure(load: Experiment["load"], seconds: number): Promise<Record<string, number>> {
    const { windows, spans } = await experiment({
      loader: this.#own.loader,
      load,
      seconds,
      windowMs: WINDOW_MS,
      progress: () => this.#scrubbing?.stats().bytes ?? 0,
      during: async (windowMs) => {
        const { rounds } = (this.#scrubbing as Scrubbing).stats();
        // A round is over, and the slack behind it is no time in which anything is scrubbed.
        if (rounds > this.#rounds) this.#clock.skip(this.#periodMs);
        this.#rounds = rounds;
        this.#clock.resume();
        await delay(windowMs);
        // What is under way is brought to its end, and counts.
        await this.#clock.pause();
      },
    });
    const scrubbed = spans.filter(({ kind }) => kind === "with");
    const idle = spans.filter(({ kind, progress }) => kind !== "with" && progress > 0).length;
    if (idle > 0) throw new Error(`it was at work in ${idle} windows without it`);
    const sum = (of: (span: (typeof spans)[number]) => number) => scrubbed.reduce((total, span) => total + of(span), 0);
    return {
      ...figuresOf(windows),
      "scrubbed kB/s": sum(({ progress }) => progress) / sum(({ fromMs, toMs }) => toMs - fromMs),
      "processor time of the scrub": cpuOf(spans),
      "windows in which it read": (scrubbed.filter(({ progress }) => progress > 0).length / scrubbed.length) * 100,
    };
  }
}
