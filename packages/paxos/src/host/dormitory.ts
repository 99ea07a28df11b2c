import { placeInLine, type Succession } from "./succession.js";

/** What the dormitory needs to know of a replica. */
export interface Sleeper extends Succession {
  readonly asleep: boolean;
  readonly leading: boolean;
  /** Who leads, as far as is known. */
  readonly leader: string | undefined;
  /** Whether this node's vote counts for anything here. */
  votes(node: string): boolean;
  /** Has it speak again; as a follower it stands `waitMs` later than it would. */
  wake(waitMs: number): void;
}

interface Waking<T> {
  readonly item: T;
  readonly under: string;
  readonly waitMs: number;
}

/** Woken and not led yet, at one time: more would only let each of them wait until it begins anew. */
const standingMax = 256;
/** After this it is left to itself. */
const standingMaxMs = 1000;
/** Leaders that are woken in one tick. */
const leadersAtOnceMax = 100;

/**
 * The groups of a node that sleep, by what they rest on. When a node is gone all that slept under it are woken, but not all at once: first those in which this node is next in line
 * (the line begins elsewhere for each group, so that the survivors share the work instead of standing against each other), and only so many as are elected meanwhile.
 */
export class Dormitory<T extends Sleeper> {
  readonly #self: string;
  readonly #successionMs: number;
  readonly #led = new Set<T>();
  readonly #under = new Map<string, Set<T>>();
  readonly #restsUnder = new Map<T, string>();
  #leadersToWake: T[] = [];
  #toWake: Waking<T>[] = [];
  readonly #standing = new Map<T, number>();

  constructor(self: string, successionMs: number) {
    this.#self = self;
    this.#successionMs = successionMs;
  }

  get size(): number {
    return this.#led.size + this.#restsUnder.size;
  }

  /** Something has happened to it: it may have fallen asleep, or not sleep any more. */
  settle(item: T): void {
    const under = item.asleep && !item.leading ? item.leader : undefined;
    const before = this.#restsUnder.get(item);
    if (before !== under) {
      if (before !== undefined) this.#under.get(before)?.delete(item);
      if (under === undefined) this.#restsUnder.delete(item);
      else {
        this.#restsUnder.set(item, under);
        const there = this.#under.get(under) ?? new Set();
        this.#under.set(under, there.add(item));
      }
    }
    if (item.asleep && item.leading) this.#led.add(item);
    else this.#led.delete(item);
  }

  /** It is closed on this node. Returns the node under which it slept as a follower, if it did. */
  forget(item: T): string | undefined {
    const under = this.#restsUnder.get(item);
    if (under !== undefined) this.#under.get(under)?.delete(item);
    this.#restsUnder.delete(item);
    this.#led.delete(item);
    this.#standing.delete(item);
    return under;
  }

  /** This node's beats do not reach us any more; or they do again: then its leaders are given the time to say so themselves, `waitMs`. */
  lost(node: string, waitMs = 0): void {
    const first: Waking<T>[] = [];
    const later: Waking<T>[] = [];
    for (const item of this.#under.get(node) ?? []) {
      const place = placeInLine(item, this.#self, node);
      (place === 0 ? first : later).push({ item, under: node, waitMs: waitMs + place * this.#successionMs });
    }
    this.#toWake = [...this.#toWake, ...first, ...later];
  }

  /** What our own reigns rest on with this node has changed. */
  changed(node: string): void {
    const waiting = new Set(this.#leadersToWake);
    for (const item of this.#led) if (item.votes(node) && !waiting.has(item)) this.#leadersToWake.push(item);
  }

  /** Wakes whose turn it is. */
  tick(nowMs: number): void {
    for (const item of this.#leadersToWake.splice(0, leadersAtOnceMax)) if (item.leading) item.wake(0);
    for (const [item, sinceMs] of this.#standing) {
      if (item.leader !== undefined || nowMs - sinceMs > standingMaxMs) this.#standing.delete(item);
    }
    let next = 0;
    while (next < this.#toWake.length && this.#standing.size < standingMax) {
      const { item, under, waitMs } = this.#toWake[next++] as Waking<T>;
      // Somebody else was elected meanwhile, or it was closed.
      if (this.#restsUnder.get(item) !== under) continue;
      item.wake(waitMs);
      this.#standing.set(item, nowMs);
    }
    if (next > 0) this.#toWake.splice(0, next);
  }
}
