import { placeInLine, type Succession } from "./succession.js";
import { Window } from "./window.js";

/** What is looked at of a follower whose leader's node was lost. */
export interface Adrift extends Succession {
  readonly asleep: boolean;
  /** Who leads, as far as is known. */
  readonly leader: string | undefined;
  /** Whether it sleeps under this node, whose beats do not bind it any more. */
  adrift(node: string): boolean;
  /** Has it speak again; as a follower it stands `waitMs` later than it would. */
  wake(waitMs: number): void;
}

/** Those of one loss that are in the same place in line, and when their turn comes. */
interface Wave<T> {
  readonly node: string;
  readonly place: number;
  readonly dueMs: number;
  readonly items: readonly T[];
  /** Those before it have had their turn. */
  next: number;
}

/** Who is neither led nor asleep again after this is left to itself. */
const patienceMs = 1000;
/** Each look may have to read what is left of a packed group. */
const looksMax = 128;

/**
 * Followers that slept under a node whose beats ended, until they are woken: first those in which this node is next in line (the line begins elsewhere for each group, so that the survivors share the
 * work instead of standing against each other), and only so many as are elected meanwhile. Where the beats have come again they go on sleeping for a while, in which their leaders say so themselves; as they vote
 * all the same, nobody waits for them.
 */
export class AdriftGroups<T extends Adrift> {
  readonly #self: string;
  /** How much later each further one in line stands. */
  readonly #successionMs: number;
  /** In the order of their turns. */
  #waves: readonly Wave<T>[] = [];
  /** Since when, and whom they had lost. */
  readonly #standing = new Map<T, { readonly node: string; readonly sinceMs: number }>();
  readonly #window = new Window({ first: 256, min: 16, max: 1024, patienceMs });

  constructor(self: string, successionMs: number) {
    this.#self = self;
    this.#successionMs = successionMs;
  }

  /** `items` are all that sleep under `node`; their turn comes at `dueMs`, or when that of an earlier loss would have come. */
  add(node: string, items: Iterable<T>, dueMs: number): void {
    const left = this.#waves.filter((wave) => wave.node !== node);
    const earliestMs = Math.min(dueMs, ...this.#waves.filter((wave) => wave.node === node).map((wave) => wave.dueMs));
    const places: T[][] = [];
    for (const item of items) {
      const place = placeInLine(item, this.#self, node);
      places[place] ??= [];
      places[place].push(item);
    }
    const fresh = places.map((those, place) => ({ node, place, dueMs: earliestMs, items: those, next: 0 }));
    // `filter` passes over places that nobody is in.
    this.#waves = [...left, ...fresh.filter(Boolean)].sort((a, b) => a.dueMs - b.dueMs || a.place - b.place);
  }

  forget(item: T): void {
    this.#standing.delete(item);
  }

  tick(nowMs: number): void {
    for (const [item, { node, sinceMs }] of this.#standing) {
      const led = item.leader !== undefined && item.leader !== node;
      const done = item.asleep || led;
      if (!done && nowMs - sinceMs <= patienceMs) continue;
      this.#standing.delete(item);
      if (done) this.#window.succeeded();
      else this.#window.failed(nowMs);
    }
    for (let looks = looksMax; looks > 0 && this.#standing.size < this.#window.size; looks--) {
      const [wave] = this.#waves;
      if (wave === undefined || wave.dueMs > nowMs) return;
      const item = wave.items[wave.next++] as T;
      if (wave.next === wave.items.length) this.#waves = this.#waves.slice(1);
      // Somebody else was elected meanwhile, its leader has spoken, or it was closed.
      if (!item.adrift(wave.node)) continue;
      item.wake(wave.place * this.#successionMs);
      this.#standing.set(item, { node: wave.node, sinceMs: nowMs });
    }
  }
}
