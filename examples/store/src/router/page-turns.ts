import { StoreError } from "../storage-node/errors.js";

/** A page is some ten milliseconds of a node's time and as many of the router's. So many keep every node busy, and are done before anybody's patience is. */
const UNDER_WAY_MAX = 32;

/**
 * Pages that nodes are asked for, over all clients: beyond some of them in the order in which they came. Asked for all at once, a thousand would each be answered when nobody waits for it any more, and in the meantime be asked of the next node as well.
 */
export class PageTurns {
  readonly #patienceMs: number;
  readonly #waiting: { readonly sinceMs: number; readonly go: () => void; readonly refuse: () => void }[] = [];
  #underWay = 0;

  /** @param patienceMs how long one waits for its turn before it is refused */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** @throws StoreError ERR_STORE_OVERLOADED where its turn came too late */
  async take<T>(page: () => Promise<T>): Promise<T> {
    if (this.#underWay < UNDER_WAY_MAX) this.#underWay++;
    else await this.#turn();
    try {
      return await page();
    } finally {
      this.#next();
    }
  }

  #turn(): Promise<void> {
    return new Promise((go, reject) => {
      const refuse = () => reject(new StoreError("ERR_STORE_OVERLOADED", "more pages are read than nodes can"));
      this.#waiting.push({ sinceMs: performance.now(), go, refuse });
    });
  }

  /** Whose turn it is goes on in the place of the one that has ended. */
  #next(): void {
    const tooLate = performance.now() - this.#patienceMs;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.sinceMs >= tooLate) return next.go();
      next.refuse();
    }
    this.#underWay--;
  }
}
