import type { Proposal } from "./types.js";

/** Where none wait, in all groups; never written to. */
const none: Proposal[] = [];

/** Proposals that wait for room in the pipeline, first come, first served; taking one costs the same however many wait. */
export class ProposalQueue {
  #waiting = none;
  #head = 0;
  /** Of their commands. */
  bytes = 0;

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  push(proposal: Proposal): void {
    // One alone in an array of one: the first push makes room for seventeen.
    if (this.#waiting.length === 0) this.#waiting = [proposal];
    else this.#waiting.push(proposal);
    this.bytes += proposal.command.length;
  }

  shift(): Proposal | undefined {
    const next = this.#waiting[this.#head];
    if (next === undefined) return undefined;
    this.#head++;
    this.bytes -= next.command.length;
    if (this.#head === this.#waiting.length || this.#head > 4096) {
      this.#waiting = this.#head === this.#waiting.length ? none : this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}
