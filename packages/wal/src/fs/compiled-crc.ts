import { entryHeaderBytes } from "../core/entry.js";
import {
  add,
  and,
  type Code,
  call,
  constant,
  get,
  i32,
  i64,
  isLess,
  isNotLess,
  load,
  loadByte,
  set,
  shiftLeft,
  shiftRight,
  store,
  sub,
  until,
  type WasmFunction,
  wasmModule,
  when,
  wide,
  xor,
} from "./wasm.js";

/**
 * A piece of memory in which a batch gathers, beside a loop in WebAssembly that fills in the checksums of all its entries, and works out that of
 * the whole, in one call and one pass over the bytes. zlib's CRC is as fast on large blocks, but calling it for each small record costs three times
 * what its bytes take, and it would go over them once for the entry and once for the batch.
 *
 * Three known pieces of arithmetic do it, all over polynomials modulo CRC-32's own:
 * - Long runs go word by word without tables (Russell, "Chorba", 2024): x^300 + x^155 + x^117 + x^89 + 1 is a multiple of the CRC's polynomial, so a
 *   word may be taken away where it stands and added again 145, 183, 211 and 300 bits further on. Distances of two words and more keep the processor busy.
 * - The last 40 bytes, and what is shorter, go by tables, eight bytes at a time (Kounavis and Berry, 2005).
 * - The batch's checksum follows from its entries' (zlib's crc32_combine): that of what came before, times x^(8 n), and that of n bytes added.
 *
 * The module is put together here, instruction by instruction, since it is 700 bytes and nobody should have to believe a blob.
 */
export interface SealingMemory {
  /** Where a batch gathers. Another array after `grow`. */
  readonly bytes: Uint8Array;
  /** Makes room for `length` bytes, what is there is kept; or returns false. Nobody may be using `bytes` meanwhile. */
  grow(length: number): boolean;
  /** Fills in the checksums of the entries in `bytes[from, to)`. Returns the checksum of all of it, continued from `previous`. */
  sealEntries(from: number, to: number, previous: number): number;
}

const wasmPageBytes = 65_536;
/** A megabyte to begin with; only what is touched takes memory. */
const initialPages = 17;
/** More than a batch of ordinary size, and less than what the tables of powers reach. */
export const sealingBytesMax = 8 * 1024 * 1024;

/** Tables in the first page: eight for slicing, then x^(8 n) and x^(8 * 4,096 n). */
const powersAt = 8 * 1024;
const powers = 4096;
const highPowersAt = powersAt + 4 * powers;
const highPowers = sealingBytesMax / powers;

/** What is used of `WebAssembly`, whose types come only with those of browsers. */
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
      seal(at: number, end: number, previous: number): number;
    };
  };
}

let compiled: { readonly module: object; readonly tables: Uint32Array } | undefined;
let missing = false;

/** Undefined where there is no WebAssembly (`--jitless`, say), or no address space left for it: then zlib does it all. */
export function sealingMemory(): SealingMemory | undefined {
  if (missing) return undefined;
  try {
    const { Instance, Module } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyLike }).WebAssembly;
    compiled ??= { module: new Module(moduleBytes()), tables: allTables() };
    const { seal, memory } = new Instance(compiled.module).exports;
    new Uint32Array(memory.buffer).set(compiled.tables);
    return new CompiledMemory(seal, memory);
  } catch {
    missing = true;
    return undefined;
  }
}

class CompiledMemory implements SealingMemory {
  readonly #seal: (at: number, end: number, previous: number) => number;
  readonly #memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  bytes: Uint8Array;

  constructor(seal: CompiledMemory["sealEntries"], memory: { buffer: ArrayBuffer; grow(pages: number): number }) {
    this.#seal = seal;
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer, wasmPageBytes);
  }

  grow(length: number): boolean {
    if (length <= this.bytes.length) return true;
    if (length > sealingBytesMax) return false;
    const wanted = Math.min(sealingBytesMax, Math.max(length, 2 * this.bytes.length));
    const pages = Math.ceil((wanted - this.bytes.length) / wasmPageBytes);
    try {
      this.#memory.grow(pages);
    } catch {
      return false;
    }
    this.bytes = new Uint8Array(this.#memory.buffer, wasmPageBytes);
    return true;
  }

  sealEntries(from: number, to: number, previous: number): number {
    return this.#seal(wasmPageBytes + from, wasmPageBytes + to, previous) >>> 0;
  }
}

const polynomial = 0xedb88320;

function allTables(): Uint32Array {
  const tables = new Uint32Array((highPowersAt + 4 * highPowers) / 4);
  // Table k holds the CRC of each byte followed by k zeros.
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? polynomial : 0);
    tables[byte] = crc;
  }
  const byteFurther = (value: number) => (value >>> 8) ^ (tables[value & 255] as number);
  for (let at = 256; at < powersAt / 4; at++) tables[at] = byteFurther(tables[at - 256] as number);
  // The highest bit stands for x^0.
  const low = tables.subarray(powersAt / 4, highPowersAt / 4);
  low[0] = 0x8000_0000;
  for (let n = 1; n < powers; n++) low[n] = byteFurther(low[n - 1] as number);
  const high = tables.subarray(highPowersAt / 4);
  const step = byteFurther(low[powers - 1] as number);
  high[0] = 0x8000_0000;
  for (let n = 1; n < highPowers; n++) high[n] = product(high[n - 1] as number, step);
  return tables;
}

function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 31, term = a; bit >= 0; bit--) {
    if (((b >>> bit) & 1) === 1) sum ^= term;
    term = (term >>> 1) ^ ((term & 1) === 1 ? polynomial : 0);
  }
  return sum;
}

const xorAll = (terms: readonly Code[]): Code => terms.reduce((sum, term) => xor(sum, term));
/** Entry `byte` of table `table`, four bytes each. */
const lookUp = (table: number, byte: Code): Code => load(shiftLeft(byte, 2), table * 1024);

/** (state): the register after four more zero bytes; or, with four bytes already added to it, after those. */
function fourFurther(): WasmFunction {
  const state = 0;
  const bytes = [0, 1, 2, 3].map((n) => lookUp(3 - n, and(shiftRight(get(state), 8 * n), constant(255))));
  return { parameters: [i32], locals: [], body: [xorAll(bytes)] };
}

/**
 * (a, b): their product modulo the polynomial. Every fourth bit of each is multiplied by every fourth of the other as if they were numbers: the sums of
 * up to eight bits in a column do not reach the next column, and their lowest bits are what a multiplication without carries gives (Pornin, BearSSL).
 */
function productFunction(): WasmFunction {
  const [a, b, whole] = [0, 1, 10] as const;
  const every = 0x1111_1111_1111_1111n;
  const [fourthsOfA, fourthsOfB] = [
    [2, 3, 4, 5],
    [6, 7, 8, 9],
  ] as const;
  const fourths = (of: number, into: readonly number[]) =>
    into.map((local, n) =>
      set(local, wide.and(wide.from(get(of)), wide.constant((every << BigInt(n)) & 0xffff_ffffn))),
    );
  const columns = [0, 1, 2, 3].map((column) => {
    const products = fourthsOfA.map((left, n) =>
      wide.multiply(get(left), get(fourthsOfB[(column - n + 4) % 4] as number)),
    );
    return wide.and(
      products.reduce((sum, term) => wide.xor(sum, term)),
      wide.constant(every << BigInt(column)),
    );
  });
  return {
    parameters: [i32, i32],
    locals: Array<number>(9).fill(i64),
    body: [
      ...fourths(a, fourthsOfA),
      ...fourths(b, fourthsOfB),
      // The highest bit stands for x^0 on both sides, so 63 bits of product begin one further down.
      set(
        whole,
        wide.shiftLeft(
          columns.reduce((sum, column) => wide.or(sum, column)),
          1,
        ),
      ),
      xor(wide.low(wide.shiftRight(get(whole), 32)), call(functions.fourFurther, wide.low(get(whole)))),
    ],
  };
}

/** (at, end): the CRC of the bytes in between. */
function crcFunction(): WasmFunction {
  const [at, end, word, state, first, second, third, fourth, fifth] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
  const left = sub(get(end), get(at));
  const step = (bytes: number) => set(at, add(get(at), constant(bytes)));
  const carries = [first, second, third, fourth, fifth] as const;
  const carry = (n: number) => carries[n % 5] as number;
  /** Takes `count` words away and adds them again further on; where the next word's sum stands has then moved on by as many. */
  const words = (count: number) =>
    Array.from({ length: count }, (_, n) => [
      set(word, wide.xor(wide.load(get(at), 8 * n), get(carry(n)))),
      set(carry(n + 2), sum(get(carry(n + 2)), up(17), up(55))),
      set(carry(n + 3), sum(get(carry(n + 3)), down(47), down(9), up(19))),
      set(carry(n + 4), sum(get(carry(n + 4)), down(45), up(44))),
      set(carry(n), down(20)),
    ]).flat();
  const rotate = [
    set(word, get(first)),
    set(first, get(second)),
    set(second, get(third)),
    set(third, get(fourth)),
    set(fourth, get(fifth)),
    set(fifth, get(word)),
  ];
  const up = (bits: number) => wide.shiftLeft(get(word), bits);
  const down = (bits: number) => wide.shiftRight(get(word), bits);
  const sum = (...terms: Code[]) => terms.reduce((all, term) => wide.xor(all, term));
  const bytesOfWord = [0, 1, 2, 3, 4, 5, 6, 7].map((n) =>
    lookUp(7 - n, wide.low(wide.and(down(8 * n), wide.constant(255n)))),
  );
  return {
    parameters: [i32, i32],
    locals: [i64, i32, i64, i64, i64, i64, i64],
    body: [
      // What is still to be added to each of the next five words; to the first, the register's initial ones.
      set(first, wide.constant(0xffff_ffffn)),
      until(isLess(left, constant(88)), ...words(5), step(40)),
      until(isLess(left, constant(48)), ...words(1), ...rotate, step(8)),
      until(
        isLess(left, constant(8)),
        set(word, sum(wide.load(get(at)), get(first), wide.from(get(state)))),
        set(state, xorAll(bytesOfWord)),
        set(first, wide.constant(0n)),
        ...rotate,
        step(8),
      ),
      until(
        isNotLess(get(at), get(end)),
        set(state, xor(shiftRight(get(state), 8), lookUp(0, and(xor(get(state), loadByte(get(at))), constant(255))))),
        step(1),
      ),
      xor(get(state), constant(-1)),
    ],
  };
}

/** (at, end, previous): fills in the checksum of each entry in between, which covers all of it but itself; returns that of all, after `previous`. */
function sealFunction(): WasmFunction {
  const [at, end, sum, next, length, own, power] = [0, 1, 2, 3, 4, 5, 6] as const;
  const lowPower = load(shiftLeft(and(get(length), constant(powers - 1)), 2), powersAt);
  const highPower = load(shiftLeft(shiftRight(get(length), 12), 2), highPowersAt);
  return {
    parameters: [i32, i32, i32],
    locals: [i32, i32, i32, i32],
    body: [
      until(
        isNotLess(get(at), get(end)),
        set(length, add(constant(entryHeaderBytes - checksumBytes), load(get(at), 8))),
        set(next, add(add(get(at), constant(checksumBytes)), get(length))),
        set(own, call(functions.crc, add(get(at), constant(checksumBytes)), get(next))),
        store(get(at), get(own)),
        set(power, lowPower),
        when(shiftRight(get(length), 12), set(power, call(functions.product, get(power), highPower))),
        // The four bytes of the checksum itself, and then the bytes that it is the checksum of.
        set(sum, xor(call(functions.fourFurther, xor(xor(get(sum), constant(-1)), get(own))), constant(-1))),
        set(sum, xor(call(functions.product, get(sum), get(power)), get(own))),
        set(at, get(next)),
      ),
      get(sum),
    ],
  };
}

const checksumBytes = 4;
const functions = { fourFurther: 0, product: 1, crc: 2 } as const;

function moduleBytes(): Uint8Array {
  return wasmModule([fourFurther(), productFunction(), crcFunction(), sealFunction()], "seal", initialPages);
}
