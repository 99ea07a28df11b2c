/** Bytewise order, a prefix before what it begins. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** `compareBytes` of parts. */
export function compareRuns(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  for (let i = 0; i < length; i++) {
    const difference = a[aFrom + i]! - b[bFrom + i]!;
    if (difference !== 0) return difference;
  }
  return aTo - aFrom - (bTo - bFrom);
}

/** How many leading bytes are the same. */
export function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a[i] === b[i]) i++;
  return i;
}

/**
 * Keys are walked bit by bit, and one key may be the start of another. So each byte is preceded by a bit that says whether it exists, and an
 * end (0) sorts before any continuation (1). A bit's number is `byte * 16 + (0 for that bit, 1 to 8 for the byte's own, highest first)`:
 * numbers grow with the position and come apart with shifts.
 */
export function bitAt(key: Uint8Array, bit: number): 0 | 1 {
  const byte = bit >>> 4;
  if (byte >= key.length) return 0;
  const within = bit & 15;
  return within === 0 ? 1 : (((key[byte]! >>> (8 - within)) & 1) as 0 | 1);
}

/** The number of the first bit in which two keys differ; Infinity for equal keys. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const byte = commonPrefix(a, b);
  if (byte === a.length && byte === b.length) return Number.POSITIVE_INFINITY;
  if (byte === a.length || byte === b.length) return byte << 4;
  return (byte << 4) + 1 + Math.clz32(a[byte]! ^ b[byte]!) - 24;
}

/** The first key behind all that begin with `prefix`: with it as `to`, and the prefix as `from`, a range holds just these. Undefined where none is behind them. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 255) length--;
  if (length === 0) return undefined;
  // Not slice(): that of a Buffer would be a view of the caller's bytes.
  const end = Uint8Array.from(prefix.subarray(0, length));
  end[length - 1]!++;
  return end;
}
