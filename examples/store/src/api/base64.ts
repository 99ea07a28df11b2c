/** Base64 without the platform's help, so that this folder runs anywhere. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUE[ALPHABET.charCodeAt(i)] = i;

function sextet(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? (VALUE[code] as number) : -1;
}

function paddingOf(text: string): number {
  if (!text.endsWith("=")) return 0;
  return text.endsWith("==") ? 2 : 1;
}

/** How many bytes a well-formed text stands for. */
export function base64Bytes(text: string): number {
  return (text.length / 4) * 3 - paddingOf(text);
}

/** True for canonical text only: padded, no foreign characters, no stray bits behind the last byte. */
export function isBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false;
  const padding = paddingOf(text);
  const end = text.length - padding;
  for (let i = 0; i < end; i++) if (sextet(text, i) < 0) return false;
  if (padding === 0) return true;
  return (sextet(text, end - 1) & (padding === 1 ? 3 : 15)) === 0;
}

/** Order of the bytes that two canonical texts stand for. Spare bits are zero, so that a prefix never sorts behind what it begins. */
export function compareBase64(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    // Padding, which has no sextet, counts as -1: where one text ends, the other goes on.
    const difference = sextet(a, i) - sextet(b, i);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** @param text canonical, as `isBase64` says */
export function decodeBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(base64Bytes(text));
  let to = 0;
  for (let i = 0; i < text.length; i += 4) {
    const word =
      (sextet(text, i) << 18) |
      (sextet(text, i + 1) << 12) |
      (Math.max(0, sextet(text, i + 2)) << 6) |
      Math.max(0, sextet(text, i + 3));
    // Writes past the end of a typed array are ignored: padding needs no case of its own.
    bytes[to++] = word >> 16;
    bytes[to++] = word >> 8;
    bytes[to++] = word;
  }
  return bytes;
}

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += ALPHABET[word >> 18];
    text += ALPHABET[(word >> 12) & 63];
    text += left > 1 ? ALPHABET[(word >> 6) & 63] : "=";
    text += left > 2 ? ALPHABET[word & 63] : "=";
  }
  return text;
}
