import type { Wal } from "@evenkeel/wal";
import type { Applier } from "./applier.js";
import type { Replica } from "./replica.js";
import type { Tree } from "./tree.js";

const DURABLE_PAUSE_MS = 10;

export interface LeftoversOptions {
  readonly wal: Wal;
  readonly tree: Tree;
  readonly applier: Applier;
  /** Names of partitions' logs begin with it, their numbers follow. */
  readonly streamPrefix: string;
  /** The metadata's. */
  readonly replica: () => Replica;
  /** Partitions that were given out and are no more. Numbers are never used again. */
  readonly isGone: (partition: number) => boolean;
  /** False: others are in more of a hurry, or the node takes no further part. */
  readonly goesOn: () => boolean;
  readonly isOver: () => boolean;
}

/** What partitions left behind that were dropped, now or before the node stopped: the tree may know of them, or the log alone. */
export class Leftovers {
  readonly #options: LeftoversOptions;
  /** Of which something may be here: all that was found when that was first asked, and what was left since. To look for it anew each time would take as long as there are partitions. */
  #known: Set<number> | undefined;

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** The node had the partition, or its log. */
  left(partition: number): void {
    this.#known?.add(partition);
  }

  async erase(): Promise<void> {
    const { isGone, goesOn } = this.#options;
    this.#known ??= this.#found();
    for (const partition of this.#known) {
      if (!isGone(partition)) continue;
      await this.#erase(partition);
      this.#known.delete(partition);
      // One at least each time: else tables that come and go without a pause would leave behind more and more.
      if (!goesOn()) return;
    }
  }

  #found(): Set<number> {
    const { wal, tree, streamPrefix } = this.#options;
    const logged = wal.streams().filter((name) => name.startsWith(streamPrefix));
    return new Set([...tree.partitions(), ...logged.map((name) => Number(name.slice(streamPrefix.length)))]);
  }

  /** Its log first, so that a crash half-way leaves the tree's entry by which it is found again. */
  async #erase(partition: number): Promise<void> {
    const { wal, tree, applier, streamPrefix, isOver } = this.#options;
    await this.#forgottenForGood();
    if (isOver()) return;
    await applier.settled();
    await wal.stream(streamPrefix + partition).remove();
    await tree.removePartition(partition);
  }

  /**
   * Until what this node knows of the metadata is on its disk. One that came back and did not remember that a partition is gone would look for
   * its log, and take it for lost.
   */
  async #forgottenForGood(): Promise<void> {
    const { applier, isOver } = this.#options;
    const replica = this.#options.replica();
    const slot = replica.appliedThrough;
    while (replica.durableThrough < slot && !isOver()) {
      applier.hurry();
      await new Promise<void>((resolve) => setTimeout(resolve, DURABLE_PAUSE_MS));
    }
  }
}
