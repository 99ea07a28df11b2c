import { compareBytes } from "./bytes.js";
import { ScrubberError } from "./errors.js";
import { type Keyed, keyAt, type Node, search } from "./sorted-node.js";

/** How the items under a node are summed up. */
export interface Measure<T, S> {
  readonly empty: () => S;
  readonly addItem: (sum: S, item: T) => void;
  readonly addSum: (sum: S, other: S) => void;
  readonly takeItem: (sum: S, item: T) => void;
}

/** Called with items, from the first of these indices on and below the second, before they are handed out: a look at all of them at once waits for memory once, not for each. */
export type Warm<T> = (items: readonly T[], from: number, to: number) => void;

/** An item, and the key of the one before it. */
export interface Located<T> {
  readonly item: T;
  readonly before: Uint8Array | undefined;
}

/** What a view and its iterators look at. */
interface Top<T> {
  readonly node: Node<T> | undefined;
  closed: boolean;
}

function rootOf<T>(top: Top<T>): Node<T> | undefined {
  if (top.closed)
    throw new ScrubberError("ERR_SCRUBBER_CLOSED", "this view was closed: what it showed may have changed");
  return top.node;
}

/** The items of a tree at one moment. */
export class SortedView<T extends Keyed> {
  readonly #top: Top<T>;
  #onClose: (() => void) | undefined;

  constructor(root: Node<T> | undefined, onClose?: () => void) {
    this.#top = { node: root, closed: false };
    this.#onClose = onClose;
  }

  /**
   * Nobody looks at it any more, so the tree may change in place what this view alone kept as it was. Who forgets it costs the tree a copy of each node, once. What is asked of a
   * closed view is refused with ERR_SCRUBBER_CLOSED.
   */
  close(): void {
    this.#top.closed = true;
    this.#onClose?.();
    this.#onClose = undefined;
  }

  get(key: Uint8Array): T | undefined {
    const found = this.ceiling(key);
    return found !== undefined && compareBytes(found.key, key) === 0 ? found : undefined;
  }

  /** The first item whose key is `key` or greater. */
  ceiling(key: Uint8Array): T | undefined {
    let node = rootOf(this.#top);
    while (node?.children !== undefined) node = node.children[search(node, key)];
    return node?.items?.[search(node, key)];
  }

  /** The last item whose key is less. */
  below(key: Uint8Array): T | undefined {
    const root = rootOf(this.#top);
    return root === undefined ? undefined : below(root, key);
  }

  last(): T | undefined {
    let node = rootOf(this.#top);
    while (node?.children !== undefined) node = node.children.at(-1);
    return node?.items?.at(-1);
  }

  /** Items from `from` on and below `to`, ascending. */
  range(from: Uint8Array, to: Uint8Array | undefined, warm?: Warm<T>): IterableIterator<T> {
    return new RangeIterator(this.#top, from, to, warm);
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
    const root = rootOf(this.#top);
    if (root !== undefined) walk(root, undefined, from, to, measure, take, each);
  }
}

/**
 * By hand, because a generator that yields each item costs a tenth of what hashing it does. Its way down looks at the numbers of nodes alone: where few items are wanted, each key that is
 * looked at besides costs as much as one of them.
 */
class RangeIterator<T extends Keyed> implements IterableIterator<T> {
  readonly #from: Uint8Array;
  readonly #to: Uint8Array | undefined;
  /** Above the leaf, and which of its children that is: behind its last one the way begins at the top again. */
  #branch: Node<T> | undefined;
  #taken = 0;
  #through: Uint8Array | undefined;
  #items: readonly T[] = [];
  #at = 0;
  #end = 0;
  readonly #top: Top<T>;
  readonly #warm: Warm<T> | undefined;
  #ended = false;

  constructor(top: Top<T>, from: Uint8Array, to: Uint8Array | undefined, warm: Warm<T> | undefined) {
    this.#top = top;
    this.#from = from;
    this.#to = to;
    this.#warm = warm;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T> {
    if (this.#top.closed) rootOf(this.#top);
    while (this.#at >= this.#end) if (!this.#nextLeaf()) return { done: true, value: undefined };
    return { done: false, value: this.#items[this.#at++] as T };
  }

  return(): IteratorResult<T> {
    this.#end = 0;
    this.#ended = true;
    return { done: true, value: undefined };
  }

  #nextLeaf(): boolean {
    if (this.#ended) return false;
    const node = this.#leaf();
    if (node?.items === undefined) {
      this.#ended = true;
      return false;
    }
    const { items } = node;
    const to = this.#to;
    this.#at = this.#through === undefined ? search(node, this.#from) : 0;
    this.#end = to === undefined ? items.length : search(node, to);
    this.#items = items;
    this.#through = node.last;
    // Behind one that is cut off nothing more is wanted.
    this.#ended = this.#end < items.length;
    if (this.#end > this.#at) this.#warm?.(items, this.#at, this.#end);
    return true;
  }

  #leaf(): Node<T> | undefined {
    const through = this.#through;
    if (through !== undefined) {
      if (this.#branch?.children === undefined) return undefined;
      const beside = this.#branch.children[++this.#taken];
      if (beside !== undefined) return beside;
    }
    const key = through ?? this.#from;
    let node = this.#top.node;
    while (node?.children !== undefined) {
      let at = search(node, key);
      if (through !== undefined && at < node.children.length && compareBytes(keyAt(node, at), through) === 0) at++;
      this.#branch = node;
      this.#taken = at;
      node = node.children[at];
    }
    return node;
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
