import type { Absent } from "./core/absent.js";
import { type SourceAnswer, show } from "./options.js";

/** Stands for a key that the source's answer left out. */
export const leftOut = Symbol("left out");

export type Answered<V> = V | Absent | undefined | typeof leftOut;

/**
 * A source's answer as one value for each key.
 * @throws TypeError for what is neither a Map nor an array of as many answers as there are keys.
 */
export function inOrder<K, V>(answer: SourceAnswer<K, V>, keys: readonly K[]): readonly Answered<V>[] {
  if (Array.isArray(answer) && answer.length === keys.length) return answer;
  const map = (answer ?? {}) as ReadonlyMap<K, V | Absent | undefined>;
  if (Array.isArray(answer) || typeof map.get !== "function" || typeof map.has !== "function") {
    const seen = Array.isArray(answer) ? `an array of ${answer.length} for ${keys.length} keys` : show(answer);
    throw new TypeError(`its answer must be a Map, or an array of one answer for each key, not ${seen}`);
  }
  return keys.map((key) => {
    const value = map.get(key);
    return value === undefined && !map.has(key) ? leftOut : value;
  });
}
