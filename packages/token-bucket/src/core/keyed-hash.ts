const WIDE = 0x57494445;

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein, SipHash, 2012; the variant for 32-bit words) of a string's characters, as two
 * words of 32 bits. Whoever does not know the seed cannot choose keys that collide, which is what a table of strangers'
 * names needs; it is no signature. Characters up to U+00FF count as one byte, so that plain keys are hashed four
 * characters at a time; a string with any other is hashed anew as UTF-16, with another initial state.
 *
 * The result is left in `low` and `high`: a function that returns two numbers has to allocate.
 */
export class KeyedHash {
  low = 0;
  high = 0;
  readonly #low: number;
  readonly #high: number;

  /** `seed`: 64 bits that nobody can guess, as two words of 32. */
  constructor(seed: readonly [number, number]) {
    this.#low = seed[0] | 0;
    this.#high = seed[1] | 0;
  }

  hash(key: string): void {
    if (!this.#hashBytes(key)) this.#hashWide(key);
  }

  /** False, and nothing done, when there is a character that no byte holds. */
  #hashBytes(key: string): boolean {
    const { length } = key;
    const whole = length & ~3;
    let v0 = this.#low;
    let v1 = this.#high ^ 0xee;
    let v2 = this.#low ^ 0x6c796765;
    let v3 = this.#high ^ 0x74656462;
    let seen = 0;
    for (let i = 0; i < whole; i += 4) {
      const a = key.charCodeAt(i);
      const b = key.charCodeAt(i + 1);
      const c = key.charCodeAt(i + 2);
      const d = key.charCodeAt(i + 3);
      seen |= a | b | c | d;
      const word = a | (b << 8) | (c << 16) | (d << 24);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    let last = length << 24;
    for (let i = whole; i < length; i += 1) {
      const code = key.charCodeAt(i);
      seen |= code;
      last |= code << ((i - whole) * 8);
    }
    if (seen > 0xff) return false;
    this.#finish(v0, v1, v2, v3, last);
    return true;
  }

  #hashWide(key: string): void {
    const { length } = key;
    const whole = length & ~1;
    let v0 = this.#low;
    let v1 = this.#high ^ 0xee ^ WIDE;
    let v2 = this.#low ^ 0x6c796765;
    let v3 = this.#high ^ 0x74656462;
    for (let i = 0; i < whole; i += 2) {
      const word = key.charCodeAt(i) | (key.charCodeAt(i + 1) << 16);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    let last = length << 25;
    if (length > whole) last |= key.charCodeAt(whole);
    this.#finish(v0, v1, v2, v3, last);
  }

  /**
   * The last word, then three rounds. Both words of the result are read from the state then: HalfSipHash proper spends
   * three more rounds between them, so that a tag gives nothing away; nobody sees these.
   */
  #finish(a: number, b: number, c: number, d: number, last: number): void {
    let v0 = a;
    let v1 = b;
    let v2 = c;
    let v3 = d ^ last;
    for (let round = 0; round < 4; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (round === 0) {
        v0 ^= last;
        v2 ^= 0xee;
      }
    }
    this.low = v1 ^ v3;
    // Never both zero: that is how a slot looks that nobody has used.
    this.high = (v0 ^ v2) | 1;
  }
}
