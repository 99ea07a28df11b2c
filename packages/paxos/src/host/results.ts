/** How what `apply` returns is kept for a client that asks again. */
export interface ResultCodec<R> {
  /** Undefined: this one cannot be kept. Deterministic, as `apply` is. The bytes are kept as they are. */
  encode(result: R): Uint8Array | undefined;
  /** The bytes must not change. */
  decode(bytes: Uint8Array): R;
}

const kinds = { undefined: 0, json: 1, bytes: 2 } as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * For state machines that say nothing else: what comes back as it was. Undefined, null, booleans, strings, numbers, bytes (as a plain `Uint8Array`); nothing
 * else, since what comes back changed is worse than what does not come back.
 */
export const plainResults: ResultCodec<unknown> = {
  encode(result) {
    if (result === undefined) return Uint8Array.of(kinds.undefined);
    if (result instanceof Uint8Array) {
      const bytes = new Uint8Array(result.length + 1);
      bytes[0] = kinds.bytes;
      bytes.set(result, 1);
      return bytes;
    }
    const plain = result === null || typeof result === "string" || typeof result === "boolean";
    if (!plain && !(Number.isFinite(result) && !Object.is(result, -0))) return undefined;
    return encoder.encode(`\u0001${JSON.stringify(result)}`);
  },
  decode(bytes) {
    if (bytes[0] === kinds.undefined) return undefined;
    return bytes[0] === kinds.bytes ? bytes.slice(1) : (JSON.parse(decoder.decode(bytes.subarray(1))) as unknown);
  },
};
