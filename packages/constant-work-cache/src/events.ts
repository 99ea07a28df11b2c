import { type Channel, channel } from "node:diagnostics_channel";
import type { CacheError } from "./errors.js";

const sourceFailed = channel("evenkeel:constant-work-cache:source-failed");

export const refreshesDropped = channel("evenkeel:constant-work-cache:refreshes-dropped");
export const missesRefused = channel("evenkeel:constant-work-cache:misses-refused");

/** `evenkeel:constant-work-cache:source-failed` `{ error, keys }`: a call of the source failed; `keys` look-ups were in it. */
export function publishSourceFailed(error: CacheError, keys: number): void {
  if (sourceFailed.hasSubscribers) sourceFailed.publish({ error, keys });
}

/** Something that happens thousands of times when it happens: published at its beginning (`{ active: true }`), and after a turn without it. */
export class Spell {
  readonly #channel: Channel;
  #active = false;
  #inThisTurn = false;

  constructor(told: Channel) {
    this.#channel = told;
  }

  goesOn(): void {
    this.#inThisTurn = true;
    if (this.#active) return;
    this.#active = true;
    this.#channel.publish({ active: true });
  }

  turnEnds(): void {
    if (this.#active && !this.#inThisTurn) {
      this.#active = false;
      this.#channel.publish({ active: false });
    }
    this.#inThisTurn = false;
  }
}
