import type { Entry } from "../src/index.js";

export const partitions = 1_000_000;
export const tables = 10_000;
const perTable = partitions / tables;

/** Deterministic, so that all subjects and turns have the same. */
export function seeded(from: number): () => number {
  let state = from;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** `t00042/`, then where a partition begins on the ring of hashes, in so many bytes: 2 as a separator, 16 as a whole hash. */
export function keyOf(table: number, hash: Uint8Array): Uint8Array {
  const key = new Uint8Array(7 + hash.length);
  key[0] = 0x74;
  for (let at = 5, rest = table; at > 0; at--, rest = Math.floor(rest / 10)) key[at] = 48 + (rest % 10);
  key[6] = 0x2f;
  key.set(hash, 7);
  return key;
}

/** A table's number of which partition, and which nodes hold its three replicas. */
function replicas(i: number): Uint8Array {
  return Uint8Array.of(i, i >> 8, i >> 16, i % 30, (i + 11) % 30, (i + 7) % 30);
}

/** A million partitions of 10,000 tables, cut evenly as splits by hash do, the lower bytes of each whole hash being anything. */
export function* entries(hashBytes: number): Generator<Entry> {
  const random = seeded(7);
  const hash = new Uint8Array(16);
  const view = new DataView(hash.buffer);
  for (let i = 0; i < partitions; i++) {
    view.setUint32(0, Math.floor(((i % perTable) / perTable) * 2 ** 32));
    for (let b = 4; b < hashBytes; b++) hash[b] = random() * 256;
    yield { key: keyOf(Math.floor(i / perTable), hash.subarray(0, hashBytes)), value: replicas(i) };
  }
}

export const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** Look-ups all over the tables: keys in one run of bytes, so that reading them is not what is measured. */
export function probes(count: number, hashBytes: number): { readonly bytes: Uint8Array; readonly width: number } {
  const random = seeded(11);
  const width = 7 + hashBytes;
  const bytes = new Uint8Array(count * width);
  const hash = new Uint8Array(hashBytes);
  for (let i = 0; i < count; i++) {
    for (let b = 0; b < hashBytes; b++) hash[b] = random() * 256;
    bytes.set(keyOf(Math.floor(random() * tables), hash), i * width);
  }
  return { bytes, width };
}

/** Milliseconds of this process' CPU: what "a core" means on a machine that others use too. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Bytes that `build` leaves behind, heap and buffers outside it, after the garbage was collected. */
export async function memoryOf(build: () => object): Promise<number> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const used = async () => {
    for (let i = 0; i < 3; i++) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // `external` includes `arrayBuffers`.
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = await used();
  const held = [build()];
  const bytes = (await used()) - before;
  held.pop();
  return bytes;
}
