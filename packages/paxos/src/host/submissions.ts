import type { Ballot } from "../core/ballot.js";
import type { Members, Proposal } from "../core/types.js";
import type { Submitted } from "./group.js";
import { Proposals } from "./proposals.js";

/** What callers have submitted here: first gathered for the turn, then under way until applied. */
export class Submissions<R> {
  readonly under: Proposals<R>;
  #gathered: Proposal[] = [];
  /** Slot of the newest one submitted in this ballot. */
  #last = 0;

  constructor(bounds: { countMax: number; bytesMax: number }) {
    this.under = new Proposals(bounds);
  }

  /** The leader appends in the order of the calls and nobody else appends in its ballot: the slot is known before the core is asked. */
  add(command: Uint8Array, { logEnd, ballot }: { logEnd: number; ballot: Ballot }, members?: Members): Submitted<R> {
    const slot = (this.under.count > 0 ? this.#last : logEnd) + 1;
    this.#last = slot;
    const done = this.under.add(slot, ballot, command.length);
    this.#gathered.push(members === undefined ? { id: slot, command } : { id: slot, command, members });
    return { slot, ballot, done };
  }

  /** The turn is over: what was gathered in it. */
  take(): readonly Proposal[] {
    const gathered = this.#gathered;
    this.#gathered = [];
    return gathered;
  }
}
