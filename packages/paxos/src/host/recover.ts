import { sameBallot } from "../core/ballot.js";
import type { MemberRole } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Position } from "../core/types.js";
import type { GroupStorage, LoadedState } from "../storage/storage.js";
import { storedEntries } from "./entries.js";
import { Executor } from "./executor.js";
import { applyThrew } from "./failure.js";
import type { StateMachine } from "./state-machine.js";

export interface Recovered {
  readonly state: LoadedState;
  readonly appliedThrough: number;
  /** The state machine lacks what the log has let go of: it has to wait for a snapshot. */
  readonly behind: boolean;
}

/**
 * Brings log and state machine together after a start. An applied slot is a chosen one, so the higher of both positions counts as chosen; what
 * the state machine lacks below it comes out of the log, in bounded pieces. What is chosen above it, the protocol finds out anew.
 */
export async function recover<R>(
  groupId: string,
  storage: GroupStorage,
  machine: StateMachine<R>,
  role: MemberRole,
  executor = new Executor(groupId, machine),
): Promise<Recovered> {
  let loaded = await storage.load();
  if (role === "log") return { state: loaded, appliedThrough: loaded.chosenThrough, behind: false };
  let { appliedThrough } = machine;
  const jump = interrupted(loaded, appliedThrough);
  if (jump !== undefined) {
    await storage.write({ reset: jump, chosenThrough: jump.slot });
    loaded = await storage.load();
  }
  const logEnd = loaded.entries.at(-1)?.slot ?? Math.max(loaded.chosenThrough, loaded.trimmedThrough);
  if (appliedThrough > logEnd) {
    throw new PaxosError(
      "ERR_PAXOS_CORRUPT",
      `group ${groupId}: the state machine has applied slot ${appliedThrough} but the log ends at ${logEnd}: this log has lost records, and a replica that forgets does not vote`,
    );
  }
  if (appliedThrough < loaded.trimmedThrough) {
    if (machine.install) return { state: loaded, appliedThrough, behind: true };
    throw new PaxosError(
      "ERR_PAXOS_TRIMMED",
      `group ${groupId}: the state machine has applied through slot ${appliedThrough}, but the log begins only after ${loaded.trimmedThrough}, and it cannot install a snapshot`,
    );
  }
  const chosenThrough = Math.max(loaded.chosenThrough, appliedThrough);
  for await (const entry of storedEntries(storage, appliedThrough + 1, chosenThrough)) {
    for (let room = machine.room?.(); room !== undefined; room = machine.room?.()) await room;
    try {
      executor.execute(entry);
      machine.advance?.(entry.slot, executor.clientTable);
    } catch (cause) {
      throw applyThrew(groupId, `replay of slot ${entry.slot} threw`, cause);
    }
    appliedThrough = entry.slot;
  }
  return { state: { ...loaded, chosenThrough }, appliedThrough, behind: false };
}

/**
 * A crash between the state machine's switch to a snapshot and the log's new beginning leaves a state machine that is ahead of what its log knows
 * as chosen, and a log that may hold something else in those slots. Returns where the log then has to begin.
 */
export function interrupted(
  { installing, chosenThrough, entries }: Pick<LoadedState, "installing" | "chosenThrough" | "entries">,
  appliedThrough: number,
): Position | undefined {
  if (installing === undefined || installing.slot !== appliedThrough || appliedThrough <= chosenThrough)
    return undefined;
  const held = entries.find(({ slot }) => slot === appliedThrough);
  return held !== undefined && sameBallot(held.ballot, installing.ballot) ? undefined : installing;
}
