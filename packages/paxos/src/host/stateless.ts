import { PaxosError } from "../core/errors.js";
import type { StateMachine } from "./state-machine.js";

/** A log replica's. */
export const stateless: StateMachine<never> = {
  appliedThrough: 0,
  apply: () => {
    throw new PaxosError("ERR_PAXOS_INVARIANT", "a log replica applies nothing");
  },
};
