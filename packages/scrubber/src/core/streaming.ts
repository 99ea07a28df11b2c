import { copyOf } from "./bytes.js";
import { type CreateHash, RangeDigester } from "./digest.js";
import { badArgument } from "./errors.js";
import { RunDigester } from "./run-digest.js";
import type { Digest, Entry, KeptDigests, KeyRange, ReplicaSnapshot, SplitOptions } from "./source.js";

export interface StreamingOptions {
  /** Entries of the range in ascending order of their keys' bytes, from a view that later writes do not touch. */
  readonly entries: (range: KeyRange) => AsyncIterable<Entry> | Iterable<Entry>;
  /**
   * The same entries as bytes, for a source that holds them so: blocks of whole entries one behind the other, each key length and value length (u32, little-endian), key,
   * value (`RangeDigester.addPacked`). Digests are then made without a copy or an object for each entry.
   */
  readonly packed?: (range: KeyRange) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Makes the hash of digests, the same for all that are compared. */
  readonly createHash: CreateHash;
  /** Whether an entry matches the checksum that its value carries, for values that carry one. */
  readonly verify?: (entry: Entry) => boolean;
  /** A `MerkleIndex`'s view of the same moment. */
  readonly kept?: KeptDigests;
  /** Called once, when the pass needs the snapshot no more. */
  readonly close?: () => Promise<void> | void;
}

/**
 * A snapshot of anything that can be read in order. A synchronous source is read without a break for one range at a time; the caller
 * decides how large those are.
 */
export function streamingSnapshot(
  { entries, packed, createHash, verify, kept, close }: StreamingOptions = {} as StreamingOptions,
): ReplicaSnapshot {
  if (typeof entries !== "function") throw badArgument("entries", "a function", entries);
  if (typeof createHash !== "function") throw badArgument("createHash", "a function", createHash);
  async function digestsBy(digester: RangeDigester | RunDigester, ranges: readonly KeyRange[]): Promise<Digest[]> {
    const digests: Digest[] = [];
    for (const range of ranges) {
      if (packed !== undefined) {
        const blocks = packed(range);
        if (Symbol.iterator in blocks) for (const block of blocks) digester.addPacked(block);
        else for await (const block of blocks) digester.addPacked(block);
        digests.push(digester.finish());
        continue;
      }
      const source = entries(range);
      if (Symbol.iterator in source) for (const { key, value } of source) digester.add(key, value);
      else for await (const { key, value } of source) digester.add(key, value);
      digests.push(digester.finish());
    }
    return digests;
  }
  return {
    digests: async (ranges) => kept?.read?.(ranges) ?? digestsBy(new RangeDigester(createHash), ranges),
    digestsAsKept: async (ranges) => digestsBy(new RunDigester(createHash), ranges),
    async splits(range, options) {
      return splitsOf(entries(range), options);
    },
    entries,
    async intact(range) {
      let checked = 0;
      if (verify !== undefined) {
        for await (const entry of entries(range)) {
          if (!verify(entry)) return false;
          checked++;
        }
      }
      // Checksums say nothing about an entry that is gone.
      return (await kept?.intact(range)) ?? (checked > 0 ? true : undefined);
    },
    ...(kept === undefined ? {} : { kept }),
    close: async () => close?.(),
  };
}

/** Every key at which another `options.bytes` have been read. */
export async function splitsOf(
  source: AsyncIterable<Entry> | Iterable<Entry>,
  options: SplitOptions,
): Promise<readonly Uint8Array[]> {
  const splitter = new Splitter(options);
  if (Symbol.iterator in source) {
    for (const entry of source) if (splitter.add(entry)) break;
  } else {
    for await (const entry of source) if (splitter.add(entry)) break;
  }
  return splitter.splits;
}

class Splitter {
  readonly splits: Uint8Array[] = [];
  readonly #options: SplitOptions;
  #bytes = 0;

  constructor(options: SplitOptions) {
    this.#options = options;
  }

  /** True when no more splits are wanted. */
  add({ key, value }: Entry): boolean {
    if (this.#bytes >= this.#options.bytes) {
      this.splits.push(copyOf(key));
      this.#bytes = 0;
    }
    this.#bytes += key.length + value.length;
    return this.splits.length >= this.#options.splitsMax;
  }
}
