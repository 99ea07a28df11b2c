/** Where progress is shown. */
export interface ProgressOutput {
  write(text: string): void;
  /** Whether a line can be written over; otherwise each showing is a line of its own, and there are fewer. */
  readonly overwrites: boolean;
  readonly columns: number;
  /** Monotonic. */
  readonly nowMs: () => number;
}

const overwriteEveryMs = 100;
const lineEveryMs = 2000;
const barWidth = 24;

/** A bar for long work: how much of it is done, how fast, and how long the rest will take. Costs a comparison of times when it has nothing to show. */
export class Progress {
  readonly #output: ProgressOutput;
  readonly #what: string;
  readonly #unit: (value: number) => string;
  readonly #startedMs: number;
  #shownMs: number;
  #shown = false;

  constructor(output: ProgressOutput, what: string, unit: (value: number) => string) {
    this.#output = output;
    this.#what = what;
    this.#unit = unit;
    this.#startedMs = output.nowMs();
    this.#shownMs = this.#startedMs;
  }

  /** Short work shows nothing at all. */
  update(done: number, total: number): void {
    const { overwrites, nowMs, columns } = this.#output;
    const now = nowMs();
    if (now - this.#shownMs < (overwrites ? overwriteEveryMs : lineEveryMs)) return;
    this.#shownMs = now;
    this.#shown = true;
    const line = this.#line(done, total, now - this.#startedMs);
    this.#output.write(overwrites ? `\r\u001b[K${line.slice(0, columns - 1)}` : `${line}\n`);
  }

  /** Leaves a terminal as it was. */
  end(): void {
    if (this.#shown && this.#output.overwrites) this.#output.write("\r\u001b[K");
  }

  #line(done: number, total: number, elapsedMs: number): string {
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const full = Math.round(share * barWidth);
    const bar = "#".repeat(full) + ".".repeat(barWidth - full);
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    const rate = (done * 1000) / elapsedMs;
    const left = rate > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : "";
    return `${this.#what} ${percent} % [${bar}] ${this.#unit(done)} of ${this.#unit(total)}, ${this.#unit(rate)}/s${left}`;
  }
}

const sizes = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** 1536 -> "1.5 KiB". */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < sizes.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${sizes[unit]}`;
}
