import { channel } from "node:diagnostics_channel";
import { checksum } from "./checksum.js";
import {
  badArgument,
  checkedFunction,
  checkedInteger,
  checkedName,
  checkedState,
  checkOptions,
  ScrubberError,
} from "./core/errors.js";
import type { Divergence, PassReport } from "./core/finding.js";
import { History } from "./core/history.js";
import { decodeHistory, encodeHistory } from "./core/history-state.js";
import { comparePass, joined, type PassOptions, type StepDone } from "./core/pass.js";
import { type Audit, type Repairer, type RepairResult, repairAll } from "./core/repair.js";
import type { Position, ReplicaSource } from "./core/source.js";
import { ANSWER_TIMEOUT_MS, patientSource } from "./patient-source.js";

export interface ScrubberOptions {
  /** The live copies: two or more, with names of their own. */
  readonly replicas: readonly ReplicaSource[];
  /** A copy built by other means, whose word is worth more than one replica's. */
  readonly reference?: ReplicaSource;
  /** A position that every source can answer at, or will shortly: for a log's replicas, one that is chosen and applied. */
  readonly position: () => Promise<Position> | Position;
  /**
   * Asked after each step of a pass whose position was not given: true has it go on at a new `position`. For sources to which an old one is dear: what was deleted since then stays
   * on a disk as long. Each key is compared at one position in any case; `at` of the report is the first one. Default: never.
   */
  readonly isStale?: (at: Position) => Promise<boolean> | boolean;
  /**
   * The pace: waits until this many more bytes may be read of each source. A token bucket's `take` fits. Without it a pass runs as fast
   * as it can.
   */
  readonly take?: (bytes: number) => Promise<void> | void;
  /** Bytes compared in one step, and the longest piece of work without a pause. 1 MiB by default. */
  readonly stepBytes?: number;
  /** Parts into which a differing range is cut. 16 by default. */
  readonly fanout?: number;
  /** Ranges of at most so many keys are read out and compared key by key. 16 by default. */
  readonly leafKeysMax?: number;
  /** Findings in one pass; what differs beyond is reported as ranges. 10,000 by default. */
  readonly findingsMax?: number;
  /** A source that has not answered a call for so many milliseconds is `absent: unreachable` for the rest of the pass. 600,000 by default. */
  readonly answerTimeoutMs?: number;
  /** Where to keep what passes have seen, so that `since` goes back beyond this process. A `save` that rejects fails its pass. */
  readonly state?: SavedText;
}

const optionNames: Record<keyof ScrubberOptions, 0> = {
  replicas: 0,
  reference: 0,
  position: 0,
  isStale: 0,
  take: 0,
  stepBytes: 0,
  fanout: 0,
  leafKeysMax: 0,
  findingsMax: 0,
  answerTimeoutMs: 0,
  state: 0,
};

/** Keeps a text from one process to the next: a file, a key. */
export interface SavedText {
  load(): Promise<string | undefined>;
  save(text: string): Promise<void>;
}

export interface PassRunOptions {
  /** Instead of asking `position`. */
  readonly at?: Position;
  /**
   * Compares the digests that sources keep along with their writes (`MerkleIndex`) instead of reading everything: an exchange of 32 bytes when all
   * agree. Finds what was written differently; not what has rotted since, for which everything has to be read. False by default.
   */
  readonly kept?: boolean;
  /** Begins at this key, where a pass was interrupted (`onStep`); what is below it is not compared. */
  readonly from?: Uint8Array;
  /** Instead of the scrubber's own. */
  readonly take?: (bytes: number) => Promise<void> | void;
  /** After each step, awaited. Not called for the rest of a pass that cannot go on. */
  readonly onStep?: (step: StepDone) => Promise<void> | void;
  /** Ends the pass, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

const passNames: Record<keyof PassRunOptions, 0> = { at: 0, kept: 0, from: 0, take: 0, onStep: 0, signal: 0 };

export interface ScrubberStats {
  readonly passes: number;
  readonly running: boolean;
  /** Of the running pass: how far it is. */
  readonly through: Uint8Array | undefined;
  readonly bytesCompared: number;
  readonly divergences: number;
  readonly unreadable: number;
  readonly repaired: number;
}

const divergenceChannel = channel("evenkeel:scrubber:divergence");
const unreadableChannel = channel("evenkeel:scrubber:unreadable");

/**
 * Compares replicas with one another and with a reference, names what is wrong, and repairs it when asked.
 *
 * "Continuous verification of data at rest" is, in the words of DynamoDB's builders, the most reliable protection against hardware
 * faults, silent corruption and bugs.
 */
export class Scrubber {
  readonly #options: Required<Omit<ScrubberOptions, "reference" | "state" | "isStale">> & {
    readonly reference: ReplicaSource | undefined;
    readonly isStale: ScrubberOptions["isStale"];
    readonly state: SavedText | undefined;
  };
  readonly #history = new History();
  readonly #closing = new AbortController();
  #running: Promise<unknown> | undefined;
  #recalled = false;
  #stats: ScrubberStats = {
    passes: 0,
    running: false,
    through: undefined,
    bytesCompared: 0,
    divergences: 0,
    unreadable: 0,
    repaired: 0,
  };

  /** @throws ScrubberError ERR_SCRUBBER_ARGUMENT */
  constructor(options: ScrubberOptions) {
    const {
      replicas,
      reference,
      position,
      isStale,
      take = () => {},
      stepBytes = 1024 * 1024,
      fanout = 16,
      leafKeysMax = 16,
      findingsMax = 10_000,
      answerTimeoutMs = ANSWER_TIMEOUT_MS,
      state,
    } = checkOptions("Scrubber", options, optionNames);
    if (!Array.isArray(replicas)) throw badArgument("replicas", "an array of sources", replicas);
    const names = replicas.map((source) => nameOf("replicas", source));
    if (reference !== undefined) names.push(nameOf("reference", reference));
    if (names.length < 2) throw badArgument("replicas", "two sources or more, the reference counted", names.length);
    if (new Set(names).size < names.length)
      throw badArgument("replicas", "sources with different names", names.join(", "));
    if (typeof position !== "function") throw badArgument("position", "a function", position);
    checkedFunction("take", take);
    checkedFunction("isStale", isStale);
    checkedState(state);
    checkedInteger("stepBytes", stepBytes, 1);
    checkedInteger("fanout", fanout, 2);
    checkedInteger("leafKeysMax", leafKeysMax, 1);
    checkedInteger("findingsMax", findingsMax, 1);
    checkedInteger("answerTimeoutMs", answerTimeoutMs, 1);
    this.#options = {
      replicas,
      reference,
      position,
      isStale,
      take,
      stepBytes,
      fanout,
      leafKeysMax,
      findingsMax,
      answerTimeoutMs,
      state,
    };
  }

  /** One full comparison. Rejects with ERR_SCRUBBER_BUSY while another runs, and with the signal's reason when aborted. */
  async pass(options: PassRunOptions = {}): Promise<PassReport> {
    const { at, kept = false, from, take, onStep, signal } = checkOptions("pass", options, passNames);
    return this.#alone(async () => {
      await this.#recall();
      const report = await this.#compare({
        at,
        from,
        kept,
        take: take ?? this.#options.take,
        signal: this.#signal(signal),
        onStep: async (step) => {
          const { through, bytes } = step;
          this.#stats = { ...this.#stats, through, bytesCompared: this.#stats.bytesCompared + bytes };
          await onStep?.(step);
        },
      });
      this.#history.end(report, from !== undefined);
      await this.#options.state?.save(encodeHistory(this.#history.saved(), checksum));
      this.#stats = {
        ...this.#stats,
        passes: this.#stats.passes + 1,
        divergences: this.#stats.divergences + report.divergences.length,
        unreadable: this.#stats.unreadable + report.unreadable.length,
      };
      for (const divergence of report.divergences) divergenceChannel.publish(divergence);
      for (const unreadable of report.unreadable) unreadableChannel.publish(unreadable);
      return report;
    });
  }

  /** Part by part, each at a position of its own. */
  async #compare({
    at: given,
    ...options
  }: Pick<PassOptions, "from" | "kept" | "take" | "signal" | "onStep"> & {
    readonly at: Position | undefined;
  }): Promise<PassReport> {
    const { position, isStale, findingsMax } = this.#options;
    let whole: PassReport | undefined;
    let { from } = options;
    do {
      const at: Position = given ?? (await position());
      this.#history.begin(at, options.kept);
      const found = whole === undefined ? 0 : whole.divergences.length + whole.unreadable.length;
      const { report, next } = await comparePass({
        ...this.#options,
        ...options,
        ...this.#sources(options.signal),
        at,
        from,
        findingsMax: findingsMax - found,
        history: this.#history,
        isEnough: given === undefined && isStale !== undefined ? () => isStale(at) : undefined,
      });
      whole = whole === undefined ? report : joined(whole, report);
      from = next;
    } while (from !== undefined);
    return whole;
  }

  /**
   * Repairs what a pass found: each key is looked at anew, judged anew (the reference first, else the majority), handed to `repairer`, and
   * looked at again. Nothing is repaired where no two sources agree. With `audit`, each order and what came of it is written down; when that
   * fails before the order, the key is left as it is.
   */
  async repair(
    divergences: readonly Divergence[],
    repairer: Repairer,
    options: { readonly signal?: AbortSignal | undefined; readonly audit?: Audit } = {},
  ): Promise<readonly RepairResult[]> {
    const { signal, audit } = checkOptions("repair", options, { signal: 0, audit: 0 });
    return this.#alone(async () => {
      const until = this.#signal(signal);
      const { position } = this.#options;
      const results = await repairAll(divergences, {
        ...this.#sources(until),
        position,
        repairer,
        audit,
        signal: until,
      });
      const repaired = results.filter((result) => result.outcome === "repaired").length;
      this.#stats = { ...this.#stats, repaired: this.#stats.repaired + repaired };
      return results;
    });
  }

  stats(): ScrubberStats {
    return { ...this.#stats, running: this.#running !== undefined };
  }

  /** Stops what runs, after the step that it is at; a source that does not answer gets five seconds more. */
  async close(): Promise<void> {
    this.#closing.abort(new ScrubberError("ERR_SCRUBBER_CLOSED", "the scrubber was closed"));
    await this.#running?.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What earlier processes have seen; once. */
  async #recall(): Promise<void> {
    if (this.#recalled) return;
    const text = await this.#options.state?.load();
    const saved = text === undefined ? undefined : decodeHistory(text, checksum);
    if (saved !== undefined) this.#history.recall(saved);
    this.#recalled = true;
  }

  /** Of one pass or repair: none is waited for for ever. */
  #sources(signal: AbortSignal | undefined): Pick<PassOptions, "replicas" | "reference"> {
    const { replicas, reference, answerTimeoutMs } = this.#options;
    const patient = (source: ReplicaSource) => patientSource(source, answerTimeoutMs, signal);
    return { replicas: replicas.map(patient), reference: reference && patient(reference) };
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running !== undefined) {
      throw new ScrubberError(
        "ERR_SCRUBBER_BUSY",
        "a pass or a repair is running; wait for it, or use another Scrubber",
      );
    }
    this.#closing.signal.throwIfAborted();
    const running = work();
    this.#running = running;
    try {
      return await running;
    } finally {
      this.#running = undefined;
    }
  }
}

function nameOf(argument: string, source: ReplicaSource): string {
  if (typeof source?.snapshot !== "function")
    throw badArgument(argument, "sources, with a name and snapshot()", source);
  return checkedName(`${argument}: name`, source.name);
}
