import { entryOf, keyAt } from "./block.js";
import { bitAt } from "./bytes.js";
import { build, digestOf, firstLeaf, type Hash, Inner, leavesOf, type Node } from "./node.js";
import type { Reader, Writer } from "./wire.js";

/**
 * A place in every tree of one kind: the entries whose keys agree with `key` in all bits before `bit`. Trees of other entries have other nodes there, or
 * none, but since a tree's shape follows from its entries, what two members hold at a place is the same exactly if its digests are.
 */
export interface Position {
  /** Only as many bytes as the bits before `bit` need. */
  readonly key: Uint8Array;
  readonly bit: number;
}

export const everything: Position = { key: new Uint8Array(0), bit: 0 };

/** Whether an entry's key stands there. */
export function isAt({ key, bit }: Position, other: Uint8Array): boolean {
  if (bit === 0) return true;
  const last = (bit - 1) >>> 4;
  for (let b = 0; b < last; b++) if (b >= key.length || b >= other.length || key[b] !== other[b]) return false;
  for (let b = last << 4; b < bit; b++) if (bitAt(key, b) !== bitAt(other, b)) return false;
  return true;
}

/** What a tree holds at a position; undefined for nothing. Inside a leaf it is the tree that the entries in question would make. */
export function subtreeAt(root: Node, at: Position): Node | undefined {
  let node = root;
  while (node instanceof Inner && node.bit < at.bit) node = bitAt(at.key, node.bit) === 0 ? node.left : node.right;
  if (node instanceof Inner) return isAt(at, keyAt(firstLeaf(node), 0)) ? node : undefined;
  let from = 0;
  while (from < node.count && !isAt(at, keyAt(node, from))) from++;
  let to = node.count;
  while (to > from && !isAt(at, keyAt(node, to - 1))) to--;
  if (from === to) return undefined;
  if (from === 0 && to === node.count) return node;
  return build(Array.from({ length: to - from }, (_, i) => entryOf(node, from + i)));
}

/** Keys below `node` that do not stand at a position. */
export function keysBeside(node: Node, at: Position): Uint8Array[] {
  const keys: Uint8Array[] = [];
  const all = (other: Node) => {
    for (const leaf of leavesOf(other)) for (let i = 0; i < leaf.count; i++) keys.push(keyAt(leaf, i));
  };
  let next = node;
  while (next instanceof Inner && next.bit < at.bit) {
    const isLeft = bitAt(at.key, next.bit) === 0;
    all(isLeft ? next.right : next.left);
    next = isLeft ? next.left : next.right;
  }
  if (next instanceof Inner) {
    if (!isAt(at, keyAt(firstLeaf(next), 0))) all(next);
  } else {
    for (let i = 0; i < next.count; i++) if (!isAt(at, keyAt(next, i))) keys.push(keyAt(next, i));
  }
  return keys;
}

/** How an inner node divides what stands at its position. Digests are cut to four bytes: a chance of error, which the root's whole hash finds. */
export interface Split {
  /** What the children have in common: where both stand. */
  readonly at: Position;
  readonly left: Position;
  readonly right: Position;
  readonly leftDigest: number;
  readonly rightDigest: number;
}

export function shortDigest(node: Node, hash: Hash): number {
  const digest = digestOf(node, hash);
  return (
    ((digest.charCodeAt(0) << 24) |
      (digest.charCodeAt(1) << 16) |
      (digest.charCodeAt(2) << 8) |
      digest.charCodeAt(3)) >>>
    0
  );
}

/** Zero for what is no inner node, else how many bits further it divides, the bytes up to there, and its children's digests. */
export function writeSplit(writer: Writer, at: Position, node: Node, hash: Hash): Split | undefined {
  if (!(node instanceof Inner)) {
    writer.varint(0);
    return undefined;
  }
  const { bit } = node;
  const key = keyAt(firstLeaf(node), 0);
  const common = key.slice(0, neededBytes(bit));
  writer.varint(bit - at.bit + 1);
  writer.raw(common.subarray(knownBytes(at)));
  const leftDigest = shortDigest(node.left, hash);
  const rightDigest = shortDigest(node.right, hash);
  writer.u32(leftDigest);
  writer.u32(rightDigest);
  return { at: { key: common, bit }, ...sides(common, bit), leftDigest, rightDigest };
}

export function readSplit(reader: Reader, at: Position): Split | undefined {
  const further = reader.varint();
  if (further === 0) return undefined;
  const bit = at.bit + further - 1;
  const known = knownBytes(at);
  if (bit > 0xf_ffff || known > neededBytes(bit)) throw reader.fault(`a node divides at bit ${bit}`);
  const rest = reader.raw(neededBytes(bit) - known);
  const common = new Uint8Array(known + rest.length);
  common.set(at.key.subarray(0, known));
  common.set(rest, known);
  const leftDigest = reader.u32();
  const rightDigest = reader.u32();
  return { at: { key: common, bit }, ...sides(common, bit), leftDigest, rightDigest };
}

/** Bytes with a bit before `bit`; of the one that holds `bit` the upper ones. */
function neededBytes(bit: number): number {
  return (bit & 15) === 0 ? bit >>> 4 : (bit >>> 4) + 1;
}

/** Of a position's bytes those whose every bit it fixes. */
function knownBytes({ key, bit }: Position): number {
  return Math.min(key.length, bit >>> 4);
}

function sides(common: Uint8Array, bit: number): { readonly left: Position; readonly right: Position } {
  const byte = bit >>> 4;
  if ((bit & 15) === 0) {
    const longer = new Uint8Array(byte + 1);
    longer.set(common.subarray(0, byte));
    return { left: { key: common.slice(0, byte), bit: bit + 1 }, right: { key: longer, bit: bit + 1 } };
  }
  const mask = 1 << (8 - (bit & 15));
  const left = common.slice(0, byte + 1);
  const right = common.slice(0, byte + 1);
  left[byte]! &= ~mask;
  right[byte]! |= mask;
  return { left: { key: left, bit: bit + 1 }, right: { key: right, bit: bit + 1 } };
}
