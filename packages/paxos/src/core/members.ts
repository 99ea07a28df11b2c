import { type Configuration, type MemberRole, membersMax, nodesOf, roleIn } from "./configuration.js";
import { quorumsMeet } from "./quorum.js";
import type { RejectReason } from "./types.js";

export interface Change {
  /** The leader that is asked. */
  readonly self: string;
  readonly before: Configuration;
  readonly next: Configuration;
  /** Whether the configuration in force, and something of this reign, is chosen. */
  readonly settled: boolean;
  /** Whether a node holds the log's end (and, for storage, the state). */
  readonly ready: (node: string, role: MemberRole) => boolean;
}

/** Why a change of members must not be made now, or never; undefined when it may. */
export function refusal({ self, before, next, settled, ready }: Change): RejectReason | undefined {
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
  if (!settled) return "unchosen";
  const changed = nodes.filter((node) => roleIn(before, node) !== roleIn(next, node));
  return changed.every((node) => ready(node, roleIn(next, node) as MemberRole)) ? undefined : "behind";
}

function wellFormed({ storage, log }: Configuration): boolean {
  const nodes = [...storage, ...log];
  const named = nodes.every((node) => typeof node === "string" && node.length > 0);
  return named && storage.length > 0 && nodes.length <= membersMax && new Set(nodes).size === nodes.length;
}
