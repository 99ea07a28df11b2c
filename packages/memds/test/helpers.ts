import type { Entry } from "../src/index.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const bytes = (text: string): Uint8Array => encoder.encode(text);
export const text = (data: Uint8Array | undefined): string | undefined => data && decoder.decode(data);
export const entry = (key: string, value: string): Entry => ({ key: bytes(key), value: bytes(value) });
export const put = (key: string, value: string) => entry(key, value);
export const remove = (key: string) => ({ key: bytes(key), value: null });
export const show = (found: Entry | undefined) => found && `${text(found.key)}=${text(found.value)}`;

export async function until(condition: () => boolean, what: string, limitMs = 60_000): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > limitMs) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
