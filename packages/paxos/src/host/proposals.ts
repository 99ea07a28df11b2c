import { type Ballot, sameBallot } from "../core/ballot.js";
import type { PaxosError } from "../core/errors.js";

/** One command under way. Its promise may be left alone: only a failure that somebody awaits is anybody's business. */
export class Outstanding<R> {
  readonly slot: number;
  readonly ballot: Ballot;
  readonly bytes: number;
  readonly done: Promise<R>;
  resolve!: (result: R) => void;
  #reject!: (error: PaxosError) => void;

  constructor(slot: number, ballot: Ballot, bytes: number) {
    this.slot = slot;
    this.ballot = ballot;
    this.bytes = bytes;
    this.done = new Promise<R>((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
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
  readonly #bySlot = new Map<number, Outstanding<R>>();
  #bytes = 0;

  constructor({ countMax, bytesMax }: { countMax: number; bytesMax: number }) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#bySlot.size;
  }

  hasRoom(bytes: number): boolean {
    return this.#bySlot.size < this.#countMax && this.#bytes + bytes <= this.#bytesMax;
  }

  add(slot: number, ballot: Ballot, bytes: number): Promise<R> {
    const outstanding = new Outstanding<R>(slot, ballot, bytes);
    this.#bySlot.set(slot, outstanding);
    this.#bytes += bytes;
    return outstanding.done;
  }

  /** Takes out what was submitted for this slot, if anything was. */
  take(slot: number): Outstanding<R> | undefined {
    const outstanding = this.#bySlot.get(slot);
    if (!outstanding) return undefined;
    this.#bySlot.delete(slot);
    this.#bytes -= outstanding.bytes;
    return outstanding;
  }

  expects(slot: number, ballot: Ballot): boolean {
    const outstanding = this.#bySlot.get(slot);
    return outstanding !== undefined && sameBallot(outstanding.ballot, ballot);
  }

  rejectAll(error: PaxosError): void {
    const all = [...this.#bySlot.values()];
    this.#bySlot.clear();
    this.#bytes = 0;
    for (const outstanding of all) outstanding.reject(error);
  }
}
