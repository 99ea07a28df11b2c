import { argumentError } from "./core/errors.js";
import type { Clock, Timer } from "./core/time.js";

/** The longest delay that `setTimeout` takes; a longer one would fire at once. */
export const DELAY_MAX_MS = 2 ** 31 - 1;

/**
 * The monotonic clock of the process, or the caller's own. Everybody who gives none, or `performance.now`, gets the
 * same function: by that `tryTakeAll` sees that one reading will do for all of them.
 */
export function clockFrom(now: Clock | undefined): Clock {
  if (now === undefined) return systemClock;
  if (typeof now !== "function") throw argumentError("now", "a function that returns milliseconds", now);
  // `now: performance.now` is what one writes first, and Node refuses to call it without its `performance`.
  return now === performance.now ? systemClock : now;
}

function systemClock(): number {
  return performance.now();
}

/** The caller's timer, or `systemTimer`. */
export function timerFrom(timer: Timer | undefined, keepAlive: boolean | undefined): Timer {
  if (timer === undefined) return systemTimer(keepAlive ?? false);
  if (typeof timer !== "function") throw argumentError("timer", "a function (delayMs, fire) => cancel", timer);
  return timer;
}

/** `setTimeout`; `keepAlive` says whether the process stays for it. */
export function systemTimer(keepAlive: boolean): Timer {
  return (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(Math.ceil(delayMs), DELAY_MAX_MS));
    if (!keepAlive) timer.unref();
    return () => clearTimeout(timer);
  };
}
