import { type Ballot, sameBallot } from "./ballot.js";
import { type BondId, noBond, sameBond } from "./bond-id.js";
import type { FromLeader, Sleep } from "./messages.js";
import type { Press } from "./press.js";
import type { Replica } from "./replica.js";

/** The follower's half of a group's sleep: in which reign it sleeps, by which round of it, and on which bond with the leader's node. */
export class FollowerSleep {
  readonly #replica: Replica;
  #sleep: { readonly ballot: Ballot; readonly round: number; readonly bond: BondId } | undefined;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get asleep(): boolean {
    return this.#sleep !== undefined;
  }

  /** It sleeps on a bond that is over: nothing binds it any more once its grant has run out. */
  get adrift(): boolean {
    if (this.#sleep === undefined) return false;
    const { ballot, bond } = this.#sleep;
    const now = this.#replica.bonds?.heardFrom(ballot.node);
    return now === undefined || !sameBond(now, bond);
  }

  /** Until when the bond makes the grant run; long ago for who is awake. */
  get boundUntilMs(): number {
    if (this.#sleep === undefined) return Number.NEGATIVE_INFINITY;
    const { ballot, bond } = this.#sleep;
    return this.#replica.bonds?.boundUntilMs(ballot.node, bond) ?? Number.NEGATIVE_INFINITY;
  }

  /** The leader wants nothing more. Returns on which bond this replica sleeps from now on: only one that holds everything does, durably. */
  fall({ ballot, round, logEnd, bond: asked }: Sleep, receivedThrough: number): BondId | undefined {
    const replica = this.#replica;
    const bond = replica.bonds?.heardFrom(ballot.node);
    // A question from before the leader's node was reborn may come late: nobody would ever release who slept in that reign.
    if (bond === undefined || asked === undefined || !sameBond(asked, bond)) return undefined;
    const { log, chosenThrough, writesPending, settings } = replica;
    const current = receivedThrough === logEnd && log.end === logEnd && chosenThrough === logEnd;
    const sound = replica.doubt === undefined && !replica.mute && !replica.departed;
    const whole = settings.role === "log" || !replica.awaitsState;
    if (!current || writesPending > 0 || !sound || !whole) return undefined;
    this.#sleep = { ballot, round, bond };
    return bond;
  }

  rise(): void {
    this.#sleep = undefined;
  }

  press(p: Press, following: Ballot | undefined): void {
    const sleep = this.#sleep;
    if (following === undefined) {
      p.expect(sleep === undefined);
      return;
    }
    p.expect(sleep !== undefined && sameBallot(sleep.ballot, following));
    const round = p.whole(sleep?.round ?? 0);
    this.#sleep = { ballot: following, round, bond: p.bond(sleep?.bond ?? noBond) };
  }

  /**
   * Said before the leader took us for asleep, which it knows by our own word: it counts on our bond, and no grant of ours that could end earlier may
   * take the bond's place. The very question may come twice; the answer may have been lost.
   */
  findsStale({ ballot, round, type }: FromLeader & { readonly type: string }): boolean {
    if (this.#sleep === undefined || !sameBallot(ballot, this.#sleep.ballot)) return false;
    return round < this.#sleep.round || (round === this.#sleep.round && type !== "sleep");
  }
}
