import { weightOf } from "../core/log.js";
import type { Entry } from "../core/types.js";

/** So many points at most stand in the log that is kept; where there are more, every other one goes. */
const pointsMax = 32;
/** So close to one another they may stand at most, where `keptBytesMax` is not small itself. */
const stepBytesMin = 16 * 1024;

/** Points of the log that is kept, and what it weighs in all. */
export interface KeptLog {
  readonly points: readonly { readonly slot: number; readonly bytes: number }[];
  readonly bytes: number;
}

export interface TrimmerParts {
  /** Of one that goes on where it was, or of the log as it was found. */
  readonly kept?: KeptLog | undefined;
  readonly keptBytesMax: number;
  /** Where that part of the log ends which may be let go of. */
  readonly chosenThrough: () => number;
  /** Slots through here are gone, whoever let go of them. */
  readonly trimmedThrough: () => number;
  /** What may go: durable as state here, or held by two storage replicas. Undefined: nothing goes by itself. */
  readonly letGoThrough: () => number | undefined;
  /** Behind this slot a snapshot that is on its way will need the log. */
  readonly pinnedSlot: () => number;
  readonly trim: (throughSlot: number) => Promise<void>;
  /** What is kept has become more by a step, or less. Not called where nothing goes by itself. */
  readonly weighs: (bytes: number) => void;
}

/**
 * Keeps the newest `keptBytesMax` of the log for those that lag, and lets go of what is older: on every replica the same,
 * whether somebody lags or not, so that nothing changes on the day on which somebody does.
 */
export class Trimmer {
  readonly #parts: TrimmerParts;
  /** A point for each step of log: the slots that are kept through it weigh `bytes`. */
  #points: { slot: number; bytes: number }[] = [];
  #bytes = 0;
  readonly #stepBytesMin: number;
  /** When the next step of log is full. */
  #stepAtBytes: number;
  #trimming = false;
  #looked = false;

  constructor(parts: TrimmerParts) {
    this.#parts = parts;
    this.#stepBytesMin = Math.min(stepBytesMin, parts.keptBytesMax / 8);
    this.#stepAtBytes = this.#stepBytesMin;
    for (const { slot, bytes } of parts.kept?.points ?? []) if (bytes >= this.#stepAtBytes) this.#mark(slot, bytes);
    this.#bytes = parts.kept?.bytes ?? 0;
    this.#forgetThrough(parts.trimmedThrough());
    this.#weigh();
  }

  get kept(): KeptLog {
    return { points: this.#points, bytes: this.#bytes };
  }

  chosen(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (!last) return;
    for (const entry of entries) this.#bytes += weightOf(entry);
    if (this.#bytes >= this.#stepAtBytes) {
      this.#mark(last.slot, this.#bytes);
      this.#weigh();
    }
    // What was found when this life began may be too much already, however little is written in it.
    else if (this.#looked) return;
    this.#looked = true;
    this.look();
  }

  #mark(slot: number, bytes: number): void {
    this.#points.push({ slot, bytes });
    if (this.#points.length > pointsMax) this.#points = this.#points.filter((_, at) => at % 2 === 1);
    this.#planStep(bytes);
  }

  /** Steps are a share of what is kept: however much that is, some dozen points divide it. */
  #planStep(bytes: number): void {
    this.#stepAtBytes = bytes + Math.max(this.#stepBytesMin, bytes / pointsMax);
  }

  /** Something may have become superfluous. */
  look(): void {
    const { keptBytesMax, letGoThrough, pinnedSlot, trimmedThrough } = this.#parts;
    const through = letGoThrough();
    if (this.#trimming || through === undefined) return;
    this.#forgetThrough(trimmedThrough());
    // A snapshot on its way holds back as much again, no more: who needs longer than that for it has to begin anew.
    const surplus = (bytes: number) => this.#bytes - bytes >= keptBytesMax;
    const pinned = pinnedSlot();
    let target = 0;
    for (const { slot, bytes } of this.#points) {
      if (!surplus(bytes) || slot > through) break;
      if (slot > pinned && this.#bytes - bytes < 2 * keptBytesMax) break;
      target = slot;
    }
    if (target > 0) void this.#letGo(target);
  }

  /** Lets go of the older half, or of as much of it as may go: resolves when that is done. Undefined when nothing may, or something is under way. */
  halve(): Promise<void> | undefined {
    const { letGoThrough, pinnedSlot, chosenThrough, trimmedThrough } = this.#parts;
    if (this.#trimming) return undefined;
    if (this.#forgetThrough(trimmedThrough())) {
      // Others have let go of something meanwhile, for which this was taken to be kept.
      this.#weigh();
      return Promise.resolve();
    }
    const through = Math.min(letGoThrough() ?? 0, pinnedSlot());
    let target = 0;
    for (const { slot, bytes } of [...this.#points, { slot: chosenThrough(), bytes: this.#bytes }]) {
      if (slot > through) break;
      target = slot;
      if (2 * bytes >= this.#bytes) break;
    }
    return target === 0 ? undefined : this.#letGo(target);
  }

  #letGo(target: number): Promise<void> {
    this.#trimming = true;
    this.#forgetThrough(target);
    this.#weigh();
    // Its failure stops the group, which is told there.
    return this.#parts
      .trim(target)
      .catch(() => {})
      .finally(() => {
        this.#trimming = false;
      });
  }

  /** Returns whether something was counted there. */
  #forgetThrough(slot: number): boolean {
    const kept = this.#points.filter((point) => point.slot > slot);
    const last = this.#points[this.#points.length - kept.length - 1];
    const gone = slot > 0 && slot >= this.#parts.chosenThrough() ? this.#bytes : (last?.bytes ?? 0);
    if (gone === 0) return false;
    this.#points = kept.map((point) => ({ slot: point.slot, bytes: point.bytes - gone }));
    this.#bytes -= gone;
    this.#planStep(this.#points.at(-1)?.bytes ?? 0);
    return true;
  }

  #weigh(): void {
    const { weighs, letGoThrough } = this.#parts;
    if (letGoThrough() !== undefined) weighs(this.#bytes);
  }
}
