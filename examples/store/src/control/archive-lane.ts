const RETRY_AFTER_MS = 1_000;
const RETRY_AFTER_MS_MAX = 60_000;

interface Setback {
  readonly failures: number;
  readonly notBeforeMs: number;
}

/** Work of one kind on partitions: a few at once, none twice at the same time, and what fails is tried again with growing patience. */
export class ArchiveLane {
  readonly #atOnceMax: number;
  readonly #onFailure: (partition: number, error: unknown, failures: number) => void;
  readonly #running = new Map<number, Promise<void>>();
  readonly #setbacks = new Map<number, Setback>();

  constructor(atOnceMax: number, onFailure: (partition: number, error: unknown, failures: number) => void) {
    this.#atOnceMax = atOnceMax;
    this.#onFailure = onFailure;
  }

  get isFull(): boolean {
    return this.#running.size >= this.#atOnceMax;
  }

  /** What is under way. */
  get work(): readonly Promise<void>[] {
    return [...this.#running.values()];
  }

  /** Not at work on it, nor waiting for it to get better. */
  takes(partition: number): boolean {
    return !this.#running.has(partition) && performance.now() >= (this.#setbacks.get(partition)?.notBeforeMs ?? 0);
  }

  begin(partition: number, work: () => Promise<void>): void {
    const done = work()
      .then(
        () => void this.#setbacks.delete(partition),
        (error: unknown) => this.#failed(partition, error),
      )
      .finally(() => this.#running.delete(partition));
    this.#running.set(partition, done);
  }

  /** Those that are not among them are no more. */
  keep(partitions: ReadonlySet<number>): void {
    for (const partition of this.#setbacks.keys()) if (!partitions.has(partition)) this.#setbacks.delete(partition);
  }

  #failed(partition: number, error: unknown): void {
    const before = this.#setbacks.get(partition)?.failures ?? 0;
    const pauseMs = Math.min(RETRY_AFTER_MS * 2 ** before, RETRY_AFTER_MS_MAX);
    const failures = before + 1;
    this.#setbacks.set(partition, {
      failures,
      notBeforeMs: performance.now() + pauseMs * (0.5 + Math.random() / 2),
    });
    this.#onFailure(partition, error, failures);
  }
}
