import { compareBytes } from "../core/bytes.js";
import type { Kept } from "./sorted-file.js";

/** Ascending entries of several sources as one; where a key is in more than one, the source that comes first in the list is right. */
export function* merge(sources: readonly Iterable<Kept>[]): IterableIterator<Kept> {
  const iterators = sources.map((source) => source[Symbol.iterator]());
  const heads = iterators.map(next);
  for (;;) {
    let least = -1;
    for (const [index, head] of heads.entries()) {
      if (head === undefined) continue;
      const order = least < 0 ? -1 : compareBytes(head.key, (heads[least] as Kept).key);
      if (order < 0) least = index;
      else if (order === 0) heads[index] = next(iterators[index] as Iterator<Kept>);
    }
    if (least < 0) return;
    const head = heads[least] as Kept;
    heads[least] = next(iterators[least] as Iterator<Kept>);
    yield head;
  }
}

function next(iterator: Iterator<Kept>): Kept | undefined {
  const { value, done } = iterator.next();
  return done === true ? undefined : value;
}
