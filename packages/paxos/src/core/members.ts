import { type Configuration, type MemberRole, membersMax, nodesOf, roleIn } from "./configuration.js";
import { quorumsMeet } from "./quorum.js";
import type { Members, RejectReason } from "./types.js";

export interface Change {
  /** The leader that is asked. */
  readonly self: string;
  readonly before: Configuration;
  readonly next: Configuration;
  /** G1: whether the configuration in force is chosen. */
  readonly currentChosen: boolean;
  /** G2: whether something of this reign is chosen. */
  readonly reignBegun: boolean;
  /** Whether a node holds the log's end (and, for storage, the state). */
  readonly ready: (node: string, role: MemberRole) => boolean;
  /** Whether one of these, beside the leader, holds all that log replicas may have let go of. */
  readonly held: (storage: readonly string[]) => boolean;
}

/** Why a change of members must not be made now, or never; undefined when it may. */
export function refusal({
  self,
  before,
  next,
  currentChosen,
  reignBegun,
  ready,
  held,
}: Change): RejectReason | undefined {
  if (!wellFormed(next) || !next.storage.includes(self)) return "unsafe";
  const nodes = nodesOf(next);
  // A name that has left may have forgotten what it promised under it.
  if (nodes.some((node) => before.departed.includes(node))) return "unsafe";
  // A storage replica's log is taken as a copy that lasts; it does not become one that may be let go.
  if (next.log.some((node) => before.storage.includes(node))) return "unsafe";
  // The state itself must be held twice before votes come from who does not hold it.
  if (next.log.length > 0 && next.storage.length < 2) return "unsafe";
  // G3
  if (!quorumsMeet(before, next)) return "unsafe";
  if (!currentChosen || !reignBegun) return "unchosen";
  // G5
  const leaves = before.storage.some((node) => !next.storage.includes(node));
  if (leaves && next.log.length > 0 && !held(next.storage)) return "behind";
  const changed = nodes.filter((node) => roleIn(before, node) !== roleIn(next, node));
  return changed.every((node) => ready(node, roleIn(next, node) as MemberRole)) ? undefined : "behind";
}

/**
 * The next step from the members in force towards the wanted ones: first whoever is new is added, then whoever is
 * superfluous leaves, one at a time, so that the quorums of each step meet those of the one before. Undefined when
 * nothing is left to do.
 */
export function stepTowards(current: Members, wanted: Members): Members | undefined {
  const storage = [...current.storage];
  const log = [...current.log];
  const added =
    wanted.storage.find((node) => !storage.includes(node)) ?? wanted.log.find((node) => !log.includes(node));
  if (added !== undefined) {
    if (!wanted.storage.includes(added)) return { storage, log: [...log, added] };
    return { storage: [...storage, added], log: log.filter((node) => node !== added) };
  }
  const superfluous = [...storage, ...log].find((node) => !wanted.storage.includes(node) && !wanted.log.includes(node));
  if (superfluous === undefined) return undefined;
  const stays = (node: string) => node !== superfluous;
  return { storage: storage.filter(stays), log: log.filter(stays) };
}

function wellFormed({ storage, log }: Configuration): boolean {
  const nodes = [...storage, ...log];
  const named = nodes.every((node) => typeof node === "string" && node.length > 0);
  return named && storage.length > 0 && nodes.length <= membersMax && new Set(nodes).size === nodes.length;
}
