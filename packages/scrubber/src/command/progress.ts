/** Where progress is shown. */
export interface ProgressOutput {
  write(text: string): void;
  /** Whether a line can be written over; otherwise each showing is a line of its own, and there are fewer. */
  readonly overwrites: boolean;
  readonly columns: number;
  /** Monotonic. */
  readonly nowMs: () => number;
}

const OVERWRITE_EVERY_MS = 100;
const LINE_EVERY_MS = 2_000;
const BAR_WIDTH = 24;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** How much of the bytes is read, how fast, and how long the rest will take. Short work shows nothing. */
export class Progress {
  readonly #output: ProgressOutput;
  readonly #totalBytes: number;
  readonly #startedMs: number;
  #shownMs: number;
  #shown = false;
  #bytes = 0;

  constructor(output: ProgressOutput, totalBytes: number) {
    this.#output = output;
    this.#totalBytes = totalBytes;
    this.#startedMs = output.nowMs();
    this.#shownMs = this.#startedMs;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const { overwrites, nowMs, columns } = this.#output;
    const now = nowMs();
    if (now - this.#shownMs < (overwrites ? OVERWRITE_EVERY_MS : LINE_EVERY_MS)) return;
    this.#shownMs = now;
    this.#shown = true;
    const line = this.#line(now - this.#startedMs);
    this.#output.write(overwrites ? `\r\u001b[K${line.slice(0, columns - 1)}` : `${line}\n`);
  }

  /** Leaves a terminal as it was. */
  end(): void {
    if (this.#shown && this.#output.overwrites) this.#output.write("\r\u001b[K");
  }

  #line(elapsedMs: number): string {
    const perSecond = (this.#bytes * 1_000) / Math.max(1, elapsedMs);
    const speed = `${bytesText(this.#bytes)}, ${bytesText(perSecond)}/s`;
    if (this.#totalBytes === 0) return `compared ${speed}`;
    // What differs is read again, so more may be read than there is.
    const share = Math.min(1, this.#bytes / this.#totalBytes);
    const full = Math.round(share * BAR_WIDTH);
    const bar = "#".repeat(full) + ".".repeat(BAR_WIDTH - full);
    const left = perSecond > 0 ? `, ${Math.ceil(Math.max(0, this.#totalBytes - this.#bytes) / perSecond)} s left` : "";
    return `${String(Math.floor(share * 100)).padStart(3)} % [${bar}] ${speed}${left}`;
  }
}

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
