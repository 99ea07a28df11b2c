import { checkOptions } from "../core/check-options.js";
import type { MemberRole } from "../core/configuration.js";
import { badArgument } from "../core/errors.js";
import type { StateMachine } from "./state-machine.js";
import { stateless } from "./stateless.js";

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

const optionNames: Record<keyof JoinOptions<unknown>, 0> = { members: 0, role: 0, stateMachine: 0, clientsMax: 0 };

/** @throws PaxosError ERR_PAXOS_ARGUMENT */
export function checkedJoin<R>(options: JoinOptions<R>, nodeId: string) {
  options = checkOptions("join", options, optionNames);
  const { members, role = "storage" } = options;
  if (!Array.isArray(members) || (options.role === undefined && !members.includes(nodeId))) {
    throw badArgument("members", `node ids, ${nodeId} among them`, members);
  }
  if (role !== "storage" && role !== "log") throw badArgument("role", '"storage" or "log"', role);
  const machine: StateMachine<R> | undefined = role === "log" ? stateless : options.stateMachine;
  if (role === "log" && options.stateMachine) throw badArgument("stateMachine", "absent with role log", "one");
  if (role === "log" && options.clientsMax !== undefined)
    throw badArgument("clientsMax", "absent with role log", options.clientsMax);
  if (typeof machine?.apply !== "function") throw badArgument("stateMachine", "an object with apply", machine);
  return { members, role, machine };
}
