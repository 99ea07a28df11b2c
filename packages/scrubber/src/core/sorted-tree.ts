import { compareBytes } from "./bytes.js";
import {
  branchOf,
  type Keyed,
  keyAdded,
  keyAt,
  keyRemoved,
  leafOf,
  makeTags,
  type Node,
  rekeyed,
  search,
  sizeOf,
} from "./sorted-node.js";
import { type Located, type Measure, SortedView } from "./sorted-view.js";

const FANOUT_MAX = 32;
/** Open snapshots that are kept in mind. */
const SEEN_MAX = 64;

/**
 * Items in order of their keys, as a B-tree whose snapshots cost nothing: a change copies the nodes on its path that a snapshot may
 * still see, and changes the others in place. Snapshots that are closed see nothing: where passes come one after the other and close what they looked at, a write
 * copies nothing, and leaves nothing behind that garbage collection would have to carry about.
 *
 * With a measure, the sums that nodes remember go along with each change: one item is taken away and another added on the path, and nobody
 * looks at what lies beside it. (To sum such a node up anew costs a look at everything below it, all of it far apart in memory: several times what hashing
 * a run costs.) Without one they are forgotten on the path.
 */
export class SortedTree<T extends Keyed, S = unknown> {
  readonly #measure: Measure<T, S> | undefined;
  #root: Node<T> | undefined;
  /** Nodes are made in this one. */
  #epoch = 1;
  /** Nodes of this epoch and of later ones may be changed in place: no view that is open, and no other tree, knows of them. */
  #ownedFrom = 0;
  /** As far as other trees go: they share what is older. */
  #sharedBelow = 0;
  /** The last epochs that open views see, ascending. */
  readonly #seen: number[] = [];
  /** Of the item that was located last: the nodes on the way down, and the index taken in each; good as long as nothing changes. */
  readonly #way: Node<T>[] = [];
  readonly #taken: number[] = [];
  #changed = true;

  constructor(measure?: Measure<T, S>) {
    this.#measure = measure;
  }

  /** The items as they are now; later changes do not show in it. To be closed when it is not needed any more. */
  snapshot(): SortedView<T> {
    const seen = this.#epoch++;
    this.#seen.push(seen);
    // One that was held so long counts as one that nobody will close.
    if (this.#seen.length > SEEN_MAX)
      this.#sharedBelow = Math.max(this.#sharedBelow, (this.#seen.shift() as number) + 1);
    this.#ownedFrom = this.#epoch;
    return new SortedView(this.#root, () => {
      const at = this.#seen.indexOf(seen);
      if (at >= 0) this.#seen.splice(at, 1);
      this.#ownedFrom = Math.max(this.#sharedBelow, (this.#seen.at(-1) ?? -1) + 1);
    });
  }

  /** A tree of its own that starts out with the same items. */
  fork(): SortedTree<T, S> {
    const tree = new SortedTree<T, S>(this.#measure);
    tree.#root = this.#root;
    this.#epoch++;
    for (const one of [this, tree]) {
      one.#epoch = this.#epoch;
      one.#ownedFrom = this.#epoch;
      one.#sharedBelow = this.#epoch;
    }
    return tree;
  }

  /** The items as they are, without keeping them so: good until the next change. */
  peek(): SortedView<T> {
    return new SortedView(this.#root);
  }

  /** The item with this key, and the key of the one before it. To `replace` it then, before anything else changes, is to change what lies on the way here. */
  locate(key: Uint8Array): Located<T> | undefined {
    const way = this.#way;
    const taken = this.#taken;
    let before: Uint8Array | undefined;
    let node = this.#root;
    let depth = 0;
    this.#changed = true;
    for (; node !== undefined; depth++) {
      const at = search(node, key);
      way[depth] = node;
      taken[depth] = at;
      if (at > 0) before = keyAt(node, at - 1);
      if (node.items !== undefined) {
        const item = node.items[at];
        if (item === undefined || compareBytes(item.key, key) !== 0) return undefined;
        way.length = depth + 1;
        this.#changed = false;
        return { item, before };
      }
      node = node.children[at];
    }
    return undefined;
  }

  /** Puts the item in the place of the one with its key, which was located last. */
  replace(item: T): void {
    const way = this.#way;
    const taken = this.#taken;
    const leaf = way.at(-1);
    const at = taken[way.length - 1] as number;
    const before = leaf?.items?.[at];
    if (this.#changed || before === undefined || compareBytes(before.key, item.key) !== 0) {
      this.set(item);
      return;
    }
    let above: Node<T> | undefined;
    for (let depth = 0; depth < way.length; depth++) {
      const node = this.#own(way[depth] as Node<T>);
      way[depth] = node;
      if (above?.children === undefined) this.#root = node;
      else above.children[taken[depth - 1] as number] = node;
      if (node.items !== undefined) node.items[at] = item;
      this.#note(node, before, item);
      above = node;
    }
  }

  /** Adds the item, or puts it in the place of the one with its key, which is returned. */
  set(item: T): T | undefined {
    this.#changed = true;
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
    this.#changed = true;
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
      keyRemoved(node, at);
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
    node.tagsShared = false;
    split.tags = makeTags(split);
    return split;
  }

  #own(node: Node<T>): Node<T> {
    if (node.epoch >= this.#ownedFrom) return node;
    const memo = this.#copyOf(node.memo);
    const copy =
      node.items === undefined
        ? branchOf(this.#epoch, node.children.slice(), node.last, memo)
        : leafOf(this.#epoch, node.items.slice(), node.last, memo);
    copy.tags = node.tags;
    copy.tagsShared = true;
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
