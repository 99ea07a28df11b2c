/**
 * Which sets of members decide. Everything that counts votes, acceptances or lease grants asks here, so that a change
 * of the rule (weights, a configuration per part of the log) has one place. Today: any majority of the members.
 */
export interface Membership {
  readonly self: string;
  /** Everyone who votes, sorted, this node included. */
  readonly members: readonly string[];
  /** Everyone but this node. */
  readonly peers: readonly string[];
  /** Size of the smallest quorum. */
  readonly quorum: number;
}

export function membership(self: string, members: readonly string[]): Membership {
  const sorted = [...new Set(members)].sort();
  return {
    self,
    members: sorted,
    peers: sorted.filter((node) => node !== self),
    quorum: Math.floor(sorted.length / 2) + 1,
  };
}

/**
 * The highest value that a quorum has reached, each member's own standing for all below it. `self` is this node's value,
 * `peers` the others' (in any order, one value a peer: this is why an answer that comes twice cannot count twice).
 */
export function reachedByQuorum(members: Membership, self: number, peers: readonly number[]): number {
  // Selection without sorting: groups have three to seven members, and this runs for every answer.
  let best = Number.NEGATIVE_INFINITY;
  for (let i = -1; i < peers.length; i++) {
    const candidate = i < 0 ? self : (peers[i] as number);
    if (candidate <= best) continue;
    let reached = self >= candidate ? 1 : 0;
    for (const value of peers) if (value >= candidate) reached++;
    if (reached >= members.quorum) best = candidate;
  }
  return best;
}
