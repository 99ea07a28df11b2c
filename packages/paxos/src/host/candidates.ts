import { placeInLine, type Succession } from "./succession.js";
import { Window } from "./window.js";

/** What is looked at of a replica that may want to lead. */
export interface Candidate extends Succession {
  /** It asks for votes. */
  readonly standing: boolean;
  /** Who leads, as far as is known. */
  readonly leader: string | undefined;
  /** It would stand, but for its turn. Written here, by nobody else. */
  queued: boolean;
  /** It follows nobody any more, and would stand if it were called now. */
  wouldStand(nowMs: number): boolean;
  /** Does what has fallen due; of one that is queued not its election. */
  tick(nowMs: number): void;
}

const atOnce = { first: 64, min: 16, max: 256 };

/**
 * When a node is gone, or has just begun, thousands of groups want a leader in the same moment. All asking at once, none would have an answer before it gives up and asks again, and nodes
 * that are busy with questions nobody waits for any more elect nobody, for ever. So only so many of a node's groups stand at a time; the others wait for their turn,
 * first those in which this node is next in line (the line begins elsewhere for each group). How many is found out (`Window`): a
 * success is one that finds a leader, a failure one that had no answer in time.
 */
export class Candidates<T extends Candidate> {
  readonly #self: string;
  readonly #standing = new Set<T>();
  /** Who is queued, by this node's place in line; and some who no longer are. */
  readonly #lines: T[][] = [];
  readonly #window: Window;
  waiting = 0;

  /** `patienceMs`: how long one waits for its votes. What fails within as much time fails for one reason. */
  constructor(self: string, patienceMs: number) {
    this.#self = self;
    this.#window = new Window({ ...atOnce, patienceMs });
  }

  /** How many may stand at once. */
  get window(): number {
    return this.#window.size;
  }

  /** Its time has come. */
  due(item: T, nowMs: number): void {
    if (item.queued || !item.wouldStand(nowMs)) this.#call(item, nowMs);
    else if (this.waiting === 0 && this.#standing.size < this.window) this.#call(item, nowMs);
    else {
      item.queued = true;
      this.waiting++;
      const place = placeInLine(item, this.#self);
      while (this.#lines.length <= place) this.#lines.push([]);
      this.#lines[place]?.push(item);
      item.tick(nowMs);
    }
  }

  /** Something has happened to it. */
  settle(item: T): void {
    if (item.standing) {
      // It was handed the lead: in line it would be called for nothing, not even to beat.
      if (item.queued) this.#leave(item);
      this.#standing.add(item);
    } else if (this.#standing.delete(item) && item.leader !== undefined) {
      this.#window.succeeded();
    }
  }

  /** Calls those whose turn it is. */
  tick(nowMs: number): void {
    if (this.waiting === 0) return;
    while (this.waiting > 0 && this.#standing.size < this.window) {
      const item = this.#lines.find((line) => line.length > 0)?.shift();
      if (item?.queued !== true) continue;
      this.#leave(item);
      // Somebody else may have been elected meanwhile: then there is nothing to do.
      this.#call(item, nowMs);
    }
  }

  /** It is closed on this node. */
  forget(item: T): void {
    this.#standing.delete(item);
    if (item.queued) this.#leave(item);
  }

  #leave(item: T): void {
    item.queued = false;
    // Those that left the line without being called are not to be kept by it.
    if (--this.waiting === 0) this.#lines.length = 0;
  }

  #call(item: T, nowMs: number): void {
    const stood = this.#standing.has(item);
    item.tick(nowMs);
    this.settle(item);
    // It has given up, for want of answers.
    if (stood && !item.standing && item.leader === undefined) this.#window.failed(nowMs);
  }
}
