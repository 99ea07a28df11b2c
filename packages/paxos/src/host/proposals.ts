import { type Ballot, sameBallot } from "../core/ballot.js";
import { PaxosError } from "../core/errors.js";

/** Of the promise that was made last. No closure for each: there are thousands of commands under way, and they live just long enough to be copied by the collector. */
const taken: { resolve: (result: never) => void; reject: (error: PaxosError) => void } = {
  resolve: () => {},
  reject: () => {},
};
const take = (resolve: (result: never) => void, reject: (error: PaxosError) => void) => {
  taken.resolve = resolve;
  taken.reject = reject;
};

/** A ring that has become longer is given up when it is empty: who has so many callers has them again at once, and a ring that begins anew is made anew ten times until all of them fit. */
const keptMax = 1024;

/** One command under way. Its promise may be left alone: only a failure that somebody awaits is anybody's business. */
export class Outstanding<R> {
  readonly slot: number;
  readonly ballot: Ballot;
  readonly bytes: number;
  readonly done: Promise<R>;
  readonly resolve: (result: R) => void;
  readonly #reject: (error: PaxosError) => void;

  constructor(slot: number, ballot: Ballot, bytes: number) {
    this.slot = slot;
    this.ballot = ballot;
    this.bytes = bytes;
    this.done = new Promise<R>(take);
    this.resolve = taken.resolve as (result: R) => void;
    this.#reject = taken.reject;
  }

  reject(error: PaxosError): void {
    this.done.catch(() => {});
    this.#reject(error);
  }
}

/** Commands that were submitted here and are not yet both chosen and applied, bounded in number and bytes. */
export class Proposals<R> {
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** In the order of their slots, which follow on one another: that of slot s in place s modulo the length, a power of two. */
  #ring: (Outstanding<R> | undefined)[] = [undefined];
  #count = 0;
  #bytes = 0;

  constructor({ countMax, bytesMax }: { countMax: number; bytesMax: number }) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  hasRoom(bytes: number): boolean {
    return this.#count < this.#countMax && this.#bytes + bytes <= this.#bytesMax;
  }

  add(slot: number, ballot: Ballot, bytes: number): Promise<R> {
    const outstanding = new Outstanding<R>(slot, ballot, bytes);
    for (let other = this.#at(slot); other !== undefined; other = this.#at(slot)) {
      if (other.slot === slot) throw new PaxosError("ERR_PAXOS_INVARIANT", `slot ${slot} is taken already`);
      this.#grow();
    }
    this.#ring[slot & (this.#ring.length - 1)] = outstanding;
    this.#count++;
    this.#bytes += bytes;
    return outstanding.done;
  }

  /** Takes out what was submitted for this slot, if anything was. */
  take(slot: number): Outstanding<R> | undefined {
    const outstanding = this.#at(slot);
    if (outstanding?.slot !== slot) return undefined;
    this.#ring[slot & (this.#ring.length - 1)] = undefined;
    this.#bytes -= outstanding.bytes;
    if (--this.#count === 0 && this.#ring.length > keptMax) this.#ring = [undefined];
    return outstanding;
  }

  expects(slot: number, ballot: Ballot): boolean {
    const outstanding = this.#at(slot);
    return outstanding?.slot === slot && sameBallot(outstanding.ballot, ballot);
  }

  rejectAll(error: PaxosError): void {
    const all = this.#ring.filter((outstanding) => outstanding !== undefined).sort((a, b) => a.slot - b.slot);
    this.#ring = [undefined];
    this.#count = this.#bytes = 0;
    for (const outstanding of all) outstanding.reject(error);
  }

  /** Who has the place of this slot: itself, or one as far away as the ring is long. */
  #at(slot: number): Outstanding<R> | undefined {
    return this.#ring[slot & (this.#ring.length - 1)];
  }

  #grow(): void {
    const all = this.#ring;
    this.#ring = new Array<Outstanding<R> | undefined>(2 * all.length).fill(undefined);
    for (const outstanding of all) {
      if (outstanding !== undefined) this.#ring[outstanding.slot & (this.#ring.length - 1)] = outstanding;
    }
  }
}
