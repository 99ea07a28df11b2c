/** The same bytes, not copied. What is a `Buffer` already is given back as it is: another view of it costs as much as reading twenty numbers from it. */
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
