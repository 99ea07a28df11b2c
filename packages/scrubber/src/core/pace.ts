export interface PaceOptions {
  /** A round over everything is meant to be done in this time. */
  readonly roundMs: number;
  /** The pace while nobody knows yet how much there is. */
  readonly firstBytesPerSecond: number;
  /** The share of the time that may be spent on comparing. */
  readonly dutyMax: number;
  /** The longest pause between two steps for the sake of the foreground: then one step is made all the same. */
  readonly yieldMsMax: number;
}

/** The share of the period for which a round is planned; the rest is slack for pauses, restarts and what has grown. */
const PLANNED_SHARE = 0.8;
const LAG_FACTOR = 20;

/**
 * How long to wait before the next step. Constant work: what a round has left, spread over the time that it has left, whatever the load is.
 * A round that is late goes faster; one that is early does not go slower than planned, so that the slack stays at the end.
 */
export class Pace {
  readonly #options: PaceOptions;
  #startedMs: number;
  #expectedBytes: number | undefined;
  #bytes = 0;

  constructor(options: PaceOptions, nowMs: number, expectedBytes?: number) {
    this.#options = options;
    this.#startedMs = nowMs;
    this.#expectedBytes = expectedBytes;
  }

  /** Bytes of this round so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that a round has, as far as is known: 0 for nothing known. */
  get expectedBytes(): number {
    return this.#expectedBytes ?? 0;
  }

  /** Of this round, 0 to 1; undefined while nobody knows how much there is. */
  get progress(): number | undefined {
    if (this.#expectedBytes === undefined) return undefined;
    return this.#expectedBytes === 0 ? 1 : Math.min(1, this.#bytes / this.#expectedBytes);
  }

  /** A new round: as much is expected as the one before had. */
  begin(nowMs: number): void {
    if (this.#bytes > 0) this.#expectedBytes = this.#bytes;
    this.#bytes = 0;
    this.#startedMs = nowMs;
  }

  /** When the round after this one may begin. */
  get endsMs(): number {
    return this.#startedMs + this.#options.roundMs;
  }

  done(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Milliseconds to wait when a step of so many bytes is done: what there was in it is known then. `busy`: how busy the foreground is, 0 to 1. `lagMs`: by how much the last pause was longer
   * than asked for, which is how late everybody else's timers are too. `workMs`: how long the last step took.
   */
  waitMs(
    bytes: number,
    nowMs: number,
    { busy, lagMs, workMs }: { busy: number; lagMs: number; workMs: number },
  ): number {
    const { dutyMax, yieldMsMax } = this.#options;
    const rate = this.bytesPerSecond(nowMs);
    // What has grown beyond what was expected must not stretch the round.
    const leftMs = Math.max(0, this.#startedMs + this.#options.roundMs * PLANNED_SHARE - nowMs);
    const planned = Math.min(
      (bytes / rate) * 1000,
      this.#expectedBytes === undefined ? Number.POSITIVE_INFINITY : leftMs,
    );
    const atLeast = Math.min(yieldMsMax, workMs * (1 / dutyMax - 1));
    const yielding = Math.min(yieldMsMax, Math.max(busy * busy * yieldMsMax, lagMs * LAG_FACTOR));
    return Math.max(planned, atLeast, yielding);
  }

  /** The pace that the plan asks for now. Infinity when the round is late. */
  bytesPerSecond(nowMs: number): number {
    const { roundMs, firstBytesPerSecond } = this.#options;
    if (this.#expectedBytes === undefined) return firstBytesPerSecond;
    const leftMs = this.#startedMs + roundMs * PLANNED_SHARE - nowMs;
    const leftBytes = Math.max(0, this.#expectedBytes - this.#bytes);
    const steady = (this.#expectedBytes / (roundMs * PLANNED_SHARE)) * 1000;
    if (leftMs <= 0) return Number.POSITIVE_INFINITY;
    return Math.max(steady, (leftBytes / leftMs) * 1000, 1);
  }
}
