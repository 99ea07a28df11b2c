/** So many sleepers may always wait for as long as they are told to. */
export const unpackedMax = 1000;
/** So many of those packed before their time are remembered: by so many can the room grow, to some 350 MB of replicas where that many are used in turn. */
const rememberedMax = 16 * 1024;
const lookEveryMs = 1000;
/** What of the surplus is given up after a second in which nobody was packed too early. */
const surplusShare = 1 / 64;

/**
 * How many groups that sleep may stay unpacked at one time. A node of a million quiet groups should not hold more than a few of them; but one on which some thousand are asked for in turn, each every few seconds,
 * would do little else than pack what is wanted again before long, and being slow at that would make the pauses longer still. So each group that is asked for again before it would have been packed by its age
 * makes room for one more, and room for which nobody comes back is given up by and by. (The list of ghosts of ARC, Megiddo and Modha, FAST 2003.)
 */
export class ElbowRoom<T> {
  /** Packed before their time, oldest first, and until when they could have stayed. */
  readonly #early = new Map<T, number>();
  #room = unpackedMax;
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #regretted = false;

  get room(): number {
    return this.#room;
  }

  /** It is packed, though it could have stayed until `untilMs`. */
  packedEarly(item: T, untilMs: number): void {
    this.#early.delete(item);
    this.#early.set(item, untilMs);
    if (this.#early.size <= rememberedMax) return;
    for (const eldest of this.#early.keys()) {
      this.#early.delete(eldest);
      return;
    }
  }

  /** Somebody wants it. */
  wanted(item: T, nowMs: number): void {
    const untilMs = this.#early.get(item);
    if (untilMs === undefined) return;
    this.#early.delete(item);
    if (nowMs > untilMs) return;
    this.#regretted = true;
    if (this.#room < unpackedMax + rememberedMax) this.#room++;
  }

  /** It is closed on this node. */
  forget(item: T): void {
    this.#early.delete(item);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + lookEveryMs;
    for (const [eldest, untilMs] of this.#early) {
      if (untilMs >= nowMs) break;
      this.#early.delete(eldest);
    }
    if (!this.#regretted) this.#room -= Math.ceil((this.#room - unpackedMax) * surplusShare);
    this.#regretted = false;
  }
}
