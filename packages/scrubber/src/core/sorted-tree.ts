import { compareBytes } from "./bytes.js";

const FANOUT_MAX = 32;

interface Leaf<T> {
  readonly items: T[];
  readonly children: undefined;
}

interface Branch<T> {
  readonly children: Node<T>[];
  readonly items: undefined;
}

/** A node of the tree. `last` is its greatest key. Nodes of earlier epochs are shared with snapshots and never change. */
type Node<T> = (Leaf<T> | Branch<T>) & {
  readonly epoch: object;
  last: Uint8Array;
  memo: unknown;
  /** Absent: to be made when the node has been searched again without a change of its keys. */
  tags: Tags | undefined;
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
const leafOf = <T>(epoch: object, items: T[], last: Uint8Array, memo?: unknown): Node<T> =>
  nodeOf(epoch, items, undefined, last, memo);
const branchOf = <T>(epoch: object, children: Node<T>[], last: Uint8Array, memo?: unknown): Node<T> =>
  nodeOf(epoch, undefined, children, last, memo);

function nodeOf<T>(
  epoch: object,
  items: T[] | undefined,
  children: Node<T>[] | undefined,
  last: Uint8Array,
  memo: unknown,
): Node<T> {
  return { epoch, items, children, last, memo, tags: undefined, asked: false } as Node<T>;
}

interface Keyed {
  readonly key: Uint8Array;
}

/** How the items under a node are summed up. */
export interface Measure<T, S> {
  readonly empty: () => S;
  readonly addItem: (sum: S, item: T) => void;
  readonly addSum: (sum: S, other: S) => void;
  readonly takeItem: (sum: S, item: T) => void;
}

/**
 * Items in order of their keys, as a B-tree whose snapshots cost nothing: a change copies the nodes on its path that a snapshot may
 * still see, and changes the others in place.
 *
 * With a measure, the sums that nodes remember go along with each change: one item is taken away and another added on the path, and nobody
 * looks at what lies beside it. (To sum such a node up anew costs a look at everything below it, all of it far apart in memory: several times what hashing
 * a run costs.) Without one they are forgotten on the path.
 */
export class SortedTree<T extends Keyed, S = unknown> {
  readonly #measure: Measure<T, S> | undefined;
  #root: Node<T> | undefined;
  #epoch: object = {};

  constructor(measure?: Measure<T, S>) {
    this.#measure = measure;
  }

  /** The items as they are now; later changes do not show in it. */
  snapshot(): SortedView<T> {
    this.#epoch = {};
    return new SortedView(this.#root);
  }

  /** A tree of its own that starts out with the same items. */
  fork(): SortedTree<T, S> {
    this.#epoch = {};
    const tree = new SortedTree<T, S>(this.#measure);
    tree.#root = this.#root;
    return tree;
  }

  /** The items as they are, without keeping them so: good until the next change. */
  peek(): SortedView<T> {
    return new SortedView(this.#root);
  }

  /** Adds the item, or puts it in the place of the one with its key, which is returned. */
  set(item: T): T | undefined {
    if (this.#root === undefined) {
      this.#root = leafOf(this.#epoch, [item], item.key);
      return undefined;
    }
    const root = this.#own(this.#root);
    const before = this.#set(root, item);
    this.#root = root;
    const split = this.#split(root);
    if (split !== undefined) this.#root = branchOf(this.#epoch, [root, split], split.last);
    return before;
  }

  delete(key: Uint8Array): T | undefined {
    if (this.#root === undefined || this.peek().get(key) === undefined) return undefined;
    const root = this.#own(this.#root);
    const before = this.#delete(root, key);
    this.#root = root;
    while (this.#root?.children?.length === 1) this.#root = this.#root.children[0];
    if (this.#root !== undefined && sizeOf(this.#root) === 0) this.#root = undefined;
    return before;
  }

  #set(node: Node<T>, item: T): T | undefined {
    if (node.items !== undefined) {
      const at = search(node, item.key);
      const there = node.items[at];
      const before = there !== undefined && compareBytes(there.key, item.key) === 0 ? there : undefined;
      if (before === undefined) {
        node.items.splice(at, 0, item);
        keyAdded(node, at);
      } else node.items[at] = item;
      node.last = (node.items.at(-1) as T).key;
      this.#note(node, before, item);
      return before;
    }
    const at = Math.min(search(node, item.key), node.children.length - 1);
    const child = this.#own(node.children[at] as Node<T>);
    node.children[at] = child;
    const { last } = child;
    const before = this.#set(child, item);
    const split = this.#split(child);
    if (split !== undefined) node.children.splice(at + 1, 0, split);
    if (split !== undefined || (before === undefined && compareBytes(child.last, last) !== 0)) rekeyed(node);
    node.last = (node.children.at(-1) as Node<T>).last;
    this.#note(node, before, item);
    return before;
  }

  /** That below the node one item has come in the place of another. */
  #note(node: Node<T>, before: T | undefined, after: T | undefined): void {
    const measure = this.#measure;
    if (measure === undefined || node.memo === undefined) {
      node.memo = undefined;
      return;
    }
    if (before !== undefined) measure.takeItem(node.memo as S, before);
    if (after !== undefined) measure.addItem(node.memo as S, after);
  }

  #delete(node: Node<T>, key: Uint8Array): T | undefined {
    if (node.items !== undefined) {
      const at = search(node, key);
      const [before] = node.items.splice(at, 1);
      node.tags?.numbers.splice(at, 1);
      const last = node.items.at(-1);
      if (last !== undefined) node.last = last.key;
      this.#note(node, before, undefined);
      return before;
    }
    const at = search(node, key);
    const child = this.#own(node.children[at] as Node<T>);
    const before = this.#delete(child, key);
    // Small nodes stay until they are empty: what is deleted is mostly followed by what is put in its place.
    if (sizeOf(child) === 0) node.children.splice(at, 1);
    else node.children[at] = child;
    if (before !== undefined && compareBytes(before.key, child.last) >= 0) rekeyed(node);
    const last = node.children.at(-1);
    if (last !== undefined) node.last = last.last;
    this.#note(node, before, undefined);
    return before;
  }

  #split(node: Node<T>): Node<T> | undefined {
    if (sizeOf(node) <= FANOUT_MAX) return undefined;
    // Ascending insertion is the common case: a lopsided split leaves nodes full behind it.
    const at = (FANOUT_MAX * 3) >> 2;
    const { epoch } = node;
    node.memo = undefined;
    const { items: held, children } = node;
    const rest = held === undefined ? children.splice(at) : held.splice(at);
    const last = keyAt(node, at - 1);
    const split =
      held === undefined ? branchOf(epoch, rest as Node<T>[], node.last) : leafOf(epoch, rest as T[], node.last);
    node.last = last;
    // While its keys are at hand: it may be long before anybody looks at them again.
    node.tags = makeTags(node);
    split.tags = makeTags(split);
    return split;
  }

  #own(node: Node<T>): Node<T> {
    if (node.epoch === this.#epoch) return node;
    const memo = this.#copyOf(node.memo);
    const copy =
      node.items === undefined
        ? branchOf(this.#epoch, node.children.slice(), node.last, memo)
        : leafOf(this.#epoch, node.items.slice(), node.last, memo);
    if (node.tags !== undefined) copy.tags = { skip: node.tags.skip, numbers: node.tags.numbers.slice() };
    copy.asked = node.asked;
    return copy;
  }

  #copyOf(memo: unknown): unknown {
    if (memo === undefined || this.#measure === undefined) return undefined;
    const copy = this.#measure.empty();
    this.#measure.addSum(copy, memo as S);
    return copy;
  }
}

/** The items of a tree at one moment. */
export class SortedView<T extends Keyed> {
  readonly #root: Node<T> | undefined;

  constructor(root: Node<T> | undefined) {
    this.#root = root;
  }

  get(key: Uint8Array): T | undefined {
    const found = this.ceiling(key);
    return found !== undefined && compareBytes(found.key, key) === 0 ? found : undefined;
  }

  /** The first item whose key is `key` or greater. */
  ceiling(key: Uint8Array): T | undefined {
    let node = this.#root;
    while (node?.children !== undefined) node = node.children[search(node, key)];
    return node?.items?.[search(node, key)];
  }

  /** The item with this key, and the key of the one before it. */
  locate(key: Uint8Array): { readonly item: T; readonly before: Uint8Array | undefined } | undefined {
    let before: Uint8Array | undefined;
    let node = this.#root;
    for (; node?.children !== undefined; ) {
      const at = search(node, key);
      if (at > 0) before = keyAt(node, at - 1);
      node = node.children[at];
    }
    if (node === undefined) return undefined;
    const at = search(node, key);
    const item = node.items?.[at];
    if (item === undefined || compareBytes(item.key, key) !== 0) return undefined;
    return { item, before: at > 0 ? keyAt(node, at - 1) : before };
  }

  /** The last item whose key is less. */
  below(key: Uint8Array): T | undefined {
    return this.#root === undefined ? undefined : below(this.#root, key);
  }

  last(): T | undefined {
    let node = this.#root;
    while (node?.children !== undefined) node = node.children.at(-1);
    return node?.items?.at(-1);
  }

  /** Items from `from` on and below `to`, ascending. */
  range(from: Uint8Array, to: Uint8Array | undefined): IterableIterator<T> {
    return new RangeIterator(leavesOf(this.#root, from), from, to);
  }

  /**
   * Walks the items from `from` on and below `to` in order, by whole nodes where `take` accepts a node's sum (and is then done with what
   * is below it), else item by item, each with the key before it in the tree. Ends when `each` returns true.
   */
  walk<S>(
    from: Uint8Array,
    to: Uint8Array | undefined,
    measure: Measure<T, S>,
    take: (sum: S) => boolean,
    each: (item: T, before: Uint8Array | undefined) => boolean | void,
  ): void {
    if (this.#root !== undefined) walk(this.#root, undefined, from, to, measure, take, each);
  }
}

function* leavesOf<T extends Keyed>(node: Node<T> | undefined, from: Uint8Array): IterableIterator<Node<T>> {
  if (node === undefined || compareBytes(node.last, from) < 0) return;
  if (node.items !== undefined) yield node;
  else for (let at = search(node, from); at < node.children.length; at++) yield* leavesOf(node.children[at], from);
}

/** By hand, because a generator that yields each item costs a tenth of what hashing it does. */
class RangeIterator<T extends Keyed> implements IterableIterator<T> {
  readonly #leaves: IterableIterator<Node<T>>;
  readonly #from: Uint8Array;
  readonly #to: Uint8Array | undefined;
  #items: readonly T[] = [];
  #at = 0;
  #end = 0;
  #begun = false;

  constructor(leaves: IterableIterator<Node<T>>, from: Uint8Array, to: Uint8Array | undefined) {
    this.#leaves = leaves;
    this.#from = from;
    this.#to = to;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T> {
    while (this.#at >= this.#end) if (!this.#nextLeaf()) return { done: true, value: undefined };
    return { done: false, value: this.#items[this.#at++] as T };
  }

  return(): IteratorResult<T> {
    this.#end = 0;
    this.#leaves.return?.();
    return { done: true, value: undefined };
  }

  #nextLeaf(): boolean {
    const { value: leaf, done } = this.#leaves.next();
    if (done === true) return false;
    const items = leaf.items as readonly T[];
    const to = this.#to;
    this.#items = items;
    this.#at = this.#begun ? 0 : search(leaf, this.#from);
    this.#begun = true;
    this.#end = to === undefined ? items.length : search(leaf, to);
    // Behind one that is cut off nothing more is wanted.
    if (this.#end === 0) return false;
    return true;
  }
}

function below<T extends Keyed>(node: Node<T>, key: Uint8Array): T | undefined {
  if (node.items !== undefined) return node.items[search(node, key) - 1];
  const at = search(node, key);
  const child = node.children[at];
  const found = child === undefined ? undefined : below(child, key);
  if (found !== undefined) return found;
  let before = node.children[at - 1];
  while (before?.children !== undefined) before = before.children.at(-1);
  return before?.items?.at(-1);
}

/** `before` is the greatest key left of the node: with it a node is known to lie inside the range without looking into it. */
function walk<T extends Keyed, S>(
  node: Node<T>,
  before: Uint8Array | undefined,
  from: Uint8Array,
  to: Uint8Array | undefined,
  measure: Measure<T, S>,
  take: (sum: S) => boolean,
  each: (item: T, before: Uint8Array | undefined) => boolean | void,
): boolean {
  if (compareBytes(node.last, from) < 0) return false;
  const whole =
    (from.length === 0 || (before !== undefined && compareBytes(before, from) >= 0)) &&
    (to === undefined || compareBytes(node.last, to) < 0);
  if (whole && take(sumOf(node, measure))) return false;
  if (node.items !== undefined) {
    for (let at = search(node, from); at < node.items.length; at++) {
      const item = node.items[at] as T;
      if (to !== undefined && compareBytes(item.key, to) >= 0) return true;
      if (each(item, at === 0 ? before : (node.items[at - 1] as T).key) === true) return true;
    }
    return false;
  }
  const first = search(node, from);
  for (let at = first; at < node.children.length; at++) {
    const left = at === 0 ? before : (node.children[at - 1] as Node<T>).last;
    if (to !== undefined && left !== undefined && compareBytes(left, to) >= 0) return true;
    if (walk(node.children[at] as Node<T>, left, from, to, measure, take, each)) return true;
  }
  return false;
}

function sumOf<T extends Keyed, S>(node: Node<T>, measure: Measure<T, S>): S {
  if (node.memo !== undefined) return node.memo as S;
  const sum = measure.empty();
  if (node.items !== undefined) for (const item of node.items) measure.addItem(sum, item);
  else for (const child of node.children) measure.addSum(sum, sumOf(child, measure));
  node.memo = sum;
  return sum;
}

function sizeOf<T>(node: Node<T>): number {
  return node.items === undefined ? node.children.length : node.items.length;
}

/** The greatest key below the child, or the item's own. */
function keyAt<T extends Keyed>(node: Node<T>, at: number): Uint8Array {
  return node.items === undefined ? (node.children[at] as Node<T>).last : (node.items[at] as T).key;
}

/** Index of the first item, or child, that reaches up to `key`. */
function search<T extends Keyed>(node: Node<T>, key: Uint8Array): number {
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
    // To those of the same number, if there are any; they are told apart by the keys themselves.
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((numbers[middle] as number) < tag) low = middle + 1;
      else high = middle;
    }
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
  return node.tags;
}

function makeTags<T extends Keyed>(node: Node<T>): Tags {
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
function keyAdded<T extends Keyed>(node: Node<T>, at: number): void {
  const { tags } = node;
  if (tags === undefined) return;
  const key = keyAt(node, at);
  const other = keyAt(node, at === 0 ? 1 : 0);
  // One that lies outside may not share what all the others do.
  if (key.length < tags.skip || sharedBytes(key, other, tags.skip) < tags.skip) rekeyed(node);
  else tags.numbers.splice(at, 0, tagOf(key, tags.skip));
}

/** Its keys are other ones. */
function rekeyed<T>(node: Node<T>): void {
  node.tags = undefined;
  node.asked = false;
}

/** Six bytes, as far as there are so many: what fits into a number exactly. */
function tagOf(key: Uint8Array, skip: number): number {
  const high = (byteOf(key, skip) << 16) | (byteOf(key, skip + 1) << 8) | byteOf(key, skip + 2);
  const low = (byteOf(key, skip + 3) << 16) | (byteOf(key, skip + 4) << 8) | byteOf(key, skip + 5);
  return high * 2 ** 24 + low;
}

const byteOf = (key: Uint8Array, at: number): number => (at < key.length ? (key[at] as number) : 0);
