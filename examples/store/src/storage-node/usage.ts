import { hashOfKey } from "../api/keys.js";
import type { HashRange } from "../metadata/records.js";

/** Into so many ranges of hashes a partition is told apart when it is looked for where its use halves. */
const RANGES = 256;

export type Direction = "read" | "write";

export interface UsageLimits {
  /** Seconds that have to be as busy. */
  readonly seconds: number;
  /** Units a second, by the service's count. */
  readonly readUnits: number;
  readonly writeUnits: number;
}

/** This much of the limit is near it, and so many of the seconds have to be. */
const NEAR = 0.8;
const SUSTAINED = 0.9;
/** Of what a partition has to do in a second at most so much may stay with the busier part: else there is no use in splitting it. */
const BUSIER_PART_MAX = 0.7;

interface Second {
  readonly at: number;
  units: number;
  readonly byRange: Float32Array;
}

/**
 * What is spent at one replica of a partition, second by second and range by range, for as long as it is asked about. Nothing is kept of seconds that are far from any limit, and
 * nothing at all where none has been near one.
 */
export class Usage {
  readonly #range: HashRange;
  readonly #limits: UsageLimits;
  readonly #now: () => number;
  /** Of each direction: the last seconds that were near the limit, oldest first, and the one that runs. */
  readonly #seconds: Readonly<Record<Direction, Second[]>> = { read: [], write: [] };
  readonly #running: Record<Direction, Second>;

  /** @param now monotonic, in milliseconds */
  constructor(range: HashRange, limits: UsageLimits, now: () => number = () => performance.now()) {
    this.#range = range;
    this.#limits = limits;
    this.#now = now;
    const empty = (): Second => ({ at: -1, units: 0, byRange: new Float32Array(RANGES) });
    this.#running = { read: empty(), write: empty() };
  }

  /** So many units were spent on items whose keys begin with this hash. */
  spent(direction: Direction, key: Uint8Array, units: number): void {
    const at = Math.floor(this.#now() / 1_000);
    let second = this.#running[direction];
    if (second.at !== at) second = this.#next(direction, at);
    second.units += units;
    const hash = key.length < 4 ? 0 : hashOfKey(key);
    const { hashFrom, hashTo } = this.#range;
    const range = Math.floor(((hash - hashFrom) * RANGES) / (hashTo - hashFrom));
    const i = Math.min(Math.max(range, 0), RANGES - 1);
    second.byRange[i] = (second.byRange[i] as number) + units;
  }

  #next(direction: Direction, at: number): Second {
    const ended = this.#running[direction];
    const isNear = ended.units >= NEAR * this.#limit(direction);
    if (isNear) this.#seconds[direction].push(ended);
    this.#forget(direction, at);
    const byRange = isNear ? new Float32Array(RANGES) : ended.byRange.fill(0);
    this.#running[direction] = { at, units: 0, byRange };
    return this.#running[direction];
  }

  #forget(direction: Direction, at: number): void {
    const seconds = this.#seconds[direction];
    while ((seconds[0]?.at ?? at) < at - this.#limits.seconds) seconds.shift();
  }

  #limit(direction: Direction): number {
    return direction === "read" ? this.#limits.readUnits : this.#limits.writeUnits;
  }

  /**
   * The hash at which use is best split, where it has been near a limit for long and splitting helps: where in most seconds both parts would have had their share. What is
   * spent on one key, or goes through the keys one after another, is at any time on one side of any hash, and such a partition is left whole.
   */
  splitPoint(): number | undefined {
    return this.#splitPointOf("write") ?? this.#splitPointOf("read");
  }

  #splitPointOf(direction: Direction): number | undefined {
    this.#forget(direction, Math.floor(this.#now() / 1_000));
    const seconds = this.#seconds[direction];
    if (seconds.length < SUSTAINED * this.#limits.seconds) return undefined;
    const busier = new Float64Array(RANGES);
    let total = 0;
    for (const { units, byRange } of seconds) {
      total += units;
      let below = 0;
      for (let i = 1; i < RANGES; i++) {
        below += byRange[i - 1] as number;
        busier[i] = (busier[i] as number) + Math.max(below, units - below);
      }
    }
    let best = 1;
    for (let i = 2; i < RANGES; i++) if ((busier[i] as number) < (busier[best] as number)) best = i;
    if ((busier[best] as number) > BUSIER_PART_MAX * total) return undefined;
    const { hashFrom, hashTo } = this.#range;
    return hashFrom + Math.ceil((best * (hashTo - hashFrom)) / RANGES);
  }
}
