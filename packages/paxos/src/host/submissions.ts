import type { Ballot } from "../core/ballot.js";
import type { Members, Proposal } from "../core/types.js";
import type { Submitted } from "./group.js";
import { Proposals } from "./proposals.js";

// Where nothing was submitted, in all groups; never written to.
const noneGathered: Proposal[] = [];
const noBatches: number[] = [];

/** What callers have submitted here: first gathered for the turn, then under way until applied. */
export class Submissions<R> {
  readonly under: Proposals<R>;
  #gathered = noneGathered;
  /** Slot of the newest one submitted in this ballot. */
  #last = 0;
  /** The last slots of turns that are under way. */
  #batches = noBatches;

  constructor(bounds: { countMax: number; bytesMax: number }) {
    this.under = new Proposals(bounds);
  }

  /** The leader appends in the order of the calls and nobody else appends in its ballot: the slot is known before the core is asked. */
  add(
    command: Uint8Array,
    logEnd: number,
    ballot: Ballot,
    extra?: { readonly members?: Members; readonly once?: boolean },
  ): Submitted<R> {
    const slot = (this.under.count > 0 ? this.#last : logEnd) + 1;
    this.#last = slot;
    const done = this.under.add(slot, ballot, command.length);
    const proposal = extra === undefined ? { id: slot, command } : { id: slot, command, ...extra };
    // One alone in an array of one: the first push makes room for seventeen.
    if (this.#gathered.length === 0) this.#gathered = [proposal];
    else this.#gathered.push(proposal);
    return { slot, ballot, done };
  }

  /** Something waits for its turn. */
  get waiting(): boolean {
    return this.#gathered.length > 0;
  }

  /**
   * The turn is over: what was gathered in it. Nothing while `batchesMax` turns' commands are not applied through here yet: what comes meanwhile gathers into fewer and
   * larger writes and messages, each of which costs as much as dozens of commands.
   */
  turn(appliedThrough: number, batchesMax: number): readonly Proposal[] {
    while ((this.#batches[0] ?? Number.POSITIVE_INFINITY) <= appliedThrough) {
      if (this.#batches.length === 1) this.#batches = noBatches;
      else this.#batches.shift();
    }
    if (this.#gathered.length === 0 || this.#batches.length >= batchesMax) return noneGathered;
    if (this.#batches.length === 0) this.#batches = [this.#last];
    else this.#batches.push(this.#last);
    return this.take();
  }

  /** All that is gathered; whoever takes it decides what becomes of it. */
  take(): readonly Proposal[] {
    const gathered = this.#gathered;
    this.#gathered = noneGathered;
    return gathered;
  }

  /** Leadership has changed: nothing of before is under way any more. */
  forget(): void {
    this.#batches = noBatches;
  }
}
