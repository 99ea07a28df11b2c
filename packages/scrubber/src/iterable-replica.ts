import type { CreateHash } from "./core/digest.js";
import { badArgument, checkedInteger, checkedName, checkOptions } from "./core/errors.js";
import { type EntriesFrom, ForwardReader } from "./core/forward.js";
import type { Position, ReplicaSource } from "./core/source.js";
import { streamingSnapshot } from "./core/streaming.js";
import { sha256 } from "./sha256.js";

const WINDOW_BYTES = 8 * 1024 * 1024;

export interface IterableView {
  /**
   * Entries in ascending order of their keys' bytes, from `from` on; a source that can only be read from its start may begin there. Called again for
   * places that have left the window. Every call must give the same entries for as long as the view is open.
   */
  readonly from: EntriesFrom;
  readonly close?: () => Promise<void> | void;
}

export interface IterableReplicaOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** Opens a view of the contents at this position; throws `behind(name, at, why)` when it cannot. */
  readonly open: (at: Position) => Promise<IterableView> | IterableView;
  /** Bytes of entries kept in memory, so that they are read once: several times the Scrubber's `stepBytes`. 8 MiB by default. */
  readonly windowBytes?: number;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
}

const optionNames: Record<keyof IterableReplicaOptions, 0> = { name: 0, open: 0, windowBytes: 0, createHash: 0 };

/** A replica over anything that comes in order of its keys: a query with a cursor, a listing by pages, a sorted file. */
export function iterableReplica(options: IterableReplicaOptions): ReplicaSource {
  const {
    name,
    open,
    windowBytes = WINDOW_BYTES,
    createHash = sha256,
  } = checkOptions("iterableReplica", options, optionNames);
  checkedName("name", name);
  if (typeof open !== "function") throw badArgument("open", "a function", open);
  checkedInteger("windowBytes", windowBytes, 1);
  return {
    name,
    snapshot: async (at) => {
      const view = await open(at);
      const reader = new ForwardReader(view.from, windowBytes);
      return streamingSnapshot({
        entries: (range) => reader.entries(range),
        createHash,
        close: async () => {
          await reader.close();
          await view.close?.();
        },
      });
    },
  };
}
