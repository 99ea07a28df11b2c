import { weightOf } from "../core/log.js";
import type { Entry } from "../core/types.js";

/** Into how many steps the kept log is divided: as finely it is let go. */
const steps = 8;

/** Points of the log that is kept, and what it weighs in all. */
export interface KeptLog {
  readonly points: readonly { readonly slot: number; readonly bytes: number }[];
  readonly bytes: number;
}

export interface TrimmerParts {
  /** Of one that goes on where it was, or of the log as it was found. */
  readonly kept?: KeptLog | undefined;
  readonly keptBytesMax: number;
  readonly trimmedThrough: number;
  /** What may go: durable as state here, or held by two storage replicas. Undefined: nothing goes by itself. */
  readonly letGoThrough: () => number | undefined;
  /** Behind this slot a snapshot that is on its way will need the log. */
  readonly pinnedSlot: () => number;
  readonly trim: (throughSlot: number) => Promise<void>;
}

/**
 * Keeps the newest `keptBytesMax` of the log for those that lag, and lets go of what is older: on every replica the same,
 * whether somebody lags or not, so that nothing changes on the day on which somebody does.
 */
export class Trimmer {
  readonly #parts: TrimmerParts;
  /** A point for each step of log: the slots through it weigh `bytes`, all before included that are known. */
  #points: { slot: number; bytes: number }[] = [];
  #bytes = 0;
  /** When the next step of log is full. */
  #stepAtBytes: number;
  #trimming = false;
  #looked = false;
  #trimmedThrough: number;

  constructor(parts: TrimmerParts) {
    this.#parts = parts;
    this.#trimmedThrough = parts.trimmedThrough;
    this.#bytes = parts.kept?.bytes ?? 0;
    this.#stepAtBytes = parts.keptBytesMax / steps;
    for (const { slot, bytes } of parts.kept?.points ?? []) if (bytes >= this.#stepAtBytes) this.#mark(slot, bytes);
  }

  get kept(): KeptLog {
    return { points: this.#points, bytes: this.#bytes };
  }

  chosen(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (!last) return;
    for (const entry of entries) this.#bytes += weightOf(entry);
    if (this.#bytes >= this.#stepAtBytes) this.#mark(last.slot, this.#bytes);
    // What was found when this life began may be too much already, however little is written in it.
    else if (this.#looked) return;
    this.#looked = true;
    this.look();
  }

  #mark(slot: number, bytes: number): void {
    this.#points.push({ slot, bytes });
    this.#stepAtBytes = bytes + this.#parts.keptBytesMax / steps;
  }

  /** Something may have become superfluous. */
  look(): void {
    const { keptBytesMax, letGoThrough, pinnedSlot, trim } = this.#parts;
    const through = letGoThrough();
    if (this.#trimming || through === undefined) return;
    // A snapshot on its way holds back as much again, no more: who needs longer than that for it has to begin anew.
    const surplus = (bytes: number) => this.#bytes - bytes >= keptBytesMax;
    const pinned = pinnedSlot();
    let target = 0;
    for (const { slot, bytes } of this.#points) {
      if (!surplus(bytes) || slot > through) break;
      if (slot > pinned && this.#bytes - bytes < 2 * keptBytesMax) break;
      target = slot;
    }
    if (target <= this.#trimmedThrough) return;
    this.#points = this.#points.filter(({ slot }) => slot > target);
    this.#trimming = true;
    this.#trimmedThrough = target;
    // Its failure stops the group, which is told there.
    void trim(target)
      .catch(() => {})
      .finally(() => {
        this.#trimming = false;
      });
  }
}
