import { PaxosError } from "../core/errors.js";

/**
 * From this many reads in one turn of the event loop on, further ones wait for its end. The lease answers within the call, so callers who ask
 * again whenever they are answered would otherwise never let the sockets and timers have their turn, and the lease would starve.
 */
const atOnceMax = 256;
/** A ring that has become longer is given up when it is empty. */
const keptMax = 64;

interface Waiting {
  readonly id: number;
  readonly run: () => void;
  readonly reject: (error: PaxosError) => void;
}

/** Reads that have not been answered, and which of them the core has yet to be asked for. */
export class PendingReads {
  readonly #waitingMax: number;
  /**
   * That of an id in the place of the id modulo the length, a power of two; at most half of the places are taken. No `Map`: nearly every read is answered within its call, and a map that is filled and emptied
   * all the time begins a table every few reads, each of which V8 links to the next one, with all that was in it; a single one among the old objects keeps all that follow alive.
   */
  #ring: (Waiting | undefined)[] = [undefined, undefined];
  #count = 0;
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
    if (this.#count >= this.#waitingMax)
      throw new PaxosError("ERR_PAXOS_OVERLOADED", `${this.#count} reads wait already`);
    if (this.#count * 2 >= this.#ring.length) this.#grow();
    while (this.#ring[this.#next & (this.#ring.length - 1)] !== undefined) this.#next--;
    const id = this.#next--;
    const run = () => {
      try {
        resolve(fn());
      } catch (error) {
        reject(error);
      }
    };
    this.#ring[id & (this.#ring.length - 1)] = { id, run, reject };
    this.#count++;
    const first = this.#inTurn++ === 0;
    if (this.#inTurn <= atOnceMax) return { ask: id, first };
    this.#gathered.push(id);
    return { first };
  }

  /** One that is answered without any of this. True for the first in this turn: have its end come. */
  count(): boolean {
    return this.#inTurn++ === 0;
  }

  /** Further ones wait for the end of this turn. */
  get many(): boolean {
    return this.#inTurn >= atOnceMax;
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
    return this.#count === 0 && this.#inTurn === 0;
  }

  take(id: number): Waiting | undefined {
    const at = id & (this.#ring.length - 1);
    const read = this.#ring[at];
    if (read?.id !== id) return undefined;
    this.#ring[at] = undefined;
    this.#count--;
    if (this.#count === 0 && this.#ring.length > keptMax) this.#ring = [undefined, undefined];
    return read;
  }

  rejectAll(error: PaxosError): void {
    const waiting = this.#ring;
    this.#ring = [undefined, undefined];
    this.#count = 0;
    this.#gathered = [];
    for (const read of waiting) read?.reject(error);
  }

  #grow(): void {
    const ring = new Array<Waiting | undefined>(this.#ring.length * 2).fill(undefined);
    for (const read of this.#ring) if (read !== undefined) ring[read.id & (ring.length - 1)] = read;
    this.#ring = ring;
  }
}
