import { BALLOT_ZERO, type Ballot, sameBallot } from "./ballot.js";
import { broken, invariant } from "./errors.js";
import type { Entry } from "./types.js";

/** What an entry weighs beside its command. */
export const entryBytes = 32;

/** What an entry weighs in every byte bound: its command and a fixed share for the rest. */
export function weightOf(entry: Entry): number {
  return entry.command.length + entryBytes;
}

/** An entry that does nothing but take its slot. */
export function noopEntry(slot: number, ballot: Ballot): Entry {
  return { slot, ballot, kind: "noop", command: new Uint8Array(0) };
}

/**
 * The part of the log that is in memory: contiguous slots from `firstSlot` to `end`. Appends at the end, is cut back
 * from the end by a new leader, and gives up its oldest (chosen) entries once they weigh more than the tail bound.
 * Every operation costs what it touches, never the length of the log.
 */
export class Log {
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #firstSlot: number;
  #bytes = 0;
  /** Ballot of the slot below `firstSlot`, so that the log's edge can be compared after its entry is gone. */
  #ballotBelow: Ballot = BALLOT_ZERO;

  /** `below`: the slots through it are not in memory; `ballotBelow`: of the last of them, where it is known. */
  constructor(below: number, entries: readonly Entry[], ballotBelow: Ballot = BALLOT_ZERO) {
    this.#firstSlot = (entries[0]?.slot ?? below + 1) as number;
    if (this.#firstSlot === below + 1) this.#ballotBelow = ballotBelow;
    this.append(entries, 0);
  }

  /** Forgets everything: the log begins behind `below`. */
  reset(below: number, ballotBelow: Ballot): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#firstSlot = below + 1;
    this.#ballotBelow = ballotBelow;
  }

  /** Oldest slot in memory; end + 1 when there is none. */
  get firstSlot(): number {
    return this.#firstSlot;
  }

  /** Last slot of the log. */
  get end(): number {
    return this.#firstSlot + this.#entries.length - this.#head - 1;
  }

  get bytes(): number {
    return this.#bytes;
  }

  at(slot: number): Entry | undefined {
    return slot < this.#firstSlot ? undefined : this.#entries[this.#head + slot - this.#firstSlot];
  }

  /** Undefined where it is not known (older than memory, or beyond the end). */
  ballotAt(slot: number): Ballot | undefined {
    if (slot !== this.#firstSlot - 1) return this.at(slot)?.ballot;
    return this.#ballotBelow.round === 0 ? undefined : this.#ballotBelow;
  }

  /** Whether this log has the very entry `ballot` at `slot`, and therefore the same log up to there. */
  matches(slot: number, ballot: Ballot): boolean {
    const mine = this.ballotAt(slot);
    return mine !== undefined && sameBallot(mine, ballot);
  }

  /** First slot after `prevSlot` at which this log and `entries`, which follow on it, do not hold the same; one past the last of them when none. */
  firstDifference(prevSlot: number, entries: readonly Entry[], knownChosen: number): number {
    const end = prevSlot + entries.length;
    // Below our memory everything is chosen, and so the same as any chosen entry.
    let slot = Math.max(prevSlot + 1, Math.min(this.#firstSlot, knownChosen + 1));
    while (slot <= end && this.matches(slot, (entries[slot - prevSlot - 1] as Entry).ballot)) slot++;
    return slot;
  }

  append(entries: readonly Entry[], from: number): void {
    for (let i = from; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      if (entry.slot !== this.end + 1) throw broken(`slot ${entry.slot} appended after ${this.end}`);
      this.#entries.push(entry);
      this.#bytes += weightOf(entry);
    }
  }

  truncateFrom(slot: number): void {
    invariant(slot >= this.#firstSlot, `truncation from ${slot}, below the first slot in memory ${this.#firstSlot}`);
    for (let s = this.end; s >= slot; s--) this.#bytes -= weightOf(this.#entries.pop() as Entry);
  }

  /** Slots from `from` through `through`, as many as weigh at most `bytesMax`, but at least one. */
  slice(from: number, through: number, bytesMax = Number.POSITIVE_INFINITY): Entry[] {
    const start = this.#head + from - this.#firstSlot;
    const stop = Math.min(this.#head + through - this.#firstSlot + 1, this.#entries.length);
    if (bytesMax === Number.POSITIVE_INFINITY) return this.#entries.slice(start, stop) as Entry[];
    let bytes = 0;
    let next = start;
    while (next < stop) {
      bytes += weightOf(this.#entries[next] as Entry);
      if (bytes > bytesMax && next > start) break;
      next++;
    }
    return this.#entries.slice(start, next) as Entry[];
  }

  /** Forgets the oldest entries through `slot` at most, while the log weighs more than `bytesMax`. */
  shed(slot: number, bytesMax: number): void {
    while (this.#bytes > bytesMax && this.#firstSlot <= slot) {
      const entry = this.#entries[this.#head] as Entry;
      this.#entries[this.#head++] = undefined;
      this.#bytes -= weightOf(entry);
      this.#ballotBelow = entry.ballot;
      this.#firstSlot++;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
