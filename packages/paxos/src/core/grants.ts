import type { Ballot } from "./ballot.js";
import type { BondId } from "./bond-id.js";
import { FollowerSleep } from "./follower-sleep.js";
import type { FromLeader, Sleep } from "./messages.js";
import type { Press } from "./press.js";
import type { Replica } from "./replica.js";

/** To whom an acceptor has given its word not to elect anybody else, and until when by its own clock. */
export class Grants {
  /** No promise to anybody, and no candidacy, before this: a grant from before a restart may still run. */
  #quietUntilMs: number;
  /** Just promised: no second candidate is encouraged (though none that comes with a `prepare` is refused for this). */
  patienceUntilMs = Number.NEGATIVE_INFINITY;
  readonly #replica: Replica;
  readonly #sleep: FollowerSleep;
  #untilMs = Number.NEGATIVE_INFINITY;
  #to = "";

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#sleep = new FollowerSleep(replica);
    // Who never promised anything, and has not forgotten it either, never granted anything.
    const granted = replica.promised.round > 0 || replica.doubt !== undefined;
    this.#quietUntilMs = granted ? replica.nowMs + replica.settings.leaseMs : Number.NEGATIVE_INFINITY;
  }

  /** Until when the grant that was given last runs. Of one who sleeps the bond renews it. */
  get untilMs(): number {
    return Math.max(this.#untilMs, this.#sleep.boundUntilMs);
  }

  /** Earliest time at which this replica may stand itself. */
  get freeAtMs(): number {
    return Math.max(this.#quietUntilMs, this.untilMs);
  }

  get asleep(): boolean {
    return this.#sleep.asleep;
  }

  /** See `FollowerSleep`. */
  get adrift(): boolean {
    return this.#sleep.adrift;
  }

  /** Whether these could be granted a vote, as far as earlier words go. */
  allow(candidate: string): boolean {
    const { nowMs } = this.#replica;
    return nowMs >= this.#quietUntilMs && (nowMs >= this.untilMs || this.#to === candidate);
  }

  give(leader: string): void {
    const { nowMs, settings } = this.#replica;
    this.#to = leader;
    this.#untilMs = nowMs + settings.leaseMs;
  }

  /** Whoever it was given to has given it back. */
  end(): void {
    this.#untilMs = this.#replica.nowMs;
  }

  fallAsleep(message: Sleep, receivedThrough: number): BondId | undefined {
    return this.#sleep.fall(message, receivedThrough);
  }

  /** The grant runs as long as the bond made it run. */
  rise(): void {
    this.#untilMs = this.untilMs;
    this.#sleep.rise();
  }

  /** See `FollowerSleep`. */
  findsStale(message: FromLeader & { readonly type: string }): boolean {
    return this.#sleep.findsStale(message);
  }

  press(p: Press, following: Ballot | undefined): void {
    const { nowMs } = this.#replica;
    this.#quietUntilMs = p.time(this.#quietUntilMs, nowMs);
    this.patienceUntilMs = p.time(this.patienceUntilMs, nowMs);
    this.#untilMs = p.time(this.#untilMs, nowMs);
    this.#to = p.flag(this.#to === following?.node) ? (following?.node ?? "") : p.name(this.#to);
    this.#sleep.press(p, following);
  }
}
