import { PaxosError } from "../core/errors.js";
import type { PersistedState } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { storedEntries } from "./entries.js";
import { asFailure } from "./failure.js";
import type { StateMachine } from "./state-machine.js";

/**
 * Brings log and state machine together after a start. An applied slot is a chosen one, so the higher of both positions counts as chosen; what
 * the state machine lacks below it comes out of the log, in bounded pieces. What is chosen above it, the protocol finds out anew.
 */
export async function recover<R>(
  groupId: string,
  storage: GroupStorage,
  machine: StateMachine<R>,
): Promise<{ state: PersistedState; appliedThrough: number }> {
  const loaded = await storage.load();
  const logEnd = loaded.entries.at(-1)?.slot ?? Math.max(loaded.chosenThrough, loaded.trimmedThrough);
  let { appliedThrough } = machine;
  if (appliedThrough > logEnd) {
    throw new PaxosError(
      "ERR_PAXOS_CORRUPT",
      `group ${groupId}: the state machine has applied slot ${appliedThrough} but the log ends at ${logEnd}: this log has lost records, and a replica that forgets does not vote`,
    );
  }
  if (appliedThrough < loaded.trimmedThrough) {
    throw new PaxosError(
      "ERR_PAXOS_TRIMMED",
      `group ${groupId}: the state machine has applied through slot ${appliedThrough}, but the log begins only after ${loaded.trimmedThrough}`,
    );
  }
  const chosenThrough = Math.max(loaded.chosenThrough, appliedThrough);
  for await (const entry of storedEntries(storage, appliedThrough + 1, chosenThrough)) {
    try {
      if (entry.kind === "command") machine.apply(entry);
      machine.advance?.(entry.slot);
    } catch (cause) {
      throw asFailure("ERR_PAXOS_APPLY", groupId, `replay of slot ${entry.slot} threw`, cause);
    }
    appliedThrough = entry.slot;
  }
  return { state: { ...loaded, chosenThrough }, appliedThrough };
}
