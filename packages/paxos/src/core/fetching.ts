import type { Replica } from "./replica.js";

interface Fetch {
  readonly from: string;
  readonly through: number;
  /** The slot that was asked for last. */
  asked: number;
  retryAtMs: number;
  retried: boolean;
}

/**
 * How one that would lead comes by what others know as chosen and it does not: piece by piece, of one of them at a time. Whoever knows most may have let go of the very slot that is lacking first, or be unable to read it, while another holds it: so who was
 * asked in vain is asked again after all others who know more than we do.
 */
export class Fetching {
  readonly #replica: Replica;
  readonly #asks: () => void;
  /** How far each one knows what is chosen, by what it said since we asked. */
  readonly #known = new Map<string, number>();
  /** In which turn each one was asked in vain for the last time. */
  readonly #vain = new Map<string, number>();
  #turn = 0;
  #now: Fetch | undefined;

  /** `asks`: called when a piece is asked for, but not when it is asked for again. */
  constructor(replica: Replica, asks: () => void) {
    this.#replica = replica;
    this.#asks = asks;
  }

  get idle(): boolean {
    return this.#now === undefined;
  }

  get wakeAtMs(): number {
    return this.#now?.retryAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** What was said before does not count any more. */
  forget(): void {
    this.#known.clear();
  }

  stop(): void {
    this.#now = undefined;
  }

  knows(node: string, chosenThrough: number): void {
    this.#known.set(node, chosenThrough);
  }

  /** Fetches from the best of those who know more, unless that is under way. */
  begin(): void {
    for (const [from, through] of this.#known) {
      if (through <= this.#replica.knownChosen || !this.#isBetter(from, through)) continue;
      this.#now = { from, through, asked: 0, retryAtMs: 0, retried: false };
    }
    if (this.#now?.asked === 0) this.#ask(false);
  }

  #isBetter(from: string, through: number): boolean {
    const now = this.#now;
    if (now === undefined) return true;
    const order = (this.#vain.get(now.from) ?? 0) - (this.#vain.get(from) ?? 0);
    return order > 0 || (order === 0 && through > now.through);
  }

  tick(): void {
    const now = this.#now;
    if (now === undefined || this.#replica.nowMs < now.retryAtMs) return;
    if (!now.retried) this.#ask(true);
    else {
      this.#vain.set(now.from, ++this.#turn);
      this.#now = undefined;
    }
  }

  /** Chosen entries have come. Returns whether they are all that was asked for. */
  onLearned(): boolean {
    const now = this.#now;
    if (now === undefined) return false;
    const { knownChosen } = this.#replica;
    if (knownChosen < now.through) {
      // Only a piece that brought something asks for the next: copies of one must not each begin a chain of their own.
      if (knownChosen >= now.asked) this.#ask(false);
      return false;
    }
    this.#now = undefined;
    return true;
  }

  #ask(retried: boolean): void {
    const now = this.#now as Fetch;
    const { nowMs, knownChosen, settings } = this.#replica;
    now.retried = retried;
    now.asked = knownChosen + 1;
    now.retryAtMs = nowMs + settings.voteTimeoutMs;
    if (!retried) this.#asks();
    this.#replica.send(now.from, { type: "fetch", fromSlot: now.asked, throughSlot: now.through });
  }
}
