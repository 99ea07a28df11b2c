/**
 * What a source is given with its keys, and the way to end its call. Most sources never look at the signal, and making one costs as much as all the rest of a call: so it is made when it is looked at.
 */
export class Call {
  #controller: AbortController | undefined;
  declare readonly signal: AbortSignal;

  /** One function for all calls: for objects that differ in a getter V8 keeps a table each. */
  static readonly #signal = {
    enumerable: true,
    get(this: Call): AbortSignal {
      return this.#made().signal;
    },
  };

  constructor() {
    Object.defineProperty(this, "signal", Call.#signal);
  }

  abort(reason: unknown): void {
    this.#made().abort(reason);
  }

  #made(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}
