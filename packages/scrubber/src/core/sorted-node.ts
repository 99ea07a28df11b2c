import { compareBytes } from "./bytes.js";

export interface Keyed {
  readonly key: Uint8Array;
}

interface Leaf<T> {
  readonly items: T[];
  readonly children: undefined;
}

interface Branch<T> {
  readonly children: Node<T>[];
  readonly items: undefined;
}

/** A node of the tree. `last` is its greatest key. Which nodes a view may still see is told by their epochs; those never change. */
export type Node<T> = (Leaf<T> | Branch<T>) & {
  readonly epoch: number;
  last: Uint8Array;
  memo: unknown;
  /** Absent: to be made when the node has been searched again without a change of its keys. */
  tags: Tags | undefined;
  /** They are an earlier node's too, as long as its keys are the same: half of what a copy of a node would take. */
  tagsShared: boolean;
  asked: boolean;
};

/**
 * The keys of a node, each as a number beside the others: a search then looks at one place in memory instead of at three for each key that it compares. Keys share their first `skip` bytes;
 * a number is the six that follow, so the order of numbers is that of keys, but for keys that are the same in those.
 */
interface Tags {
  readonly skip: number;
  readonly numbers: number[];
}

/** All of one shape: a look-up goes through a dozen of them, and must not have to ask what each looks like. */
export const leafOf = <T>(epoch: number, items: T[], last: Uint8Array, memo?: unknown): Node<T> =>
  nodeOf(epoch, items, undefined, last, memo);
export const branchOf = <T>(epoch: number, children: Node<T>[], last: Uint8Array, memo?: unknown): Node<T> =>
  nodeOf(epoch, undefined, children, last, memo);

function nodeOf<T>(
  epoch: number,
  items: T[] | undefined,
  children: Node<T>[] | undefined,
  last: Uint8Array,
  memo: unknown,
): Node<T> {
  return { epoch, items, children, last, memo, tags: undefined, tagsShared: false, asked: false } as Node<T>;
}

export function sizeOf<T>(node: Node<T>): number {
  return node.items === undefined ? node.children.length : node.items.length;
}

/** The greatest key below the child, or the item's own. */
export function keyAt<T extends Keyed>(node: Node<T>, at: number): Uint8Array {
  return node.items === undefined ? (node.children[at] as Node<T>).last : (node.items[at] as T).key;
}

/** Index of the first item, or child, that reaches up to `key`. */
export function search<T extends Keyed>(node: Node<T>, key: Uint8Array): number {
  let low = 0;
  let high = sizeOf(node);
  const tags = tagsOf(node);
  if (tags !== undefined) {
    const { skip, numbers } = tags;
    const { last } = node;
    for (let i = 0; i < skip; i++) {
      const difference = i < key.length ? (key[i] as number) - (last[i] as number) : -1;
      if (difference !== 0) return difference < 0 ? 0 : high;
    }
    const tag = tagOf(key, skip);
    // To those of the same number, if there are any; they are told apart by the keys themselves. One after the other: that is how memory brings them, and to jump among so few is to wait for each.
    while (low < high && (numbers[low] as number) < tag) low++;
    for (high = low; high < numbers.length && numbers[high] === tag; ) high++;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(keyAt(node, middle), key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

const SEARCHED_AS_IT_IS_MAX = 4;

function tagsOf<T extends Keyed>(node: Node<T>): Tags | undefined {
  if (node.tags !== undefined) return node.tags;
  const size = sizeOf(node);
  if (size <= SEARCHED_AS_IT_IS_MAX) return undefined;
  // One that is being filled changes with each search.
  if (!node.asked) {
    node.asked = true;
    return undefined;
  }
  node.tags = makeTags(node);
  node.tagsShared = false;
  return node.tags;
}

export function makeTags<T extends Keyed>(node: Node<T>): Tags {
  const size = sizeOf(node);
  const [first, last] = [keyAt(node, 0), keyAt(node, size - 1)];
  const skip = sharedBytes(first, last, first.length);
  const numbers: number[] = [];
  for (let at = 0; at < size; at++) numbers.push(tagOf(keyAt(node, at), skip));
  return { skip, numbers };
}

function sharedBytes(a: Uint8Array, b: Uint8Array, most: number): number {
  let shared = 0;
  while (shared < most && shared < a.length && a[shared] === b[shared]) shared++;
  return shared;
}

/** The key at this index is a new one. */
export function keyAdded<T extends Keyed>(node: Node<T>, at: number): void {
  const { tags } = node;
  if (tags === undefined) return;
  const key = keyAt(node, at);
  const other = keyAt(node, at === 0 ? 1 : 0);
  // One that lies outside may not share what all the others do.
  if (key.length < tags.skip || sharedBytes(key, other, tags.skip) < tags.skip) rekeyed(node);
  else ownNumbers(node)?.splice(at, 0, tagOf(key, tags.skip));
}

/** The key at this index is there no more. */
export function keyRemoved<T>(node: Node<T>, at: number): void {
  ownNumbers(node)?.splice(at, 1);
}

function ownNumbers<T>(node: Node<T>): number[] | undefined {
  if (node.tags === undefined || !node.tagsShared) return node.tags?.numbers;
  node.tags = { skip: node.tags.skip, numbers: node.tags.numbers.slice() };
  node.tagsShared = false;
  return node.tags.numbers;
}

/** Its keys are other ones. */
export function rekeyed<T>(node: Node<T>): void {
  node.tags = undefined;
  node.tagsShared = false;
  node.asked = false;
}

/** Six bytes, as far as there are so many: what fits into a number exactly. */
function tagOf(key: Uint8Array, skip: number): number {
  const high = (byteOf(key, skip) << 16) | (byteOf(key, skip + 1) << 8) | byteOf(key, skip + 2);
  const low = (byteOf(key, skip + 3) << 16) | (byteOf(key, skip + 4) << 8) | byteOf(key, skip + 5);
  return high * 2 ** 24 + low;
}

const byteOf = (key: Uint8Array, at: number): number => (at < key.length ? (key[at] as number) : 0);
