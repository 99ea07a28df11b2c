import { type Digest, type Entry, type KeyRange, RangeDigester, type SplitOptions, sha256 } from "@evenkeel/scrubber";
import type { Pace } from "./gentle-pace.js";
import { turn } from "./turn.js";

/** What is there in a range, as of a moment that stays the same from one call to the next. */
export type EntriesOf = (range: KeyRange) => Promise<Iterable<Entry>> | Iterable<Entry>;

/**
 * Calls `add` with each entry of a range until it returns true, with a pause after each slice. Meanwhile no cursor stays open: what is read may be let go of then, and
 * `entriesOf` says so.
 */
async function inSlices(
  entriesOf: EntriesOf,
  { from, to }: KeyRange,
  pace: Pace,
  add: (entry: Entry) => boolean,
): Promise<void> {
  for (let next: Uint8Array | undefined = from; next !== undefined; ) {
    const range: KeyRange = { from: next, to };
    next = undefined;
    for (const entry of await entriesOf(range)) {
      if (add(entry)) return;
      if (!pace.isOver(entry.key.length + entry.value.length)) continue;
      next = Buffer.concat([entry.key, Buffer.alloc(1)]);
      break;
    }
    if (next !== undefined) await pace.pause();
  }
}

export async function digestsInSlices(
  entriesOf: EntriesOf,
  ranges: readonly KeyRange[],
  pace: Pace,
): Promise<Digest[]> {
  const digests: Digest[] = [];
  const digester = new RangeDigester(sha256);
  // Others have their turn before the first slice, too.
  await turn();
  for (const range of ranges) {
    await inSlices(entriesOf, range, pace, ({ key, value }) => {
      digester.add(key, value);
      return false;
    });
    digests.push(digester.finish());
  }
  return digests;
}

export async function splitsInSlices(
  entriesOf: EntriesOf,
  range: KeyRange,
  options: SplitOptions,
  pace: Pace,
): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = [];
  let bytes = 0;
  await turn();
  await inSlices(entriesOf, range, pace, ({ key, value }) => {
    if (bytes >= options.bytes) {
      keys.push(Uint8Array.from(key));
      bytes = 0;
    }
    bytes += key.length + value.length;
    return keys.length >= options.splitsMax;
  });
  return keys;
}
