import type { PersistedState, Position } from "../../../src/core/index.js";
import { interrupted } from "../../../src/host/recover.js";
import { type Disk, folded } from "./disks.js";

/** A replica's state on its way to another: whole, and checked as a whole, so that nothing but its slot matters. */
export interface SnapshotLetter {
  readonly type: "snapshot";
  readonly position: Position;
}

/** Under way in memory: noted in the log, then the state machine's disk is switched, then the log begins anew. A crash may come between any two of these. */
export interface Install {
  readonly position: Position;
  readonly switched: boolean;
}

export interface Restarted {
  readonly disk: Disk;
  readonly wrong: string | undefined;
}

/** What the host makes of log and state machine at a start, by its own rule; and what must never be found there. */
export function restarted(disk: Disk, keepsLog: boolean): Restarted {
  const { machine, note } = disk;
  let { state } = disk;
  if (machine === undefined) return { disk: { state, pending: [] }, wrong: undefined };
  const jump = interrupted({ ...state, ...(note === undefined ? {} : { installing: note }) }, machine);
  const held = state.entries.some(({ slot }) => slot === machine);
  if (jump !== undefined && !(keepsLog && held)) state = folded(state, { reset: jump, chosenThrough: jump.slot });
  const end = state.entries.at(-1)?.slot ?? Math.max(state.chosenThrough, state.trimmedThrough);
  let wrong: string | undefined;
  if (machine > end) wrong = `has applied slot ${machine}, and its log ends at ${end}`;
  if (machine < state.trimmedThrough)
    wrong = `has applied slot ${machine}, and its log begins behind ${state.trimmedThrough}`;
  state = { ...state, chosenThrough: Math.max(state.chosenThrough, machine) };
  const again = jump !== undefined || disk.interrupted === true;
  return { disk: { ...disk, state, pending: [], ...(again ? { interrupted: true } : {}) }, wrong };
}

/** The log without what is in the state machine's disk. */
export function trimmedLog(state: PersistedState, base: Position): PersistedState {
  const { slot, configuration } = base;
  return {
    ...state,
    base,
    trimmedThrough: slot,
    chosenThrough: Math.max(state.chosenThrough, slot),
    entries: state.entries.filter((entry) => entry.slot > slot),
    ...(configuration.slot > 0 ? { configuration } : {}),
  };
}
