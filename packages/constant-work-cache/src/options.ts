import type { Absent } from "./core/absent.js";
import { CacheError } from "./errors.js";

/** What stands behind the cache. It is asked once for each `get` and `peek`, always, so it must be sized for the traffic, not for the misses. */
export interface Source<K, V> {
  /**
   * @param keys at most `batchMax`, in no particular order; a key that was asked for twice stands there twice. Not to be changed.
   * @param context `signal` aborts at `timeoutMs` and on `close()`. The cache stops waiting then; a source that does not stop too may have more
   *   than `inFlightMax` calls running.
   * @returns an answer for each key: a value, or `Absent` (or `undefined`) where there is none. As a Map, in which a key left out counts as not
   *   answered: it changes nothing, and a miss that waits for it fails; keys that were not asked for are ignored. Or, which spares the Map, as an
   *   array of as many answers as there are keys, in their order.
   */
  fetchMany(
    keys: readonly K[],
    context: { readonly signal: AbortSignal },
  ): Promise<SourceAnswer<K, V>> | SourceAnswer<K, V>;
}

export type SourceAnswer<K, V> = ReadonlyMap<K, V | Absent | undefined> | readonly (V | Absent | undefined)[];

export interface CacheOptions<K, V> {
  /** What is asked, once for each `get` and `peek`. */
  readonly source: Source<K, V>;
  /** A finite number that never falls for a key at the source. A source without versions may give a constant: then the later look-up wins. */
  readonly versionOf: (value: V) => number;
  /** Entries kept, negative ones counted in; the least useful one leaves. 1 to 2^23 (what a Map holds). Default 100,000. */
  readonly entriesMax?: number;
  /** Look-ups in one call of the source. Default 512. */
  readonly batchMax?: number;
  /** Calls of the source that run at one time. Default 8. */
  readonly inFlightMax?: number;
  /** Misses that may wait for a free call; the next one is rejected with `ERR_CACHE_OVERLOADED`. Default 10,000. */
  readonly queueMax?: number;
  /** How long a call of the source may take, and how long a miss may wait for its call to begin. Default 1,000. */
  readonly timeoutMs?: number;
  /** How long look-ups gather into a batch; 0 is the current turn of the event loop. A miss waits for it. Default 0. */
  readonly windowMs?: number;
  /** Milliseconds on a clock that does not go back; only ages are told by it. Default `performance.now`. */
  readonly now?: () => number;
}

const names: Record<keyof CacheOptions<unknown, unknown>, 0> = {
  source: 0,
  versionOf: 0,
  entriesMax: 0,
  batchMax: 0,
  inFlightMax: 0,
  queueMax: 0,
  timeoutMs: 0,
  windowMs: 0,
  now: 0,
};

export type ResolvedOptions<K, V> = Required<CacheOptions<K, V>>;

export function resolveOptions<K, V>(options: CacheOptions<K, V>): ResolvedOptions<K, V> {
  options = checkOptions("ConstantWorkCache", options, names);
  if (typeof options.source?.fetchMany !== "function")
    throw bad("source", "an object with fetchMany()", options.source);
  if (typeof options.versionOf !== "function") throw bad("versionOf", "a function", options.versionOf);
  const now = options.now ?? (() => performance.now());
  if (typeof now !== "function") throw bad("now", "a function", now);
  return {
    source: options.source,
    versionOf: options.versionOf,
    entriesMax: integer("entriesMax", options.entriesMax ?? 100_000, 1, 2 ** 23),
    batchMax: integer("batchMax", options.batchMax ?? 512, 1, 1_000_000),
    inFlightMax: integer("inFlightMax", options.inFlightMax ?? 8, 1, 10_000),
    queueMax: integer("queueMax", options.queueMax ?? 10_000, 0, 100_000_000),
    timeoutMs: integer("timeoutMs", options.timeoutMs ?? 1000, 1, 2 ** 31 - 1),
    windowMs: integer("windowMs", options.windowMs ?? 0, 0, 60_000),
    now,
  };
}

export function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw bad(name, `an integer from ${min} to ${max}`, value);
  return value;
}

export function bad(name: string, wanted: string, seen: unknown): CacheError {
  return new CacheError("ERR_CACHE_ARGUMENT", `${name} must be ${wanted}, not ${show(seen)}`);
}

/** Any value in a few characters; never throws. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
  return Object(value) === value ? Object.prototype.toString.call(value) : String(value);
}

/** What went wrong, in a few words. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : show(cause);
}

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(of: string, options: T, names: Readonly<Record<keyof T, unknown>>): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null) throw bad("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw bad(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null) throw bad(name, "left out, or something else than null", null);
  }
  return given as T;
}
