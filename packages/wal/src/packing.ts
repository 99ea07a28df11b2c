import type { StreamTable } from "./core/stream-table.js";

/** Looked at in one go: about a millisecond. */
const atOnceMax = 1000;
const betweenMs = 10;
/** So many may always wait for as long as they are told to; where there are more than there is room for it is a second at most. */
const roomMin = 1000;
/** Some 9 MB of streams. */
const roomMax = 17 * 1024;
const crowdedAfterMs = 1000;
/** What of the surplus is given up after a round in which nobody was woken. */
const surplusShare = 1 / 64;

/**
 * Puts to rest who has not been used for a while. Nobody is looked at while nobody is in use; a log of a million quiet streams has no timer. What a
 * busy log's thousands of streams take is a few looks a second. Where thousands are used in turn, each every few seconds, they would be packed only to be woken again: so each that is woken makes room
 * for one more, and room for which nobody comes back is given up by and by.
 */
export class Packing {
  readonly #table: StreamTable;
  readonly #afterMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** The timer is set to when few streams are looked at. */
  #patient = false;
  /** Left of this round. */
  #left = 0;
  #room = roomMin;
  /** How many had been woken when this round began. */
  #wokenBefore: number;
  #stopped = false;

  constructor(table: StreamTable, afterMs: number) {
    this.#table = table;
    this.#afterMs = afterMs;
    this.#wokenBefore = table.woken;
  }

  /** A stream may have come into use, or have become quiet. */
  consider(): void {
    if (this.#afterMs === 0) this.#table.rest(this.#table.awake, false);
    else if (this.#table.awake > this.#room) this.#soon();
    else if (this.#timer === undefined && this.#table.awake > 0 && !this.#stopped) {
      this.#patient = true;
      this.#in(this.#afterMs);
    }
  }

  #soon(): void {
    if (this.#stopped || (this.#timer !== undefined && !this.#patient)) return;
    clearTimeout(this.#timer);
    this.#patient = false;
    this.#in(Math.min(this.#afterMs, crowdedAfterMs));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #begin(): void {
    this.#left = this.#table.awake;
    const woken = this.#table.woken - this.#wokenBefore;
    this.#wokenBefore = this.#table.woken;
    if (woken > 0) this.#room = Math.min(roomMax, this.#room + woken);
    else this.#room -= Math.ceil((this.#room - roomMin) * surplusShare);
  }

  #in(ms: number): void {
    this.#timer = setTimeout(() => this.#some(), ms);
    this.#timer.unref();
  }

  #some(): void {
    this.#timer = undefined;
    this.#patient = false;
    if (this.#left === 0) this.#begin();
    const count = Math.min(atOnceMax, this.#left);
    this.#table.rest(count);
    this.#left -= count;
    if (this.#left > 0) this.#in(betweenMs);
    else this.consider();
  }
}
