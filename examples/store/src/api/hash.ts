/**
 * MurmurHash3 (x86, 32 bits, seed 0) of a partition key: its place on the table's ring. Not a defence against chosen keys, and it need
 * not be: a client can make one partition hot with one key already. Part of the format on disk, so it never changes.
 */
export function hash32(bytes: Uint8Array): number {
  const blocksEnd = bytes.length & ~3;
  let hash = 0;
  for (let i = 0; i < blocksEnd; i += 4) {
    const block =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash ^= mix(block);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= blocksEnd; i--) tail = (tail << 8) | (bytes[i] as number);
  if (blocksEnd < bytes.length) hash ^= mix(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}
