import { compareBytes } from "./bytes.js";

const FANOUT_MAX = 32;

interface Leaf<T> {
  readonly items: T[];
  readonly children?: undefined;
}

interface Branch<T> {
  readonly children: Node<T>[];
  readonly items?: undefined;
}

/** A node of the tree. `last` is its greatest key. Nodes of earlier epochs are shared with snapshots and never change. */
type Node<T> = (Leaf<T> | Branch<T>) & { readonly epoch: object; last: Uint8Array; memo: unknown };

interface Keyed {
  readonly key: Uint8Array;
}

/** How the items under a node are summed up; a node's sum is kept until something below it changes. */
export interface Measure<T, S> {
  readonly zero: S;
  readonly of: (item: T) => S;
  readonly add: (a: S, b: S) => S;
}

/**
 * Items in order of their keys, as a B-tree whose snapshots cost nothing: a change copies the nodes on its path that a snapshot may
 * still see, and changes the others in place.
 */
export class SortedTree<T extends Keyed> {
  #root: Node<T> | undefined;
  #epoch: object = {};

  /** The items as they are now; later changes do not show in it. */
  snapshot(): SortedView<T> {
    this.#epoch = {};
    return new SortedView(this.#root);
  }

  /** A tree of its own that starts out with the same items. */
  fork(): SortedTree<T> {
    this.#epoch = {};
    const tree = new SortedTree<T>();
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
      this.#root = { epoch: this.#epoch, items: [item], last: item.key, memo: undefined };
      return undefined;
    }
    const root = this.#own(this.#root);
    const before = this.#set(root, item);
    this.#root = root;
    const split = this.#split(root);
    if (split !== undefined)
      this.#root = { epoch: this.#epoch, children: [root, split], last: split.last, memo: undefined };
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
    node.memo = undefined;
    if (node.items !== undefined) {
      const at = indexOf(node.items, item.key);
      const there = node.items[at];
      const before = there !== undefined && compareBytes(there.key, item.key) === 0 ? there : undefined;
      if (before === undefined) node.items.splice(at, 0, item);
      else node.items[at] = item;
      node.last = (node.items.at(-1) as T).key;
      return before;
    }
    const at = Math.min(childOf(node.children, item.key), node.children.length - 1);
    const child = this.#own(node.children[at] as Node<T>);
    node.children[at] = child;
    const before = this.#set(child, item);
    const split = this.#split(child);
    if (split !== undefined) node.children.splice(at + 1, 0, split);
    node.last = (node.children.at(-1) as Node<T>).last;
    return before;
  }

  #delete(node: Node<T>, key: Uint8Array): T | undefined {
    node.memo = undefined;
    if (node.items !== undefined) {
      const [before] = node.items.splice(indexOf(node.items, key), 1);
      const last = node.items.at(-1);
      if (last !== undefined) node.last = last.key;
      return before;
    }
    const at = childOf(node.children, key);
    const child = this.#own(node.children[at] as Node<T>);
    const before = this.#delete(child, key);
    // Small nodes stay until they are empty: what is deleted is mostly followed by what is put in its place.
    if (sizeOf(child) === 0) node.children.splice(at, 1);
    else node.children[at] = child;
    const last = node.children.at(-1);
    if (last !== undefined) node.last = last.last;
    return before;
  }

  #split(node: Node<T>): Node<T> | undefined {
    if (sizeOf(node) <= FANOUT_MAX) return undefined;
    // Ascending insertion is the common case: a lopsided split leaves nodes full behind it.
    const at = (FANOUT_MAX * 3) >> 2;
    const { epoch } = node;
    if (node.items !== undefined) {
      const items = node.items.splice(at);
      node.last = (node.items.at(-1) as T).key;
      return { epoch, items, last: (items.at(-1) as T).key, memo: undefined };
    }
    const children = node.children.splice(at);
    node.last = (node.children.at(-1) as Node<T>).last;
    return { epoch, children, last: (children.at(-1) as Node<T>).last, memo: undefined };
  }

  #own(node: Node<T>): Node<T> {
    if (node.epoch === this.#epoch) return node;
    const rest = { epoch: this.#epoch, last: node.last, memo: undefined };
    return node.items === undefined
      ? { ...rest, children: node.children.slice() }
      : { ...rest, items: node.items.slice() };
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
    while (node?.children !== undefined) node = node.children[childOf(node.children, key)];
    return node?.items?.[indexOf(node.items, key)];
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
  *range(from: Uint8Array, to: Uint8Array | undefined): IterableIterator<T> {
    for (const items of this.#leaves(this.#root, from)) {
      let at = compareBytes((items[0] as T).key, from) < 0 ? indexOf(items, from) : 0;
      const within = to === undefined || compareBytes((items.at(-1) as T).key, to) < 0;
      for (; at < items.length; at++) {
        const item = items[at] as T;
        if (!within && compareBytes(item.key, to as Uint8Array) >= 0) return;
        yield item;
      }
    }
  }

  /**
   * Walks the items from `from` on and below `to` in order, by whole nodes where `take` accepts a node's sum (and is then done with what
   * is below it), else item by item. Ends when `each` returns true.
   */
  walk<S>(
    from: Uint8Array,
    to: Uint8Array | undefined,
    measure: Measure<T, S>,
    take: (sum: S) => boolean,
    each: (item: T) => boolean | void,
  ): void {
    if (this.#root !== undefined) walk(this.#root, undefined, from, to, measure, take, each);
  }

  *#leaves(node: Node<T> | undefined, from: Uint8Array): IterableIterator<readonly T[]> {
    if (node === undefined || compareBytes(node.last, from) < 0) return;
    if (node.items !== undefined) yield node.items;
    else
      for (let at = childOf(node.children, from); at < node.children.length; at++)
        yield* this.#leaves(node.children[at], from);
  }
}

function below<T extends Keyed>(node: Node<T>, key: Uint8Array): T | undefined {
  if (node.items !== undefined) return node.items[indexOf(node.items, key) - 1];
  const at = childOf(node.children, key);
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
  each: (item: T) => boolean | void,
): boolean {
  if (compareBytes(node.last, from) < 0) return false;
  const whole =
    (from.length === 0 || (before !== undefined && compareBytes(before, from) >= 0)) &&
    (to === undefined || compareBytes(node.last, to) < 0);
  if (whole && take(sumOf(node, measure))) return false;
  if (node.items !== undefined) {
    for (let at = indexOf(node.items, from); at < node.items.length; at++) {
      const item = node.items[at] as T;
      if (to !== undefined && compareBytes(item.key, to) >= 0) return true;
      if (each(item) === true) return true;
    }
    return false;
  }
  const first = childOf(node.children, from);
  for (let at = first; at < node.children.length; at++) {
    const left = at === 0 ? before : (node.children[at - 1] as Node<T>).last;
    if (to !== undefined && left !== undefined && compareBytes(left, to) >= 0) return true;
    if (walk(node.children[at] as Node<T>, left, from, to, measure, take, each)) return true;
  }
  return false;
}

function sumOf<T extends Keyed, S>(node: Node<T>, measure: Measure<T, S>): S {
  if (node.memo !== undefined) return node.memo as S;
  let sum = measure.zero;
  if (node.items !== undefined) for (const item of node.items) sum = measure.add(sum, measure.of(item));
  else for (const child of node.children) sum = measure.add(sum, sumOf(child, measure));
  node.memo = sum;
  return sum;
}

function sizeOf<T>(node: Node<T>): number {
  return node.items === undefined ? node.children.length : node.items.length;
}

/** Index of the first item whose key is `key` or greater. */
function indexOf<T extends Keyed>(items: readonly T[], key: Uint8Array): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((items[middle] as T).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first child that reaches up to `key`. */
function childOf<T>(children: readonly Node<T>[], key: Uint8Array): number {
  let low = 0;
  let high = children.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((children[middle] as Node<T>).last, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
