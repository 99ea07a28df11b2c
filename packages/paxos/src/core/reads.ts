import type { Replica } from "./replica.js";

/** Where none wait, in all groups; never written to. */
const none: number[] = [];

/**
 * Reads of one reign that wait: for the leader's first own entry to be chosen, then for the lease, or for a round of
 * heartbeats that began after they arrived. A read belongs to this reign and this round only; it is never carried over.
 */
export class Reads {
  readonly #replica: Replica;
  /** Waiting for the round `#asked`, begun after the last of them came. */
  #inRound = none;
  /** Came later: need the next round. */
  #next = none;
  #asked = 0;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get waiting(): number {
    return this.#inRound.length + this.#next.length;
  }

  add(id: number): boolean {
    const { effects, settings, self } = this.#replica;
    if (this.waiting >= settings.readsMax) {
      effects.push({ type: "rejected", id, reason: "overloaded", leader: self });
      return false;
    }
    if (this.#next.length === 0) this.#next = [id];
    else this.#next.push(id);
    return true;
  }

  /** The lease holds now, later than any of them came. */
  answerAll(): void {
    this.#answer(this.#inRound);
    this.#answer(this.#next);
    this.#inRound = none;
    this.#next = none;
  }

  /** A quorum has answered round `round`. */
  answerThrough(round: number): void {
    if (this.#inRound.length === 0 || round < this.#asked) return;
    this.#answer(this.#inRound);
    this.#inRound = none;
  }

  /** One round at a time is under way; what comes meanwhile shares the next. */
  get wantsRound(): boolean {
    return this.#inRound.length === 0 && this.#next.length > 0;
  }

  askedIn(round: number): void {
    this.#inRound = this.#next;
    this.#next = none;
    this.#asked = round;
  }

  rejectAll(): void {
    for (const ids of [this.#inRound, this.#next]) {
      for (const id of ids) {
        this.#replica.effects.push({ type: "rejected", id, reason: "not-leader", leader: undefined });
      }
    }
    this.#inRound = none;
    this.#next = none;
  }

  #answer(ids: readonly number[]): void {
    const { effects, chosenThrough } = this.#replica;
    for (const id of ids) effects.push({ type: "readable", id, slot: chosenThrough });
  }
}
