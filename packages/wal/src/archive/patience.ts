import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { whenAborted } from "./when-aborted.js";

/** What a bucket of `@evenkeel/token-bucket` is: resolves once so many tokens were taken. */
export interface Throttle {
  take(tokens: number, options: { readonly signal?: AbortSignal }): Promise<void>;
}

export interface PatienceOptions {
  /** How often a call is tried at most. Default 8, 1 to 1,000. */
  readonly attemptsMax?: number;
  /** Before retry n the call waits a random time of up to `backoffMs` times 2 to the power n - 1 ... Default 100. */
  readonly backoffMs?: number;
  /** ... and never longer than this. Default 20,000. */
  readonly backoffMaxMs?: number;
  /** An attempt that takes longer is aborted, and counts as failed. Default 60,000. */
  readonly attemptTimeoutMs?: number;
  /** All attempts of a call and the waits between them. Default 300,000. Waiting for a place or for the throttle does not count. */
  readonly deadlineMs?: number;
  /** Attempts under way at once. Default 8. */
  readonly inFlightMax?: number;
  /** Calls that wait for a place; one more is refused with `ERR_ARCHIVE_OVERLOADED`. Default 1,024. */
  readonly waitingMax?: number;
  /** A token a byte, in slices of up to 64 KiB: before each attempt of a put, and after a get, once its size is known. Default: none. */
  readonly throttle?: Throttle;
  /** Milliseconds of a monotonic clock. Default `performance.now`. */
  readonly now?: () => number;
  /** Calls `fire` once after about `delayMs`, and returns what cancels that. Default `setTimeout`. */
  readonly timer?: (delayMs: number, fire: () => void) => () => void;
  /** From 0 up to and without 1. Default `Math.random`. */
  readonly random?: () => number;
}

const optionNames: Record<keyof PatienceOptions, 0> = {
  attemptsMax: 0,
  backoffMs: 0,
  backoffMaxMs: 0,
  attemptTimeoutMs: 0,
  deadlineMs: 0,
  inFlightMax: 0,
  waitingMax: 0,
  throttle: 0,
  now: 0,
  timer: 0,
  random: 0,
};

const timeoutMaxMs = 2 ** 31 - 1;

/** Everything checked, nothing left open. */
export function resolvePatience(options: PatienceOptions): Required<Omit<PatienceOptions, "throttle">> {
  checkArchiveOptions("PatientObjectStore", options, optionNames);
  const whole = (name: keyof PatienceOptions, preset: number, min: number, max: number): number => {
    const value = options[name] ?? preset;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw badArchiveArgument(name, `a whole number from ${min} to ${max}`, value);
  };
  if (options.throttle !== undefined && typeof options.throttle.take !== "function") {
    throw badArchiveArgument("throttle", "something with take(tokens, { signal })", options.throttle);
  }
  for (const name of ["now", "timer", "random"] as const) {
    const value = options[name];
    if (value !== undefined && typeof value !== "function") throw badArchiveArgument(name, "a function", value);
  }
  return {
    attemptsMax: whole("attemptsMax", 8, 1, 1000),
    backoffMs: whole("backoffMs", 100, 0, timeoutMaxMs),
    backoffMaxMs: whole("backoffMaxMs", 20_000, 0, timeoutMaxMs),
    attemptTimeoutMs: whole("attemptTimeoutMs", 60_000, 1, timeoutMaxMs),
    deadlineMs: whole("deadlineMs", 300_000, 1, timeoutMaxMs),
    inFlightMax: whole("inFlightMax", 8, 1, 10_000),
    waitingMax: whole("waitingMax", 1024, 0, 1_000_000),
    now: options.now ?? (() => performance.now()),
    timer: options.timer ?? keepingAlive,
    random: options.random ?? Math.random,
  };
}

/** Not unref'ed: a call that waits for its next attempt is under way, as one that waits for a socket, and a script must not end in the middle of it. */
function keepingAlive(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}

/** Full jitter: of many who failed together hardly two come back together (AWS, "Exponential backoff and jitter"). */
export function backoffOf(
  attempt: number,
  { backoffMs, backoffMaxMs, random }: { backoffMs: number; backoffMaxMs: number; random: () => number },
): number {
  return random() * Math.min(backoffMaxMs, backoffMs * 2 ** (attempt - 1));
}

/** A property of the error and never of its message, so that a store of anybody's can have a say. */
export function isRetryable(error: unknown): boolean {
  return (error as { readonly retryable?: unknown } | undefined)?.retryable === true;
}

/** Gives up on work after a time, also where the work does not listen: nobody waits for ever for a store that forgot about him. */
export async function withTimeout<T>(
  work: (signal: AbortSignal) => Promise<T>,
  what: string,
  timeoutMs: number,
  timer: (delayMs: number, fire: () => void) => () => void,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error), { once: true });
  });
  const forget = whenAborted(signal, () => stop.abort(signal?.reason));
  const cancel = timer(timeoutMs, () => {
    const message = `${what} took longer than ${Math.round(timeoutMs)} ms`;
    stop.abort(new ArchiveError("ERR_ARCHIVE_STORE", message, { retryable: true }));
  });
  try {
    return await Promise.race([work(stop.signal), ended]);
  } finally {
    cancel();
    forget();
  }
}

export async function sleep(
  delayMs: number,
  timer: (delayMs: number, fire: () => void) => () => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const forget = whenAborted(signal, () => {
      cancel();
      reject(signal?.reason as Error);
    });
    const cancel = timer(delayMs, () => {
      forget();
      resolve();
    });
  });
}
