import { channel } from "node:diagnostics_channel";
import type { CacheError } from "./errors.js";

const sourceFailed = channel("evenkeel:constant-work-cache:source-failed");

/** `evenkeel:constant-work-cache:source-failed` `{ error, keys }`: a call of the source failed; `keys` look-ups were in it. */
export function publishSourceFailed(error: CacheError, keys: number): void {
  if (sourceFailed.hasSubscribers) sourceFailed.publish({ error, keys });
}

/** Something that happens thousands of times when it happens: published at its beginning (`{ active: true }`), and after a turn without it. */
export class Spell {
  readonly #channel;
  #active = false;
  #inThisTurn = false;

  constructor(event: "refreshes-dropped" | "misses-refused") {
    this.#channel = channel(`evenkeel:constant-work-cache:${event}`);
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
