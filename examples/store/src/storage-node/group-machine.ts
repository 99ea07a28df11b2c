import type { IncomingSnapshot, Snapshot, StateMachine } from "@evenkeel/paxos";
import type { Applier } from "./applier.js";
import { outgoingState } from "./outgoing-state.js";
import { StateDecoder } from "./partition-state.js";
import type { Replica } from "./replica.js";
import type { Tree } from "./tree.js";

/** So long a copy of the state waits for the archive, no longer. */
const BEFORE_SNAPSHOT_MS_MAX = 10_000;

/**
 * A replica as its Paxos group sees it: what is chosen is applied to it, a replica that has fallen behind is given its whole state, and it takes
 * over such a state itself. The new state is put beside the old one in the B-tree, piece by piece as it comes, and one small transaction makes
 * it the partition's; a kill at any point leaves one of the two, whole.
 */
export class GroupMachine implements StateMachine<number> {
  readonly #replica: Replica;
  readonly #tree: Tree;
  readonly #applier: Applier;
  /** What an installation that was broken off, or the state before one, left in the tree. */
  #clearing: Promise<void>;
  #closed = false;
  /** Through here the archive vouches for this replica's log. */
  vouchedThrough: () => number = () => 0;
  /** Asked before the state is handed out. */
  beforeSnapshot: () => Promise<unknown> = () => Promise.resolve();

  constructor(replica: Replica, tree: Tree, applier: Applier) {
    this.#replica = replica;
    this.#tree = tree;
    this.#applier = applier;
    this.#clearing = this.#clear();
  }

  get appliedThrough(): number {
    return this.#replica.appliedThrough;
  }

  /** The log is let go of no further than this: on disk in the B-tree, and in the archive. */
  get durableThrough(): number {
    return Math.min(this.#replica.durableThrough, this.vouchedThrough());
  }

  /** Where another node leads: until the B-tree has taken some of what is applied, the rest is left in the log. */
  room(): Promise<void> | undefined {
    return this.#replica.backlog.roomToApply();
  }

  apply(entry: { readonly slot: number; readonly command: Uint8Array }): number {
    return this.#replica.apply(entry);
  }

  advance(slot: number): void {
    this.#replica.advance(slot);
  }

  async snapshot(): Promise<Snapshot> {
    // Whoever takes the state over has no log below it, and could not archive what is there. Where the archive is away or slow the copy counts for more.
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, BEFORE_SNAPSHOT_MS_MAX);
    });
    await Promise.race([this.beforeSnapshot().catch(() => undefined), enough]);
    clearTimeout(timer);
    return await outgoingState(this.#replica, this.#applier);
  }

  async install({ slot, chunks }: IncomingSnapshot): Promise<void> {
    const { partition } = this.#replica;
    await this.#clearing;
    const decoder = new StateDecoder();
    try {
      for await (const chunk of chunks) {
        const entries = decoder.push(chunk);
        if (entries.length > 0) await this.#tree.stage(partition, entries);
      }
      const header = decoder.finish();
      if (header.slot !== slot) throw new RangeError(`a state of slot ${header.slot} came for slot ${slot}`);
      await this.#replica.takeOver(header);
    } finally {
      this.#clearing = this.#clear();
    }
  }

  /** Resolves when nothing of this is under way in the tree any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#clearing;
  }

  async #clear(): Promise<void> {
    // What cannot be removed now is removed before the next installation, and lies apart until then.
    await this.#tree.removeStaged(this.#replica.partition, () => !this.#closed).catch(() => undefined);
  }
}
