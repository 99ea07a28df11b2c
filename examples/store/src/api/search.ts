/**
 * Searching in linear time. The engine's own `includes` is faster for what people search for, but a long needle made for it (one odd
 * character before many equal ones) costs it haystack times needle, which one request could spend to hold a storage node for a minute.
 */
const NEEDLE_MAX_FOR_ENGINE = 64;

export function includesText(haystack: string, needle: string): boolean {
  if (needle.length <= NEEDLE_MAX_FOR_ENGINE) return haystack.includes(needle);
  if (needle.length > haystack.length) return false;
  const at = (text: string) => (i: number) => text.charCodeAt(i);
  return includesUnits(at(haystack), haystack.length, at(needle), needle.length);
}

export function includesBytes(haystack: Uint8Array, needle: Uint8Array): boolean {
  if (needle.length === 0) return true;
  if (needle.length > haystack.length) return false;
  return includesUnits(
    (i) => haystack[i] as number,
    haystack.length,
    (i) => needle[i] as number,
    needle.length,
  );
}

type Units = (i: number) => number;

/** Knuth, Morris and Pratt. */
function includesUnits(haystack: Units, haystackLength: number, needle: Units, needleLength: number): boolean {
  const borders = bordersOf(needle, needleLength);
  let matched = 0;
  for (let i = 0; i < haystackLength; i++) {
    const unit = haystack(i);
    while (matched > 0 && needle(matched) !== unit) matched = borders[matched - 1] as number;
    if (needle(matched) === unit) matched++;
    if (matched === needleLength) return true;
  }
  return false;
}

/** For each prefix of the needle, the length of the longest proper prefix that it also ends with. */
function bordersOf(needle: Units, length: number): Uint32Array {
  const borders = new Uint32Array(length);
  let border = 0;
  for (let i = 1; i < length; i++) {
    const unit = needle(i);
    while (border > 0 && needle(border) !== unit) border = borders[border - 1] as number;
    if (needle(border) === unit) border++;
    borders[i] = border;
  }
  return borders;
}
