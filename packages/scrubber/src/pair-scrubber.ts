import { setTimeout as delay } from "node:timers/promises";
import { badArgument, checkedFunction, checkedInteger, checkOptions } from "./core/errors.js";
import { comparePair, type PairReport, type PairSide } from "./core/pair.js";
import { ANSWER_TIMEOUT_MS, patientSource } from "./patient-source.js";
import type { ScrubberOptions } from "./scrubber.js";

export interface PairScrubberOptions
  extends Pick<ScrubberOptions, "take" | "stepBytes" | "fanout" | "leafKeysMax" | "findingsMax" | "answerTimeoutMs"> {
  /** The two stores. One of them at least has to tell its watermark, `appliedOfOther`. */
  readonly left: PairSide;
  /** As `left`. */
  readonly right: PairSide;
  /** Looks at a key that differs before nothing is said about it (`unsettled`). 10 by default. */
  readonly looksMax?: number;
  /**
   * Looks in a row in which a key differs and neither side has changed, before it is damage. 2 by default: a value that was changed away and back between two
   * looks would need the same luck twice. With versions in the values, 1 is enough.
   */
  readonly confirmations?: number;
  /** How often watermarks are asked while they are waited for, in milliseconds, and how many times. 1,000 and 60 by default. */
  readonly waitMs?: number;
  /** See `waitMs`. */
  readonly waitsMax?: number;
}

const optionNames: Record<keyof PairScrubberOptions, 0> = {
  left: 0,
  right: 0,
  take: 0,
  stepBytes: 0,
  fanout: 0,
  leafKeysMax: 0,
  findingsMax: 0,
  answerTimeoutMs: 0,
  looksMax: 0,
  confirmations: 0,
  waitMs: 0,
  waitsMax: 0,
};

/**
 * Compares two stores that replicate asynchronously, such as the copies of a table in two regions, with writes going on at both. Watermarks keep what is
 * under way apart from what is damaged.
 */
export class PairScrubber {
  readonly #options: PairScrubberOptions;

  constructor(options: PairScrubberOptions) {
    options = checkOptions("PairScrubber", options, optionNames);
    for (const name of ["left", "right"] as const) {
      if (typeof options[name]?.position !== "function")
        throw badArgument(`${name}.position`, "a function", options[name]?.position);
      if (typeof options[name].source?.snapshot !== "function")
        throw badArgument(`${name}.source`, "a source, with a name and snapshot()", options[name].source);
    }
    if (options.left.appliedOfOther === undefined && options.right.appliedOfOther === undefined)
      throw badArgument(
        "appliedOfOther",
        "given on one side at least: without a watermark lag and damage look the same",
        undefined,
      );
    checkedFunction("take", options.take);
    for (const name of [
      "looksMax",
      "confirmations",
      "waitMs",
      "waitsMax",
      "stepBytes",
      "leafKeysMax",
      "findingsMax",
      "answerTimeoutMs",
    ] as const)
      if (options[name] !== undefined) checkedInteger(name, options[name], 1);
    if (options.fanout !== undefined) checkedInteger("fanout", options.fanout, 2);
    this.#options = options;
  }

  /** Compares everything once. `signal` ends it with its reason; nothing is changed on either side. */
  async pass(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<PairReport> {
    const { signal } = checkOptions("pass", options, { signal: 0 });
    const {
      left,
      right,
      take = () => {},
      stepBytes = 1024 * 1024,
      fanout = 16,
      leafKeysMax = 16,
      findingsMax = 10_000,
      looksMax = 10,
      confirmations = 2,
      waitMs = 1_000,
      waitsMax = 60,
      answerTimeoutMs = ANSWER_TIMEOUT_MS,
    } = this.#options;
    const patient = (side: PairSide): PairSide => ({
      source: patientSource(side.source, answerTimeoutMs, signal),
      position: side.position.bind(side),
      ...(side.appliedOfOther && { appliedOfOther: side.appliedOfOther.bind(side) }),
    });
    return comparePair({
      left: patient(left),
      right: patient(right),
      take,
      stepBytes,
      fanout,
      leafKeysMax,
      findingsMax,
      looksMax,
      confirmations,
      waitsMax,
      signal,
      wait: async () => delay(waitMs, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }),
    });
  }
}
