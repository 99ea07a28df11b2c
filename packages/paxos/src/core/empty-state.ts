import { BALLOT_ZERO } from "./ballot.js";
import type { PersistedState } from "./types.js";

/** What a new replica finds on its empty disk. */
export const EMPTY_STATE: PersistedState = Object.freeze({
  promised: BALLOT_ZERO,
  accepted: BALLOT_ZERO,
  trimmedThrough: 0,
  chosenThrough: 0,
  entries: [],
});
