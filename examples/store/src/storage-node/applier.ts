import type { Replica } from "./replica.js";
import type { Tree } from "./tree.js";

const OPERATIONS_PER_COMMIT_MAX = 5_000;

/**
 * Moves what was applied in memory into the B-tree, off the acknowledgement's path: one transaction at a time for all the partitions of the
 * node, the next one gathering meanwhile. An acknowledged write is already in a quorum's logs; the tree may lag behind it.
 */
export class Applier {
  readonly #tree: Tree;
  readonly #dirty = new Set<Replica>();
  readonly #onFailure: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(tree: Tree, onFailure: (error: unknown) => void) {
    this.#tree = tree;
    this.#onFailure = onFailure;
  }

  /** The replica has something to move; called from its `apply`. */
  schedule(replica: Replica): void {
    if (this.#closed) return;
    this.#dirty.add(replica);
    this.#running ??= this.#run().catch((error: unknown) => this.#onFailure(error));
  }

  forget(replica: Replica): void {
    this.#dirty.delete(replica);
  }

  /** Resolves when all that was scheduled before the call is committed. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    await this.drain();
    this.#closed = true;
  }

  async #run(): Promise<void> {
    try {
      // Let the turn that applied something finish: its other entries join this transaction.
      await new Promise<void>((resolve) => setImmediate(resolve));
      while (this.#dirty.size > 0) {
        const batch = [...this.#dirty];
        this.#dirty.clear();
        let room = OPERATIONS_PER_COMMIT_MAX;
        const moves = [];
        for (const replica of batch) {
          const move = room > 0 ? replica.takeMove(room) : undefined;
          if (move === undefined) {
            if (room <= 0) this.#dirty.add(replica);
            continue;
          }
          room -= move.entries.length;
          moves.push({ replica, move });
        }
        if (moves.length === 0) continue;
        await this.#tree.commit(
          moves.map(({ replica, move }) => ({
            partition: replica.partition,
            appliedThrough: move.through,
            puts: move.entries,
          })),
        );
        for (const { replica, move } of moves) if (replica.moved(move)) this.#dirty.add(replica);
      }
    } finally {
      this.#running = undefined;
    }
  }
}
