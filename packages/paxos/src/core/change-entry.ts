import type { Ballot } from "./ballot.js";
import { encodeConfiguration, following } from "./configuration.js";
import { noopEntry } from "./log.js";
import { refusal } from "./members.js";
import type { Progress } from "./peers.js";
import type { Replica } from "./replica.js";
import type { Entry, Members, Proposal } from "./types.js";

/** What the guards ask of the reign in which a change is made. */
export interface Reign {
  readonly ballot: Ballot;
  readonly begun: boolean;
  progressOf(node: string): Progress | undefined;
}

/** The entry of a change of members, or the noop that takes its slot when a guard forbids it. */
export function changeEntry(replica: Replica, reign: Reign, { id, members }: Proposal, slot: number): Entry {
  const { membership, effects, self, knownChosen } = replica;
  const { configuration } = membership;
  const next = following(configuration, members as Members, slot);
  const { ballot } = reign;
  const reason = refusal({
    self,
    before: configuration,
    next,
    // G1: two changes that are both undecided could leave quorums two steps apart, which need not meet.
    currentChosen: configuration.slot <= knownChosen,
    // G2: a rival's undecided change of an earlier ballot can come back until a quorum has taken over our log.
    reignBegun: reign.begun,
    // G4: a member that lacks the log's end would stop every write until it has it.
    ready: (node, role) => {
      if (node === self) return true;
      const progress = reign.progressOf(node);
      return progress?.holdsTail === true && !(role === "storage" && progress.lacksState);
    },
  });
  if (reason === undefined) return { slot, ballot, kind: "config", command: encodeConfiguration(next) };
  effects.push({ type: "rejected", id, reason, leader: self });
  return noopEntry(slot, ballot);
}
