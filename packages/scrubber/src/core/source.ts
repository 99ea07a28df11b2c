/** A place in the order of writes that all replicas share: a log's slot or sequence. */
export type Position = number;

export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Keys from `from` on, and below `to` (to the end when undefined), compared byte by byte, unsigned. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array | undefined;
}

/** What is in a range, in 32 bytes and two counts. Equal contents give equal digests of one version; see `RangeDigester` for how it is made. */
export interface Digest {
  /** How the hash was made: DIGEST_VERSION, of digests that are kept KEPT_DIGEST_VERSION. Digests of different versions say nothing about one another. */
  readonly version: number;
  readonly hash: Uint8Array;
  readonly keys: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
}

export interface SplitOptions {
  /** About so many bytes of keys and values between one split and the next. */
  readonly bytes: number;
  /** At most so many splits: a list that is this long may go on. */
  readonly splitsMax: number;
}

/**
 * One replica's contents at exactly one position. Writes that come later must not show in it.
 *
 * Any call may fail: with ERR_SCRUBBER_BEHIND when the snapshot was lost (a restart, say), which is no finding; with anything else, and
 * then the range counts as unreadable on this replica, which is one.
 */
export interface ReplicaSnapshot {
  /** One digest for each range, in order, as `RangeDigester` makes them. Many at once, so that narrowing costs one exchange a level. */
  digests(ranges: readonly KeyRange[]): Promise<readonly Digest[]>;
  /** Keys where the range can be cut: ascending, each greater than `range.from` and less than `range.to`. They need not be keys of entries. */
  splits(range: KeyRange, options: SplitOptions): Promise<readonly Uint8Array[]>;
  /** The entries of the range, ascending. Asked only for ranges that have been narrowed to a few keys. */
  entries(range: KeyRange): AsyncIterable<Entry> | Iterable<Entry>;
  /**
   * Whether what lies under these keys is what was once written there: false where a checksum or a digest kept along with the writes says that it has
   * rotted, true where one says that it has not, undefined where nothing can say. Asked about keys that differ, to tell rot from a replica that applied something else.
   */
  intact?(range: KeyRange): Promise<boolean | undefined>;
  /**
   * The same contents in the form that digests have which are kept (`RunDigester`), made by reading: for a kept pass in which other sources answer from memory, and this one
   * cannot. Where a source has neither, that pass reads all of them.
   */
  digestsAsKept?(ranges: readonly KeyRange[]): Promise<readonly Digest[]>;
  /** What the source knows without reading its entries, if it keeps a Merkle tree along with its writes (`MerkleIndex`). */
  readonly kept?: KeptDigests;
  close(): Promise<void>;
}

/**
 * Digests of what was written, as remembered, beside those of what lies there, as read. They are the same until something rots, or until a
 * write goes past the memory.
 */
export interface KeptDigests {
  /** As `RunDigester` makes them. */
  digests(ranges: readonly KeyRange[]): Promise<readonly Digest[]>;
  /** The digests of what lies there, from reading it, as `ReplicaSnapshot.digests`: a good time to remember more. */
  read?(ranges: readonly KeyRange[]): Promise<readonly Digest[]>;
  splits(range: KeyRange, options: SplitOptions): Promise<readonly Uint8Array[]>;
  /** Reads the neighbourhood of the range: whether what lies there is what was written. Undefined when that is not known. */
  intact(range: KeyRange): Promise<boolean | undefined>;
}

export type SourceKind = "tree" | "log" | "archive" | "reference";

/** A copy of the data, to be compared with others. */
export interface ReplicaSource {
  readonly name: string;
  /** What it is, for findings to say; `tree` by default. */
  readonly kind?: SourceKind;
  /** Resolves when the contents at exactly `at` can be read; rejects with ERR_SCRUBBER_BEHIND when they cannot. */
  snapshot(at: Position): Promise<ReplicaSnapshot>;
}
