import type { LogWeight } from "./storage.js";

/**
 * Where in a stream the entries of a log are, in a few bytes for each 64 KiB of it: a sparse list of points, and the list of cuts.
 *
 * A point (slot, sequence) promises that the last-written record of `slot`, and those of all later slots, stand at `sequence` or behind it.
 * A cut (slot, sequence) says that entries from `slot` on in records before `sequence` are dead: their suffix was dropped there.
 * A cut at a lower slot makes earlier cuts at higher ones superfluous, so the list grows only with leader changes, and trimming empties it.
 */
export class SlotIndex {
  readonly #bytesPerPoint: number;
  #slots: number[] = [];
  #sequences: number[] = [];
  /** What was added before each point, in bytes. */
  #before: number[] = [];
  #bytes = 0;
  #bytesSincePoint = Number.POSITIVE_INFINITY;
  #cuts: { slot: number; sequence: number }[] = [];

  constructor({ bytesPerPoint = 64 * 1024 }: { bytesPerPoint?: number } = {}) {
    this.#bytesPerPoint = bytesPerPoint;
  }

  /** All of it, thinned to so many points that a reader begins a little further back than it would have to. `load` takes it. */
  memory(pointsMax: number): readonly number[] {
    const step = Math.max(1, Math.ceil(this.#slots.length / pointsMax));
    const numbers = [this.#bytesSincePoint === Number.POSITIVE_INFINITY ? 0 : 1 + this.#bytesSincePoint];
    numbers.push(this.#cuts.length, ...this.#cuts.flatMap(({ slot, sequence }) => [slot, sequence]));
    for (let at = 0; at < this.#slots.length; at += step) {
      numbers.push(this.#slots[at] as number, this.#sequences[at] as number);
    }
    return numbers;
  }

  load([bytesSincePoint = 0, cuts = 0, ...numbers]: readonly number[]): void {
    this.#bytesSincePoint = bytesSincePoint === 0 ? Number.POSITIVE_INFINITY : bytesSincePoint - 1;
    for (let at = 0; at + 1 < numbers.length; at += 2) {
      const [slot, sequence] = [numbers[at] as number, numbers[at + 1] as number];
      if (at < 2 * cuts) this.#cuts.push({ slot, sequence });
      else {
        this.#slots.push(slot);
        this.#sequences.push(sequence);
        this.#before.push(0);
      }
    }
  }

  /** What was added since this index was made, and at which slots it had come to how much. Not of one that was told all by `load`. */
  get weight(): LogWeight {
    const points = this.#slots.map((slot, at) => ({ slot: slot - 1, bytes: this.#before[at] as number }));
    return { points, bytes: this.#bytes };
  }

  get points(): number {
    return this.#slots.length;
  }

  /** The record at `sequence` begins with the entry of `slot`; records are told in the order of the stream. */
  add(slot: number, sequence: number, bytes: number): void {
    if (this.#bytesSincePoint >= this.#bytesPerPoint) this.mark(slot, sequence);
    this.#bytes += bytes;
    this.#bytesSincePoint += bytes;
  }

  /** Everything from `slot` on will stand at `sequence` or behind it. */
  mark(slot: number, sequence: number): void {
    this.#slots.push(slot);
    this.#sequences.push(sequence);
    this.#before.push(this.#bytes);
    this.#bytesSincePoint = 0;
  }

  /** The record at `sequence` drops everything from `slot` on that was written before it. */
  cut(slot: number, sequence: number): void {
    while ((this.#slots.at(-1) ?? -1) >= slot) {
      this.#slots.pop();
      this.#sequences.pop();
      this.#before.pop();
      this.#bytesSincePoint = Number.POSITIVE_INFINITY;
    }
    while ((this.#cuts.at(-1)?.slot ?? -1) >= slot) this.#cuts.pop();
    this.#cuts.push({ slot, sequence });
  }

  /** Where to begin reading for `slot`; undefined when no point is low enough (then from the first record). */
  seek(slot: number): number | undefined {
    return this.#sequences[this.#below(slot)];
  }

  /** Whether the entry of `slot` in the record at `sequence` still counts. */
  live(slot: number, sequence: number): boolean {
    for (const cut of this.#cuts) if (cut.slot <= slot && sequence < cut.sequence) return false;
    return true;
  }

  /** Forgets what concerns records before `sequence` only. */
  dropBefore(sequence: number): void {
    const first = this.#sequences.findIndex((at) => at >= sequence);
    const count = first < 0 ? this.#sequences.length : first;
    this.#slots.splice(0, count);
    this.#sequences.splice(0, count);
    this.#before.splice(0, count);
    this.#cuts = this.#cuts.filter((cut) => cut.sequence > sequence);
  }

  #below(slot: number): number {
    let low = 0;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#slots[middle] as number) <= slot) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
