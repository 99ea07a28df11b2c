import type { MemberRole } from "../core/configuration.js";
import type { StateMachine } from "./state-machine.js";

export interface JoinOptions<R> {
  /**
   * The nodes with which the group was founded, the same on every node for the group's whole life: who is a member today stands in its log. This
   * node is among them, unless `role` is given: then it waits until the leader makes it a member.
   */
  readonly members: readonly string[];
  /** "storage" votes, holds the state machine and may lead; "log" votes and keeps the recent log, nothing else. "storage" unless told. */
  readonly role?: MemberRole;
  /** None for a log replica. */
  readonly stateMachine?: StateMachine<R>;
  /**
   * Has the group remember this many clients (up to 2^20), so that a command that is proposed again is not carried out again: see `Group.register`. About 100 bytes each, and at most 16 MiB
   * of results for all. The same on every node; a member that is joined without it keeps the others from beginning, and stops once they have. Not for log replicas. Absent: none.
   */
  readonly clientsMax?: number;
}
