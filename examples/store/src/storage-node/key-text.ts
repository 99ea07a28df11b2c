import { bufferOf } from "../buffer-of.js";

/** A key as a string, one character a byte: such strings sort as their bytes do, and can be keys of a `Map`. */
export function keyText(key: Uint8Array): string {
  return bufferOf(key).toString("latin1");
}

/** The key that `keyText` made this of. */
export const keyNamed = (text: string): Uint8Array => Buffer.from(text, "latin1");
