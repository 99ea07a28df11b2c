import { PaxosError } from "../core/errors.js";

/**
 * From this many reads in one turn of the event loop on, further ones wait for its end. The lease answers within the call, so callers who ask
 * again whenever they are answered would otherwise never let the sockets and timers have their turn, and the lease would starve.
 */
const atOnceMax = 256;

interface Waiting {
  readonly run: () => void;
  readonly reject: (error: PaxosError) => void;
}

/** Reads that have not been answered, and which of them the core has yet to be asked for. */
export class PendingReads {
  readonly #waitingMax: number;
  readonly #waiting = new Map<number, Waiting>();
  #next = -1;
  #inTurn = 0;
  #gathered: number[] = [];

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** `ask` is to be passed on to the core now if it is given back; otherwise the end of the turn gives it. `first` in this turn: have that end come. */
  add<T>(
    fn: () => T,
    resolve: (result: T) => void,
    reject: (error: unknown) => void,
  ): { ask?: number; first: boolean } {
    if (this.#waiting.size >= this.#waitingMax)
      throw new PaxosError("ERR_PAXOS_OVERLOADED", `${this.#waiting.size} reads wait already`);
    const id = this.#next--;
    const run = () => {
      try {
        resolve(fn());
      } catch (error) {
        reject(error);
      }
    };
    this.#waiting.set(id, { run, reject });
    const first = this.#inTurn++ === 0;
    if (this.#inTurn <= atOnceMax) return { ask: id, first };
    this.#gathered.push(id);
    return { first };
  }

  /** Somebody has asked in this turn. */
  get inTurn(): boolean {
    return this.#inTurn > 0;
  }

  /** The turn is over: what the core is to be asked for now. */
  turn(): readonly number[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#inTurn = 0;
    return gathered;
  }

  get idle(): boolean {
    return this.#waiting.size === 0 && this.#inTurn === 0;
  }

  take(id: number): Waiting | undefined {
    const read = this.#waiting.get(id);
    this.#waiting.delete(id);
    return read;
  }

  rejectAll(error: PaxosError): void {
    for (const read of this.#waiting.values()) read.reject(error);
    this.#waiting.clear();
    this.#gathered = [];
  }
}
