import { turn } from "./turn.js";

/** So much is read at a time: requests that come meanwhile wait no longer than that takes. */
export const SLICE_BYTES = 32 * 1024;
/** The same where what is read are many small things, each of which costs something whatever its size. */
const SLICE_MS = 0.25;
/** Pauses are so many times as long as what was done before them, on average, unless somebody says otherwise. */
const PAUSES = 7;
/** What a timer can do. */
const PAUSE_MS_MIN = 1;
/** However busy the machine is, and however long a slice took for that: others have what the kernel gives them then, and what is to be done in a period has to be done. */
const PAUSE_MS_MAX = 10;

/** Somebody else's turn after each slice, in whatever form. */
export interface Pace {
  /** Notes that so much more was read. True: the slice is over. */
  isOver(bytes: number): boolean;
  pause(): Promise<void>;
}

const TURN_BYTES = 64 * 1024;

/** Slices of so many bytes, however long they take. */
export function slicesOf(bytesMax: number, pause: () => Promise<void>): Pace {
  let read = 0;
  return {
    isOver(bytes) {
      read += bytes;
      return read >= bytesMax;
    },
    async pause() {
      read = 0;
      await pause();
    },
  };
}

/** For what somebody waits for: others have their turn, and that is all. */
export const inTurns = (): Pace => slicesOf(TURN_BYTES, turn);

export interface GentlePaceOptions {
  readonly pauses?: number;
  /** How many times as long as usual a slice is. */
  readonly slices?: number;
  /** No faster than that, in slices that come at even distances. */
  readonly bytesPerSecondMax?: number;
  readonly nowMs?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** 0 to 1. */
  readonly random?: () => number;
}

/**
 * For work that nobody waits for, on a thread that others wait for: a slice of it that is too short to be noticed, then a pause in which the process has nothing of it to do. A turn of the event loop
 * between two slices, and no pause, would let whoever is there already go first; but until the last slice a core is taken, by each process that works at the same order at the same moment, and on a machine
 * of few cores that is what is noticed. Where the machine is busy slices take longer, and with them the pauses. They differ by chance, so that those who began together do not stay together.
 */
export class GentlePace implements Pace {
  readonly #nowMs: () => number;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #random: () => number;
  readonly #pauses: number;
  readonly #slices: number;
  readonly #bytesPerMsMax: number;
  #resumedAtMs = 0;
  #bytes = 0;

  constructor(options: GentlePaceOptions = {}) {
    const { pauses = PAUSES, slices = 1, bytesPerSecondMax = Number.POSITIVE_INFINITY, nowMs, sleep, random } = options;
    this.#pauses = pauses;
    this.#slices = slices;
    this.#bytesPerMsMax = bytesPerSecondMax / 1000;
    this.#nowMs = nowMs ?? (() => performance.now());
    this.#sleep = sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#random = random ?? Math.random;
    this.resume();
  }

  /** A slice begins now: for who had something else to wait for. */
  resume(): void {
    this.#bytes = 0;
    this.#resumedAtMs = this.#nowMs();
  }

  isOver(bytes: number): boolean {
    this.#bytes += bytes;
    const [bytesMax, msMax] = [SLICE_BYTES * this.#slices, SLICE_MS * this.#slices];
    return this.#bytes >= bytesMax || this.#nowMs() - this.#resumedAtMs >= msMax;
  }

  async pause(): Promise<void> {
    const tookMs = this.#nowMs() - this.#resumedAtMs;
    const pauseMs = tookMs * this.#pauses * (0.5 + this.#random());
    const gentleMs = Math.min(Math.max(PAUSE_MS_MIN, Math.ceil(pauseMs)), PAUSE_MS_MAX);
    await this.#sleep(Math.max(gentleMs, Math.ceil(this.#bytes / this.#bytesPerMsMax - tookMs)));
    this.resume();
  }
}
