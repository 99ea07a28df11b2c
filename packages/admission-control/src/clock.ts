import type { Clock, Timer } from "@evenkeel/token-bucket";
import { argumentError } from "./core/errors.js";

/** The longest delay that `setTimeout` takes. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** The monotonic clock of the process, or the caller's own. */
export function clockFrom(now: Clock | undefined): Clock {
  if (now === undefined) return systemClock;
  if (typeof now !== "function") throw argumentError("now", "a function that returns milliseconds", now);
  // Node refuses to call `performance.now` without its `performance`.
  return now === performance.now ? systemClock : now;
}

function systemClock(): number {
  return performance.now();
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
export const systemTimer: Timer = (delayMs, fire) => {
  const timer = setTimeout(fire, Math.min(Math.ceil(delayMs), DELAY_MAX_MS));
  timer.unref();
  return () => clearTimeout(timer);
};
