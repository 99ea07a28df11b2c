import { type Clock, clockFrom as clockOf, systemTimer as timerFor, type Timer } from "@evenkeel/token-bucket";
import { argumentError } from "./core/errors.js";

/** The monotonic clock of the process, or the caller's own. */
export function clockFrom(now: Clock | undefined): Clock {
  if (now !== undefined && typeof now !== "function") {
    throw argumentError("now", "a function that returns milliseconds", now);
  }
  return clockOf(now);
}

/** A clock that never steps back: when the one beneath does, it goes on from where it was. */
export function steady(now: Clock): Clock {
  let last = now();
  let ahead = 0;
  return () => {
    const time = now();
    if (time < last) ahead += last - time;
    last = time;
    return time + ahead;
  };
}

/** `setTimeout` that keeps no process alive. */
export const systemTimer: Timer = timerFor(false);
