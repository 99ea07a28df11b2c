import { StoreError } from "./errors.js";
import type { SplitPoint } from "./split-point.js";

/** Whoever asks is answered by then, if only that it is still being looked for. */
const ANSWER_MS = 1_000;
/** Nobody has asked for so long: nobody waits for it any more. */
const UNASKED_MS_MAX = 30_000;

interface Search {
  askedAt: number;
  readonly found: Promise<SplitPoint>;
}

/**
 * Who looks for a partition's middle here. That means going through all of its items, which takes as long as there are many of them: seconds for a million. So nobody waits
 * for the end of it within one request; it is asked for again and again, and goes on in between.
 */
export class SplitSearches {
  readonly #searches = new Map<number, Search>();
  readonly #answerMs: number;

  constructor(answerMs = ANSWER_MS) {
    this.#answerMs = answerMs;
  }

  /**
   * What `look` comes to: it is called where nobody looks yet, and told whether to go on. Undefined: ask again.
   * @throws what `look` does, and ERR_STORE_CLOSED where it was told to stop
   */
  async ask(
    partition: number,
    goesOn: () => boolean,
    look: (goesOn: () => boolean) => Promise<SplitPoint>,
  ): Promise<SplitPoint | undefined> {
    const search = this.#searches.get(partition) ?? this.#begin(partition, goesOn, look);
    search.askedAt = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const later = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#answerMs);
    });
    try {
      const found = await Promise.race([search.found, later]);
      if (found !== undefined) this.#searches.delete(partition);
      return found;
    } catch (error) {
      this.#searches.delete(partition);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #begin(partition: number, goesOn: () => boolean, look: (goesOn: () => boolean) => Promise<SplitPoint>): Search {
    const isWanted = () => goesOn() && performance.now() - search.askedAt < UNASKED_MS_MAX;
    const search: Search = {
      askedAt: performance.now(),
      found: Promise.resolve().then(async () => {
        const point = await look(isWanted);
        if (isWanted()) return point;
        // Half a look says nothing, and neither does one that was taken long ago.
        if (this.#searches.get(partition) === search) this.#searches.delete(partition);
        throw new StoreError("ERR_STORE_CLOSED", `nobody looks for the middle of partition ${partition} any more`);
      }),
    };
    search.found.catch(() => undefined);
    this.#searches.set(partition, search);
    return search;
  }
}
