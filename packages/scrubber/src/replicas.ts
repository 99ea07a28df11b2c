import type { CreateHash } from "./core/digest.js";
import { badArgument, checkedName, checkOptions } from "./core/errors.js";
import { MemoryReplica, type MemoryStore } from "./core/memory.js";
import { Reference, type ReferenceEntry, type ReferenceOptions, type ReferenceSnapshot } from "./core/reference.js";
import type { Position, ReplicaSource, SourceKind } from "./core/source.js";
import { type StreamingOptions, streamingSnapshot } from "./core/streaming.js";
import { sha256 } from "./sha256.js";

export interface SortedReplicaOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** For findings to say; `tree` by default. */
  readonly kind?: SourceKind;
  /**
   * Opens a view of the contents at exactly this position. Throws `behind(name, at, why)` when the position is not reached yet, or is
   * over; any other error counts as unreachable.
   */
  readonly open: (at: Position) => Promise<Omit<StreamingOptions, "createHash">> | Omit<StreamingOptions, "createHash">;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
}

const sortedNames: Record<keyof SortedReplicaOptions, 0> = { name: 0, kind: 0, open: 0, createHash: 0 };

/** A replica over anything that can be read in order of its keys: a B-tree's cursor, a database's query, a sorted file. */
export function sortedReplica(options: SortedReplicaOptions): ReplicaSource {
  const { name, kind = "tree", open, createHash = sha256 } = checkOptions("sortedReplica", options, sortedNames);
  checkedName("name", name);
  if (typeof open !== "function") throw badArgument("open", "a function", open);
  return { name, kind, snapshot: async (at) => streamingSnapshot({ ...(await open(at)), createHash }) };
}

export interface MemoryReplicaOptions {
  /** Where it stands at first: 0 by default. */
  readonly position?: Position;
  /** A store that is kept elsewhere; without it the replica makes one, and keeps a Merkle tree along with it. */
  readonly store?: MemoryStore;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
  /** See `MerkleViewOptions`. */
  readonly pause?: (bytes: number) => Promise<void> | void;
}

const memoryNames: Record<keyof MemoryReplicaOptions, 0> = { position: 0, store: 0, createHash: 0, pause: 0 };

/** A replica in memory; its owner changes `store` and moves `position` along. */
export function memoryReplica(name: string, options: MemoryReplicaOptions = {}): MemoryReplica {
  const { createHash = sha256, ...rest } = checkOptions("memoryReplica", options, memoryNames);
  return new MemoryReplica(name, { createHash, ...rest });
}

export interface ReferenceFromOptions extends ReferenceOptions {
  /** The state that the entries follow on; not where the store has saved one. */
  readonly snapshot?: ReferenceSnapshot;
  /** Entries are applied up to this one; all of them by default. */
  readonly through?: Position;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
}

const referenceNames: Record<keyof ReferenceFromOptions, 0> = {
  name: 0,
  apply: 0,
  after: 0,
  store: 0,
  keepDigests: 0,
  bytesMax: 0,
  snapshot: 0,
  through: 0,
  createHash: 0,
};

/** Builds a reference out of a snapshot and archived entries, through the app's own apply function. Keep it and `advance` it for the next pass. */
export async function referenceFrom(
  entries: AsyncIterable<ReferenceEntry> | Iterable<ReferenceEntry>,
  given: ReferenceFromOptions,
): Promise<Reference> {
  const { through, snapshot, createHash = sha256, ...options } = checkOptions("referenceFrom", given, referenceNames);
  const reference = new Reference(options, createHash);
  if (snapshot !== undefined && options.store?.savedPosition === undefined) await reference.load(snapshot);
  await reference.advance(entries, through === undefined ? {} : { through });
  return reference;
}
