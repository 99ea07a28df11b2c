import { type Entry, keyAt, keyIn, locate, newSpan, valueIn } from "./block.js";
import { bitAt, compareBytes, compareRuns, firstDifference } from "./bytes.js";
import { digestOf, entriesOf, firstLeaf, type Hash, Inner, Leaf, type Node } from "./node.js";

/** A key's new value, or null where the key goes. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/**
 * What turns `before` into `after`, ascending. Subtrees of equal hash are skipped, so the work follows the number of changes, plus at most a
 * block at each place where the shape changed.
 */
export function diff(before: Node, after: Node, hash: Hash): Change[] {
  const changes: Change[] = [];
  const pending: [Node | undefined, Node | undefined][] = [[before, after]];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (a instanceof Leaf && b instanceof Leaf && mergeLeaves(a, b, changes)) continue;
    if (a === undefined || b === undefined || !(a instanceof Inner) || !(b instanceof Inner)) {
      merge(a === undefined ? [] : entriesOf(a), b === undefined ? [] : entriesOf(b), changes);
      continue;
    }
    if (digestOf(a, hash) === digestOf(b, hash)) continue;
    const keyOfA = keyAt(firstLeaf(a), 0);
    const keyOfB = keyAt(firstLeaf(b), 0);
    const apart = firstDifference(keyOfA, keyOfB);
    const bit = Math.min(a.bit, b.bit);
    if (apart < bit) {
      // No key in common: one lies wholly before the other. What is pushed last is visited first.
      if (bitAt(keyOfA, apart) === 0) pending.push([undefined, b], [a, undefined]);
      else pending.push([a, undefined], [undefined, b]);
      continue;
    }
    const sides = (node: Inner, key: Uint8Array): [Node | undefined, Node | undefined] => {
      if (node.bit === bit) return [node.left, node.right];
      return bitAt(key, bit) === 0 ? [node, undefined] : [undefined, node];
    };
    const [aLeft, aRight] = sides(a, keyOfA);
    const [bLeft, bRight] = sides(b, keyOfB);
    pending.push([aRight, bRight], [aLeft, bLeft]);
  }
  return changes;
}

const spanOfA = newSpan();
const spanOfB = newSpan();

/** Two leaves whose keys begin alike, compared where they lie: most of them is the same. False for others. */
function mergeLeaves(a: Leaf, b: Leaf, into: Change[]): boolean {
  const [one, other] = [spanOfA, spanOfB];
  if (a.count === 0 || b.count === 0) return false;
  locate(a, 0, one);
  locate(b, 0, other);
  if (compareRuns(a.bytes, one.prefixStart, one.prefixEnd, b.bytes, other.prefixStart, other.prefixEnd) !== 0)
    return false;
  let i = 0;
  let j = 0;
  while (i < a.count || j < b.count) {
    if (i < a.count) locate(a, i, one);
    if (j < b.count) locate(b, j, other);
    const order =
      i === a.count
        ? 1
        : j === b.count
          ? -1
          : compareRuns(a.bytes, one.suffixStart, one.suffixEnd, b.bytes, other.suffixStart, other.suffixEnd);
    if (order < 0) into.push({ key: keyIn(a.bytes, one), value: null });
    else if (
      order > 0 ||
      compareRuns(a.bytes, one.valueStart, one.valueEnd, b.bytes, other.valueStart, other.valueEnd) !== 0
    ) {
      into.push({ key: keyIn(b.bytes, other), value: valueIn(b.bytes, other) });
    }
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return true;
}

function merge(before: readonly Entry[], after: readonly Entry[], into: Change[]): void {
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const a = before[i];
    const b = after[j];
    const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a.key, b.key);
    if (order < 0) into.push({ key: a!.key, value: null });
    else if (order > 0 || compareBytes(a!.value, b!.value) !== 0) into.push({ key: b!.key, value: b!.value });
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
}
