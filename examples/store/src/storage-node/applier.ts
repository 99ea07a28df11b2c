import type { Move, Replica } from "./replica.js";
import type { PreparedPut, Tree, TreeWrite } from "./tree.js";

/** What has gathered meanwhile goes in several transactions, one after the other: each of them is put together in one turn of the event loop. */
const OPERATIONS_PER_COMMIT_MAX = 1_000;
/**
 * Each transaction costs a sync of the tree's file on the disk that the log syncs on, and a copy of every page that it touches: few large ones, and the log
 * keeps its pace. A restart replays no more than what gathers here.
 */
const COMMIT_EVERY_MS = 500;
const OPERATIONS_ENOUGH = 1_000;
/** Some 1.5 us each: longer than that nobody waits for a commit to be made ready. */
const PREPARED_AT_ONCE = 64;

interface ReplicaMove {
  readonly replica: Replica;
  readonly move: Move;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Moves what was applied in memory into the B-tree, off the acknowledgement's path: one transaction at a time for all the partitions of the
 * node, the next one gathering meanwhile. An acknowledged write is already in a quorum's logs; the tree may lag behind it.
 */
export class Applier {
  readonly #tree: Tree;
  readonly #dirty = new Set<Replica>();
  readonly #onFailure: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #scheduled = 0;
  #hurried = false;
  #wake: (() => void) | undefined;
  #committing: Promise<void> | undefined;
  #closed = false;

  constructor(tree: Tree, onFailure: (error: unknown) => void) {
    this.#tree = tree;
    this.#onFailure = onFailure;
  }

  /** The replica has something to move; called from its `apply`. */
  schedule(replica: Replica, operations: number): void {
    if (this.#closed) return;
    this.#dirty.add(replica);
    this.#scheduled += operations;
    if (this.#scheduled >= OPERATIONS_ENOUGH) this.hurry();
    this.#running ??= this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Do not wait for more to gather: somebody waits for a snapshot, or enough has gathered. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  forget(replica: Replica): void {
    this.#dirty.delete(replica);
  }

  /** Resolves when the transaction that is under way, if one is, has ended. What a forgotten replica had in it is then in the tree for good. */
  async settled(): Promise<void> {
    await this.#committing?.catch(() => undefined);
  }

  /** Resolves when nothing is left to commit, or can be any more. While writes go on, that may be never. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) {
      this.hurry();
      await this.#running;
    }
  }

  async close(): Promise<void> {
    await this.drain();
    this.#closed = true;
  }

  /**
   * The end: what was taken for the failed transaction is nowhere but in memory, and a later one would record a slot that covers it. A restart
   * takes it from the log again.
   */
  #fail(error: unknown): void {
    this.#closed = true;
    this.#dirty.clear();
    this.#onFailure(error);
  }

  /** Lets writes gather; in any case until the end of the turn that applied the first. */
  async #gather(): Promise<void> {
    if (!this.#hurried) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, COMMIT_EVERY_MS);
        this.#wake = () => {
          clearTimeout(timer);
          setImmediate(resolve);
        };
      });
      this.#wake = undefined;
    }
    this.#hurried = false;
    this.#scheduled = 0;
  }

  /** In pieces, since requests wait meanwhile; handing everything over at last takes a third of a microsecond a write. */
  async #commit(moves: readonly ReplicaMove[]): Promise<void> {
    let count = 0;
    const writes: TreeWrite[] = [];
    for (const { replica, move } of moves) {
      const { partition } = replica;
      const puts: PreparedPut[] = [];
      for (const put of move.puts) {
        puts.push(this.#tree.prepare(partition, put));
        if (++count % PREPARED_AT_ONCE === 0) await turn();
      }
      writes.push({ partition, appliedThrough: move.through, timeMs: move.timeMs, puts });
    }
    await this.#tree.commit(writes);
  }

  async #run(): Promise<void> {
    try {
      while (this.#dirty.size > 0) {
        await this.#gather();
        const batch = [...this.#dirty];
        this.#dirty.clear();
        let room = OPERATIONS_PER_COMMIT_MAX;
        const moves: ReplicaMove[] = [];
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
        this.#committing = this.#commit(moves);
        await this.#committing;
        for (const { replica, move } of moves) if (replica.moved(move)) this.#dirty.add(replica);
      }
    } finally {
      this.#running = undefined;
    }
  }
}
