import { ArchiveError } from "./errors.js";
import { whenAborted } from "./when-aborted.js";

interface Waiter {
  readonly admit: () => void;
}

/** A bound on how many do something at once, and on how many wait for it. First come, first served. */
export class Places {
  readonly #inUseMax: number;
  readonly #waitingMax: number;
  readonly #waiters = new Set<Waiter>();
  #inUse = 0;

  constructor(inUseMax: number, waitingMax: number) {
    this.#inUseMax = inUseMax;
    this.#waitingMax = waitingMax;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Rejects with the signal's reason, or with `ERR_ARCHIVE_OVERLOADED` where too many wait already. Who was let in leaves exactly once. */
  async enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#inUse < this.#inUseMax) {
      this.#inUse++;
      return;
    }
    if (this.#waiters.size >= this.#waitingMax) {
      const message = `${this.#waiters.size} calls wait for the store already; waitingMax is ${this.#waitingMax}`;
      throw new ArchiveError("ERR_ARCHIVE_OVERLOADED", message, { retryable: true });
    }
    await new Promise<void>((resolve, reject) => {
      const forget = whenAborted(signal, () => {
        this.#waiters.delete(waiter);
        reject(signal?.reason as Error);
      });
      const waiter: Waiter = {
        admit: () => {
          forget();
          resolve();
        },
      };
      this.#waiters.add(waiter);
    });
  }

  leave(): void {
    const [next] = this.#waiters;
    if (next === undefined) {
      this.#inUse--;
      return;
    }
    // The place goes over without having been free: nobody can slip in between.
    this.#waiters.delete(next);
    next.admit();
  }
}
