/** HalfSipHash word by word as its authors describe it, with as many rounds as asked; slow, for comparison. */
export function halfSipHash(
  bytes: Uint8Array,
  [k0, k1]: readonly [number, number],
  { compression, finalization, tweak = 0 }: { compression: number; finalization: number; tweak?: number },
): [number, number] {
  const v = [k0, k1 ^ 0xee ^ tweak, 0x6c796765 ^ k0, 0x74656462 ^ k1].map((word) => word >>> 0);
  const rotate = (word: number, by: number) => ((word << by) | (word >>> (32 - by))) >>> 0;
  const add = (to: number, from: number) => {
    v[to] = ((v[to] as number) + (v[from] as number)) >>> 0;
  };
  const turn = (which: number, by: number, other: number) => {
    v[which] = (rotate(v[which] as number, by) ^ (v[other] as number)) >>> 0;
  };
  const rounds = (count: number) => {
    for (let i = 0; i < count; i += 1) {
      add(0, 1);
      turn(1, 5, 0);
      v[0] = rotate(v[0] as number, 16);
      add(2, 3);
      turn(3, 8, 2);
      add(0, 3);
      turn(3, 7, 0);
      add(2, 1);
      turn(1, 13, 2);
      v[2] = rotate(v[2] as number, 16);
    }
  };
  const mix = (which: number, word: number) => {
    v[which] = ((v[which] as number) ^ word) >>> 0;
  };
  const padded = new Uint8Array(Math.ceil((bytes.length + 1) / 4) * 4);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 4) {
    const word = view.getUint32(at, true);
    mix(3, word);
    rounds(compression);
    mix(0, word);
  }
  mix(2, 0xee);
  rounds(finalization);
  const first = ((v[1] as number) ^ (v[3] as number)) >>> 0;
  mix(1, 0xdd);
  rounds(finalization);
  return [first, ((v[1] as number) ^ (v[3] as number)) >>> 0];
}
