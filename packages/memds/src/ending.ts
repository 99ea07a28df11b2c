/**
 * How a look-up ends before it is answered: by its time limit, its caller's signal, or the client's end. What an `AbortController` is for, of which a
 * look-up would take one for itself and one for each server, with their listeners: several times the work of the look-up.
 */
export class Ending {
  readonly #attempts = new Set<(reason: unknown) => void>();
  #reason: { readonly reason: unknown } | undefined;
  #signal: AbortSignal | undefined;
  readonly #byCaller = (): void => this.end(this.#signal?.reason);

  /** From now on the caller's signal ends the look-up. */
  watch(signal: AbortSignal | undefined): void {
    if (signal === undefined || this.#signal !== undefined) return;
    this.#signal = signal;
    if (signal.aborted) this.#byCaller();
    else signal.addEventListener("abort", this.#byCaller, { once: true });
  }

  /** The first reason counts. */
  end(reason: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = { reason };
    for (const end of [...this.#attempts]) end(reason);
  }

  throwIfEnded(): void {
    if (this.#reason !== undefined) throw this.#reason.reason;
  }

  /** `end` is called if the look-up ends before this is taken back. */
  add(end: (reason: unknown) => void): void {
    this.#attempts.add(end);
  }

  remove(end: (reason: unknown) => void): void {
    this.#attempts.delete(end);
  }

  /** The look-up is over: nothing ends it any more but what it left behind. */
  release(): void {
    this.#signal?.removeEventListener("abort", this.#byCaller);
  }
}
