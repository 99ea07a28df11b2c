import { sealEntries } from "../core/entry.js";
import { crc } from "./checksum.js";
import { type SealingMemory, sealingMemory } from "./compiled-crc.js";

/** More of them at once than this are plain arrays: an address space has room for thousands, other packages may want some of it. */
const compiledMax = 64;
const idleMax = 4;
const idleBytesMax = 8 * 1024 * 1024;
const plainBytes = 64 * 1024;

const idle: SealingMemory[] = [];
/** How many are taken. */
let compiled = 0;

/** Memory for a batch to gather in. It is given back once nothing uses its bytes any more; then another batch may have it. */
export function takeMemory(): SealingMemory {
  const memory = compiled < compiledMax ? (idle.pop() ?? sealingMemory()) : undefined;
  if (memory === undefined) return new PlainMemory(plainBytes);
  compiled++;
  return memory;
}

/** Memory of at least `length` bytes that begins with the `used` first ones of `memory`, which is given back if it is not the same. */
export function larger(memory: SealingMemory, length: number, used: number): SealingMemory {
  if (memory.grow(length)) return memory;
  const plain = new PlainMemory(length);
  plain.bytes.set(memory.bytes.subarray(0, used));
  giveBackMemory(memory);
  return plain;
}

export function giveBackMemory(memory: SealingMemory): void {
  if (memory instanceof PlainMemory) return;
  compiled--;
  if (idle.length < idleMax && memory.bytes.length <= idleBytesMax) idle.push(memory);
}

/** Where there is no WebAssembly, or the batch is larger than its tables reach: zlib does it in two passes. */
export class PlainMemory implements SealingMemory {
  bytes: Uint8Array;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }

  grow(length: number): boolean {
    if (length <= this.bytes.length) return true;
    const grown = new Uint8Array(Math.max(length, this.bytes.length * 2));
    grown.set(this.bytes);
    this.bytes = grown;
    return true;
  }

  sealEntries(from: number, to: number, previous: number): number {
    sealEntries(this.bytes, from, to, crc);
    return crc(this.bytes.subarray(from, to), previous);
  }
}
