import { type Configuration, markIn, nodesOf } from "./configuration.js";

/**
 * Which sets of nodes decide under one configuration, as this node sees it. Everything that counts votes, acceptances or
 * lease grants asks here: any majority of all acceptors, storage and log replicas alike.
 */
export interface Membership {
  readonly self: string;
  readonly configuration: Configuration;
  /** Everyone who votes, sorted. */
  readonly members: readonly string[];
  /** Everyone who votes, but this node. */
  readonly peers: readonly string[];
  /** Size of the smallest quorum. */
  readonly quorum: number;
  /** Whether this node is a storage replica here: only those lead. */
  readonly mayLead: boolean;
  /** Whether this node votes here. */
  readonly votes: boolean;
  /** The mark by which it does; undefined where it is known by its name alone. */
  readonly mark: string | undefined;
}

/** As whom a node has spoken: what it says counts for nobody else. */
export interface Speaker {
  /** The mark under which its log was born; absent where it speaks by its name alone. */
  readonly mark?: string;
  /** It has no voice by its name alone. */
  readonly mute?: boolean;
}

export function membership(self: string, configuration: Configuration): Membership {
  const members = nodesOf(configuration);
  return {
    self,
    configuration,
    members,
    peers: members.filter((node) => node !== self),
    quorum: majority(members.length),
    mayLead: configuration.storage.includes(self),
    votes: members.includes(self),
    mark: markIn(configuration, self),
  };
}

/**
 * Whether what `said` counts for a member that is known by `mark`, or by its name alone. A name under two marks is two acceptors: one that lost its disk, and one that
 * has never voted.
 */
export function isMeant(mark: string | undefined, said: Speaker): boolean {
  return mark === undefined ? said.mute !== true : said.mark === mark;
}

function majority(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** Whether these nodes hold a quorum. Names that do not vote, or come twice, count for nothing. */
export function isQuorum({ members, quorum }: Membership, nodes: ReadonlySet<string>): boolean {
  let count = 0;
  for (const node of members) if (nodes.has(node)) count++;
  return count >= quorum;
}

/**
 * The highest value that a quorum has reached, each member's own standing for all below it. `self` is this node's value,
 * `peers` the other voters' (in any order, one value a peer: this is why an answer that comes twice cannot count twice).
 */
export function reachedByQuorum(members: Membership, self: number, peers: readonly number[]): number {
  // Selection without sorting: groups have three to seven members, and this runs for every answer.
  let best = Number.NEGATIVE_INFINITY;
  for (let i = -1; i < peers.length; i++) {
    const candidate = i < 0 ? self : (peers[i] as number);
    if (candidate <= best) continue;
    let reached = self >= candidate ? 1 : 0;
    // Not `for of`: over small whole numbers here and fractions there the compiler leaves that to the iterator, which makes an object of each step.
    for (let j = 0; j < peers.length; j++) if ((peers[j] as number) >= candidate) reached++;
    if (reached >= members.quorum) best = candidate;
  }
  return best;
}

/** Whether every quorum of the one meets every quorum of the other: no two of them fit side by side. */
export function quorumsMeet(a: Configuration, b: Configuration): boolean {
  const [left, right] = [nodesOf(a), nodesOf(b)];
  const shared = left.filter((node) => right.includes(node)).length;
  // Each quorum takes what it can from the nodes that the other does not have; the rest has to come out of the shared ones.
  const need = (size: number) => Math.max(0, majority(size) - (size - shared));
  return need(left.length) + need(right.length) > shared;
}
