import type { Ballot } from "./ballot.js";
import { encodeConfiguration, following, type MemberRole } from "./configuration.js";
import { noopEntry } from "./log.js";
import { refusal } from "./members.js";
import type { Progress } from "./peers.js";
import type { Replica } from "./replica.js";
import type { Entry, Members, Proposal } from "./types.js";

/** What the guards ask of the reign in which a change is made. */
export interface Reign {
  readonly ballot: Ballot;
  readonly begun: boolean;
  /** Whether whoever joins can do so by its mark: everybody reads it. Undefined while that is not known. */
  readonly marks: boolean | undefined;
  /** G4. */
  readyFor(node: string, role: MemberRole): boolean;
  /** G5. */
  heldBy(storage: readonly string[]): boolean;
  progressOf(node: string): Progress | undefined;
}

/** The entry of a change of members, or the noop that takes its slot when a guard forbids it. */
export function changeEntry(replica: Replica, reign: Reign, { id, members }: Proposal, slot: number): Entry {
  const { membership, effects, self, knownChosen } = replica;
  const { configuration } = membership;
  const { ballot, marks } = reign;
  // The very mark by which it has been heard in this reign; where one could not read it, all know it by its name alone, as ever.
  const markOf = (node: string) => (marks === true ? reign.progressOf(node)?.mark : undefined);
  const next = following(configuration, members as Members, slot, markOf);
  const reason = refusal({
    self,
    before: configuration,
    next,
    // G1: two changes that are both undecided could leave quorums two steps apart, which need not meet.
    currentChosen: configuration.slot <= knownChosen,
    // G2: a rival's undecided change of an earlier ballot can come back until a quorum has taken over our log.
    reignBegun: reign.begun,
    // G4: a member that lacks the log's end would stop every write until it has it.
    ready: (node, role) => reign.readyFor(node, role),
    // G5: who leaves may be the second of two that hold what log replicas have let go of.
    held: (storage) => reign.heldBy(storage),
  });
  if (reason === undefined) return { slot, ballot, kind: "config", command: encodeConfiguration(next) };
  effects.push({ type: "rejected", id, reason, leader: self });
  return noopEntry(slot, ballot);
}
