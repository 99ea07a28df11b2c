/**
 * A ballot names one attempt of one node to lead. Nodes never use a ballot twice: before a candidate sends its first
 * `prepare` it has its own promise for that ballot on disk, and after a restart it only takes rounds above that.
 */
export interface Ballot {
  readonly round: number;
  /** Node id of the candidate; "" only in `BALLOT_ZERO`. */
  readonly node: string;
}

/** Below every ballot that a node can take: nothing promised, nothing accepted. */
export const BALLOT_ZERO: Ballot = Object.freeze({ round: 0, node: "" });

/** Total order: by round, then by node id (code units, the same everywhere). Negative, zero or positive. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.round !== b.round) return a.round - b.round;
  return a.node === b.node ? 0 : a.node < b.node ? -1 : 1;
}

/** Whether two ballots are the same attempt. */
export function sameBallot(a: Ballot, b: Ballot): boolean {
  return a.round === b.round && a.node === b.node;
}
