import { untimely } from "../control/rounds.js";
import type { Move, Replica } from "./replica.js";
import type { PreparedPut, Tree, TreeWrite } from "./tree.js";
import { turn } from "./turn.js";

/**
 * Each transaction costs a sync of the tree's file on the disk that the log syncs on, and a copy of every page that it touches: few large ones, and the log keeps its pace. So while writes come they gather for
 * some two seconds, or until there are some four thousand or four megabytes; once none has come for a while, what there is goes. A restart replays no more than what gathers here.
 */
const LOOK_EVERY_MS = 250;
const LOOKS_MIN = 2;
const LOOKS_MAX = 8;
/**
 * What has gathered by then goes in several transactions, one after the other: each of them is handed over in one turn of the event loop, which takes a third of a microsecond a write. Of four
 * thousand in one transaction each takes two thirds of the processor time that it takes of one thousand.
 */
const OPERATIONS_ENOUGH = 4_000;
/**
 * All replicas of a partition apply the same writes at the same time. If each waited for as many, they would all commit at once: three threads that want a processor for some ten milliseconds each, and where there
 * are two processors everybody's requests stand behind. So each waits for another share of what is enough every time, and they drift apart.
 */
const SHARE_MIN = 0.75;
const SHARE_SPREAD = 0.5;
const BYTES_ENOUGH = 4 * 1024 * 1024;
/** Some 1.5 us each: longer than that nobody waits for a commit to be made ready. */
const PREPARED_AT_ONCE = 64;
/** Where more has gathered meanwhile than goes into one transaction: the B-tree does not keep pace, and each turn of a busy event loop makes that worse. */
const PREPARED_AT_ONCE_BEHIND = 256;

export interface ApplierOptions {
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

interface ReplicaMove {
  readonly replica: Replica;
  readonly move: Move;
}

/**
 * Moves what was applied in memory into the B-tree, off the acknowledgement's path: one transaction at a time for all the partitions of the
 * node, the next one gathering meanwhile. An acknowledged write is already in a quorum's logs; the tree may lag behind it.
 */
export class Applier {
  readonly #tree: Tree;
  readonly #dirty = new Set<Replica>();
  readonly #replicas = new Set<Replica>();
  readonly #onFailure: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #scheduled = 0;
  #hurried = false;
  #wake: (() => void) | undefined;
  #committing: Promise<void> | undefined;
  #closed = false;
  readonly #random: () => number;
  /** Of what would be enough, what is enough this time. */
  #share = 1;

  constructor(tree: Tree, onFailure: (error: unknown) => void, { random = Math.random }: ApplierOptions = {}) {
    this.#tree = tree;
    this.#onFailure = onFailure;
    this.#random = random;
    this.#draw();
  }

  #draw(): void {
    this.#share = SHARE_MIN + SHARE_SPREAD * this.#random();
  }

  #hasEnough({ backlog }: Replica): boolean {
    return backlog.writes >= this.#share * OPERATIONS_ENOUGH || backlog.bytes >= this.#share * BYTES_ENOUGH;
  }

  /** The replica has something to move; called from its `apply`. */
  schedule(replica: Replica, operations: number): void {
    if (this.#closed) return;
    this.#dirty.add(replica);
    this.#replicas.add(replica);
    this.#scheduled += operations;
    if (this.#scheduled >= this.#share * OPERATIONS_ENOUGH || this.#hasEnough(replica)) this.hurry();
    this.#running ??= this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Do not wait for more to gather: somebody waits for a snapshot, or enough has gathered. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  forget(replica: Replica): void {
    this.#dirty.delete(replica);
    this.#replicas.delete(replica);
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
    // No room will come any more for those who wait for some.
    for (const { backlog } of this.#replicas) backlog.close();
    this.#onFailure(error);
  }

  /** Lets writes gather; in any case until the end of the turn that applied the first. */
  async #gather(): Promise<void> {
    let seen = -1;
    for (let looks = 0; !this.#hurried && looks < LOOKS_MAX; looks++) {
      if (looks >= LOOKS_MIN && seen === this.#scheduled) break;
      seen = this.#scheduled;
      await this.#pause();
    }
    this.#hurried = false;
    this.#scheduled = 0;
    this.#draw();
  }

  /** Ends early where somebody is in a hurry. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, untimely.due(this.#share * LOOK_EVERY_MS));
      this.#wake = () => {
        clearTimeout(timer);
        setImmediate(resolve);
      };
    });
    this.#wake = undefined;
  }

  /** In pieces, since requests wait meanwhile; handing everything over at last takes a third of a microsecond a write. */
  async #commit(moves: readonly ReplicaMove[], atOnce: number): Promise<void> {
    let count = 0;
    const writes: TreeWrite[] = [];
    for (const { replica, move } of moves) {
      const { partition } = replica;
      const puts: PreparedPut[] = [];
      for (const put of move.puts) {
        puts.push(this.#tree.prepare(partition, put));
        if (++count % atOnce === 0) await turn();
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
        const isBehind = batch.reduce((sum, { backlog }) => sum + backlog.writes, 0) > 2 * OPERATIONS_ENOUGH;
        let room = OPERATIONS_ENOUGH;
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
        this.#committing = this.#commit(moves, isBehind ? PREPARED_AT_ONCE_BEHIND : PREPARED_AT_ONCE);
        await this.#committing;
        for (const { replica, move } of moves) if (replica.moved(move)) this.#dirty.add(replica);
        // What is left has gathered already, and perhaps nothing more will come before it is gone.
        for (const replica of this.#dirty) if (this.#hasEnough(replica)) this.#hurried = true;
      }
    } finally {
      this.#running = undefined;
    }
  }
}
