/** Names one unbroken run of a leader node's beats at a follower node; the follower's word for it. Never used twice. */
export interface BondId {
  /** Of the follower's process. */
  readonly life: number;
  readonly turn: number;
}

export const noBond: BondId = Object.freeze({ life: 0, turn: 0 });

export function sameBond(a: BondId, b: BondId): boolean {
  return a.turn === b.turn && a.life === b.life;
}
