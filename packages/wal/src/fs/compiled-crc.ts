import { entryHeaderBytes } from "../core/entry.js";

/**
 * The checksums of many small entries at once. zlib's CRC is the fastest there is for large blocks, but calling it costs 0.2 us, three times what
 * the bytes of a small record take. So a batch is copied next to a loop in WebAssembly that checksums all its entries in one call: slicing by 16
 * (Kounavis and Berry, 2005), half the cost at 256 bytes, the same at a kilobyte.
 *
 * The module is put together here, instruction by instruction, since it is 600 bytes and nobody should have to believe a blob.
 */
const tablesBytes = 16 * 1024;
const pages = 17;
export const scratchBytes = pages * 65_536 - tablesBytes;

export interface CompiledCrc {
  sealEntries(target: Uint8Array, from: number, to: number): void;
}

/** What is used of `WebAssembly`, whose types come only with those of browsers. */
interface WebAssemblyLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      seal(at: number, end: number): void;
    };
  };
}

let compiled: CompiledCrc | undefined;
let missing = false;

/** Undefined where there is no WebAssembly (`--jitless`, say): then zlib does it all. */
export function compiledCrc(): CompiledCrc | undefined {
  if (compiled === undefined && !missing) {
    try {
      compiled = compile();
    } catch {
      missing = true;
    }
  }
  return compiled;
}

function compile(): CompiledCrc {
  const { Instance, Module } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyLike }).WebAssembly;
  const { seal, memory } = new Instance(new Module(moduleBytes())).exports;
  const { buffer } = memory;
  new Uint32Array(buffer, 0, tablesBytes / 4).set(slicingTables());
  const scratch = new Uint8Array(buffer, tablesBytes);
  return {
    sealEntries(target, from, to) {
      const length = to - from;
      scratch.set(target.subarray(from, to));
      seal(tablesBytes, tablesBytes + length);
      target.set(scratch.subarray(0, length), from);
    },
  };
}

/** Table k holds the CRC of each byte followed by k zeros. */
function slicingTables(): Uint32Array {
  const tables = new Uint32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb88320 : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const crc = tables[at - 256] as number;
    tables[at] = (crc >>> 8) ^ (tables[crc & 255] as number);
  }
  return tables;
}

type Code = readonly number[];

const i32 = 0x7f;
const op = {
  end: 0x0b,
  branch: 0x0c,
  branchIf: 0x0d,
  call: 0x10,
  and: 0x71,
  or: 0x72,
  xor: 0x73,
  add: 0x6a,
  sub: 0x6b,
} as const;
const lessSigned = 0x48;
const notLess = 0x4f;
const get = (local: number): Code => [0x20, local];
const set = (local: number, value: Code): Code => [...value, 0x21, local];
const constant = (value: number): Code => [0x41, ...signedLeb(value)];
const binary = (code: number, left: Code, right: Code): Code => [...left, ...right, code];
const shiftRight = (value: Code, bits: number): Code => (bits === 0 ? value : [...value, ...constant(bits), 0x76]);
const load = (address: Code, offset = 0): Code => [...address, 0x28, 0, ...leb(offset)];
const loadByte = (address: Code): Code => [...address, 0x2d, 0, 0];
const store = (address: Code, value: Code): Code => [...address, ...value, 0x36, 0, 0];
const block = (...body: Code[]): Code => [0x02, 0x40, ...body.flat(), op.end];
const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), op.end];
const branchIf = (condition: Code, depth: number): Code => [...condition, op.branchIf, depth];
/** While `condition` is not met. */
const until = (condition: Code, ...body: Code[]): Code => block(loop(branchIf(condition, 1), ...body, [op.branch, 0]));

/** Entry `byte` of table `table`; four bytes each. */
const lookUp = (table: number, byte: Code): Code => load([...byte, ...constant(2), 0x74], table * 1024);
const byteOf = (local: number, bits: number): Code =>
  bits === 24 ? shiftRight(get(local), 24) : binary(op.and, shiftRight(get(local), bits), constant(255));

/** (at, end): the CRC of the bytes in between. */
function crcFunction(): Code {
  const [at, end, crc, first, second, third, fourth] = [0, 1, 2, 3, 4, 5, 6] as const;
  const words = [first, second, third, fourth];
  const terms = words.flatMap((word, n) =>
    [0, 8, 16, 24].map((bits, byte) => lookUp(15 - 4 * n - byte, byteOf(word, bits))),
  );
  // The words that do not wait for the round before come first.
  const folded = terms.reverse().reduce((sum, term) => binary(op.xor, sum, term));
  return functionBody(5, [
    set(crc, constant(-1)),
    until(
      binary(lessSigned, binary(op.sub, get(end), get(at)), constant(16)),
      set(first, binary(op.xor, get(crc), load(get(at)))),
      set(second, load(get(at), 4)),
      set(third, load(get(at), 8)),
      set(fourth, load(get(at), 12)),
      set(crc, folded),
      set(at, binary(op.add, get(at), constant(16))),
    ),
    until(
      binary(notLess, get(at), get(end)),
      set(
        crc,
        binary(
          op.xor,
          shiftRight(get(crc), 8),
          lookUp(0, binary(op.and, binary(op.xor, get(crc), loadByte(get(at))), constant(255))),
        ),
      ),
      set(at, binary(op.add, get(at), constant(1))),
    ),
    binary(op.xor, get(crc), constant(-1)),
  ]);
}

/** (at, end): the checksum of each entry in between, which covers all of it but itself. */
function sealFunction(): Code {
  const [at, end, next] = [0, 1, 2] as const;
  const nextEntry = binary(op.add, binary(op.add, get(at), constant(entryHeaderBytes)), load(get(at), 8));
  return functionBody(1, [
    until(
      binary(notLess, get(at), get(end)),
      set(next, nextEntry),
      store(get(at), [...binary(op.add, get(at), constant(4)), ...get(next), op.call, 0]),
      set(at, get(next)),
    ),
  ]);
}

function functionBody(locals: number, code: readonly Code[]): Code {
  return counted([1, locals, i32, ...code.flat(), op.end]);
}

function moduleBytes(): Uint8Array {
  const section = (id: number, ...content: Code[]): Code => [id, ...counted(content.flat())];
  const name = (text: string): Code => counted(Array.from(text, (letter) => letter.charCodeAt(0)));
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, [2], [0x60, 2, i32, i32, 1, i32], [0x60, 2, i32, i32, 0]), // types: (i32, i32) -> i32 and (i32, i32) -> ()
    ...section(3, [2, 0, 1]),
    ...section(5, [1, 1, pages, pages]),
    ...section(7, [2], name("memory"), [2, 0], name("seal"), [0, 1]),
    ...section(10, [2], crcFunction(), sealFunction()),
  ]);
}

function counted(bytes: Code): Code {
  return [...leb(bytes.length), ...bytes];
}

function leb(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

function signedLeb(value: number): Code {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signedLeb(value >> 7)];
}
