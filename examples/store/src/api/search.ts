/**
 * Searching in linear time. The engine's own `includes` is faster for what people search for, but a long needle made for it (one odd
 * character before many equal ones) costs it haystack times needle, which one request could spend to hold a storage node for a minute.
 */
const NEEDLE_MAX_FOR_ENGINE = 16;

export function includesText(haystack: string, needle: string): boolean {
  if (needle.length <= NEEDLE_MAX_FOR_ENGINE) return haystack.includes(needle);
  return includesUnits(unitsOf(haystack), unitsOf(needle));
}

export function includesBytes(haystack: Uint8Array, needle: Uint8Array): boolean {
  return needle.length === 0 || includesUnits(haystack, needle);
}

type Units = Uint8Array | Uint16Array;

function unitsOf(text: string): Uint16Array {
  const units = new Uint16Array(text.length);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return units;
}

/** Knuth, Morris and Pratt. */
function includesUnits(haystack: Units, needle: Units): boolean {
  if (needle.length > haystack.length) return false;
  const borders = bordersOf(needle);
  let matched = 0;
  for (let i = 0; i < haystack.length; i++) {
    const unit = haystack[i];
    while (matched > 0 && needle[matched] !== unit) matched = borders[matched - 1] as number;
    if (needle[matched] === unit) matched++;
    if (matched === needle.length) return true;
  }
  return false;
}

/** For each prefix of the needle, the length of the longest proper prefix that it also ends with. */
function bordersOf(needle: Units): Uint32Array {
  const borders = new Uint32Array(needle.length);
  let border = 0;
  for (let i = 1; i < needle.length; i++) {
    const unit = needle[i];
    while (border > 0 && needle[border] !== unit) border = borders[border - 1] as number;
    if (needle[border] === unit) border++;
    borders[i] = border;
  }
  return borders;
}
