/**
 * As much of an assembler for WebAssembly as the checksums need: each function returns the bytes of an instruction behind those of its operands, so
 * that code reads as expressions.
 */
export type Code = readonly number[];

export const i32 = 0x7f;
export const i64 = 0x7e;

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [...value, 0x21, local];
export const call = (index: number, ...operands: Code[]): Code => [...operands.flat(), 0x10, index];
export const block = (...body: Code[]): Code => [0x02, 0x40, ...body.flat(), 0x0b];
export const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0b];
export const when = (condition: Code, ...body: Code[]): Code => [...condition, 0x04, 0x40, ...body.flat(), 0x0b];
const branch = (depth: number): Code => [0x0c, depth];
const branchIf = (condition: Code, depth: number): Code => [...condition, 0x0d, depth];
/** While `condition` is not met. */
export const until = (condition: Code, ...body: Code[]): Code =>
  block(loop(branchIf(condition, 1), ...body, branch(0)));

const binary = (code: number) => (left: Code, right: Code) => [...left, ...right, code];
export const constant = (value: number): Code => [0x41, ...signedLeb(BigInt(value | 0))];
export const add = binary(0x6a);
export const sub = binary(0x6b);
export const and = binary(0x71);
export const xor = binary(0x73);
export const shiftLeft = (value: Code, bits: number): Code => [...value, ...constant(bits), 0x74];
export const shiftRight = (value: Code, bits: number): Code => [...value, ...constant(bits), 0x76];
export const isLess = binary(0x49);
export const isNotLess = binary(0x4f);
export const load = (address: Code, offset = 0): Code => [...address, 0x28, 0, ...leb(offset)];
export const loadByte = (address: Code): Code => [...address, 0x2d, 0, 0];
export const store = (address: Code, value: Code): Code => [...address, ...value, 0x36, 0, 0];

/** The same on 64 bits. */
export const wide = {
  constant: (value: bigint): Code => [0x42, ...signedLeb(BigInt.asIntN(64, value))],
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  multiply: binary(0x7e),
  shiftLeft: (value: Code, bits: number): Code => [...value, ...wide.constant(BigInt(bits)), 0x86],
  shiftRight: (value: Code, bits: number): Code => [...value, ...wide.constant(BigInt(bits)), 0x88],
  load: (address: Code, offset = 0): Code => [...address, 0x29, 0, ...leb(offset)],
  /** From 32 bits, the upper half zero. */
  from: (value: Code): Code => [...value, 0xad],
  /** The lower 32 bits. */
  low: (value: Code): Code => [...value, 0xa7],
} as const;

export interface WasmFunction {
  readonly parameters: readonly number[];
  readonly locals: readonly number[];
  /** Leaves one i32. */
  readonly body: readonly Code[];
}

/** A module of these functions, of which the last is exported under `name`, and of a memory of its own. */
export function wasmModule(functions: readonly WasmFunction[], name: string, memoryPages: number): Uint8Array {
  const section = (id: number, ...content: Code[]): Code => [id, ...counted(content.flat())];
  const text = (letters: string): Code => counted(Array.from(letters, (letter) => letter.charCodeAt(0)));
  const several = (items: readonly Code[]): Code => [...leb(items.length), ...items.flat()];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, several(functions.map(({ parameters }) => [0x60, ...counted(parameters), 1, i32]))),
    ...section(3, several(functions.map((_, index) => [index]))),
    ...section(5, [1, 0, ...leb(memoryPages)]),
    ...section(7, [2], text("memory"), [2, 0], text(name), [0, functions.length - 1]),
    ...section(
      10,
      several(
        functions.map(({ locals, body }) =>
          counted([...several(locals.map((type) => [1, type])), ...body.flat(), 0x0b]),
        ),
      ),
    ),
  ]);
}

function counted(bytes: Code): Code {
  return [...leb(bytes.length), ...bytes];
}

function leb(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

function signedLeb(value: bigint): Code {
  const last = Number(value & 127n);
  return value >= -64n && value < 64n ? [last] : [last | 128, ...signedLeb(value >> 7n)];
}
