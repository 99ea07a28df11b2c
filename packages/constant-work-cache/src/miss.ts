import { CacheError } from "./errors.js";

/** One `get` that waits: in the queue until its call begins, then for that call. Settled once; whatever comes after is nothing. */
export class Miss<K, V> {
  readonly promise: Promise<V | undefined>;
  readonly #gaveUp: (miss: Miss<K, V>) => void;
  readonly #signal: AbortSignal | undefined;
  #resolve!: (value: V | undefined) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param gaveUp called when the caller's signal or the queue's time limit ends the wait. */
  constructor(
    readonly key: K,
    signal: AbortSignal | undefined,
    gaveUp: (miss: Miss<K, V>) => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#gaveUp = gaveUp;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#aborted, { once: true });
  }

  /** Starts the queue's time limit, once. */
  waitAtMost(timeoutMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#gaveUp(this);
      this.reject(
        new CacheError("ERR_CACHE_TIMEOUT", `the source was busy for ${timeoutMs} ms; this look-up was not sent`),
      );
    }, timeoutMs).unref();
  }

  /** Its call begins, which has a time limit of its own. */
  sent(): void {
    clearTimeout(this.#timer);
  }

  resolve(value: V | undefined): void {
    this.#release();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#release();
    this.#reject(error);
  }

  readonly #aborted = (): void => {
    this.#gaveUp(this);
    this.reject(this.#signal?.reason);
  };

  #release(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#aborted);
  }
}
