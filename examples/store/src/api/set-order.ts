/**
 * The order in which Java's hash tables give what they hold: the service keeps names in such sets, and tells them so.
 * Seen in two texts of CreateTable's, in that of placeholders that nothing uses, and in one of PartiQL's.
 */

/** As `String.hashCode` has it, with its upper half mixed into the lower one. */
function spread(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return hash ^ (hash >>> 16);
}

/** @param buckets a power of two; names of one bucket stay in the order in which they came */
function ordered(names: Iterable<string>, buckets: number): string[] {
  const bucketOf = (name: string) => spread(name) & (buckets - 1);
  return [...new Set(names)].sort((a, b) => bucketOf(a) - bucketOf(b));
}

const powerOfTwo = (atLeast: number): number => 2 ** Math.ceil(Math.log2(atLeast));

/** Of a set that has grown with what was put into it. */
export function inSetOrder(names: readonly string[]): string[] {
  return ordered(names, Math.max(16, powerOfTwo(new Set(names).size / 0.75)));
}

/** Of one that was made for as many as it holds. */
export function inSizedSetOrder(names: readonly string[]): string[] {
  const size = names.length;
  return ordered(names, powerOfTwo(size < 3 ? size + 1 : Math.floor(size / 0.75 + 1)));
}
