/**
 * 64 bits of a state, in two halves. Two multiply-and-rotate lanes with constants of their own, each mixed to the end (MurmurHash3's finisher), so
 * that one state's numbers being close to another's does not make their fingerprints close. Not against an adversary.
 */
export class Fingerprint {
  low = 0;
  high = 0;

  ofNumbers(numbers: readonly number[]): void {
    let a = 0x9e3779b9;
    let b = 0x85ebca77;
    const { length } = numbers;
    for (let i = 0; i < length; i++) {
      const n = numbers[i] as number;
      a = Math.imul(a ^ Math.imul(n, 0xcc9e2d51), 0x1b873593);
      a = ((a << 13) | (a >>> 19)) + 0x52dce729;
      b = Math.imul(b ^ Math.imul(n ^ 0x5bd1e995, 0x2c1b3c6d), 0x297a2d39);
      b = ((b << 17) | (b >>> 15)) + (a ^ 0x38495ab5);
    }
    this.low = finished(a ^ length);
    this.high = finished(b ^ Math.imul(length, 0x9e3779b1));
  }

  ofText(text: string): void {
    let a = 0x9e3779b9;
    let b = 0x85ebca77;
    const { length } = text;
    for (let i = 0; i < length; i++) {
      const n = text.charCodeAt(i);
      a = Math.imul(a ^ Math.imul(n, 0xcc9e2d51), 0x1b873593);
      a = ((a << 13) | (a >>> 19)) + 0x52dce729;
      b = Math.imul(b ^ Math.imul(n ^ 0x5bd1e995, 0x2c1b3c6d), 0x297a2d39);
      b = ((b << 17) | (b >>> 15)) + (a ^ 0x38495ab5);
    }
    this.low = finished(a ^ length);
    this.high = finished(b ^ Math.imul(length, 0x9e3779b1));
  }
}

function finished(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
