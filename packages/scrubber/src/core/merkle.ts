import { compareBytes, NO_BYTES } from "./bytes.js";
import type { CreateHash } from "./digest.js";
import { badArgument } from "./errors.js";
import { measure, type Run, replace, type Sum, type Tail, unknownIn } from "./merkle-runs.js";
import { MerkleView, type MerkleViewOptions } from "./merkle-view.js";
import type { RunDigester } from "./run-digest.js";
import { RunReader } from "./run-reader.js";
import { SortedTree } from "./sorted-tree.js";

const TOUCHED_MIN = 1024;

/**
 * A Merkle tree over the runs of a replica's entries, kept along with its writes: it knows the sum of every run that was not written to
 * since it was last looked at, in about 300 bytes for 4 KiB of data.
 *
 * A write names its key (`touch`, O(log n)) and the run that it falls into loses its sum; the next look hashes that run alone. What was not
 * touched is answered for from memory. That is what makes it fast, and what it cannot do: rot in what lies on a disk does not touch
 * anything. So it answers for what was *written*, streaming digests answer for what *lies there*, and where the two differ there is rot.
 */
export class MerkleIndex {
  readonly #createHash: CreateHash;
  /** Those that nobody uses at the moment: each has a buffer of 64 KiB. */
  readonly #digesters: RunDigester[] = [];
  #runs = new SortedTree<Run, Sum>(measure);
  /** By so many open views, for as long as nothing is touched: what they learn is then learned here, and nothing has to be copied for it. */
  #sharedBy = 0;
  #tail: Tail = { sum: undefined, epoch: 0 };
  #epoch = 0;
  /** Every run without a sum, and some that are there no more. */
  #touched: Run[] = [];
  #touchedMax = TOUCHED_MIN;

  constructor(createHash: CreateHash) {
    if (typeof createHash !== "function") throw badArgument("createHash", "a function, such as sha256", createHash);
    this.#createHash = createHash;
  }

  /** The entry under this key was put, changed or deleted. To be called in one turn with the write, before the next `view()`. */
  touch(key: Uint8Array): void {
    if (this.#sharedBy > 0) this.#runs = this.#runs.fork();
    this.#sharedBy = 0;
    const run = this.#runs.peek().ceiling(key);
    if (run === undefined) {
      this.#tail = { sum: undefined, epoch: this.#epoch };
      return;
    }
    // Mostly it still ends its run afterwards. Where it does not, what follows belongs to the same run: who reads it will see.
    const isEnd = compareBytes(run.key, key) === 0;
    if (isEnd && this.#runs.peek().last() === run) {
      this.#dropLast();
      return;
    }
    const loose = isEnd || run.loose === true;
    if (run.sum === undefined && run.epoch === this.#epoch && loose === run.loose) return;
    const touched = { key: run.key, sum: undefined, epoch: this.#epoch, loose };
    this.#runs.set(touched);
    this.#touched.push(touched);
  }

  /** What the last run held is the tail's: there is no other one that it could be read with. */
  #dropLast(): void {
    let last = this.#runs.peek().last();
    do {
      if (last !== undefined) this.#runs.delete(last.key);
      last = this.#runs.peek().last();
    } while (last?.loose === true);
    this.#tail = { sum: undefined, epoch: this.#epoch };
  }

  /** The index as it is now, over the entries as they are now. */
  view({ entries, pause }: MerkleViewOptions): MerkleView {
    this.#epoch++;
    this.#sweep();
    this.#sharedBy++;
    const runs = this.#runs;
    return new MerkleView({
      runs,
      tail: this.#tail,
      touched: [...this.#touched],
      epoch: this.#epoch,
      reader: new RunReader({
        createHash: this.#createHash,
        digesters: this.#digesters,
        entries,
        pause,
        epoch: this.#epoch,
      }),
      entries,
      adopt: (run, found, behind) => this.#adopt(runs, run, found, behind),
      onAnswer: () => {
        if (runs === this.#runs && unknownIn(runs) === 0) this.#touched = [];
      },
      onClose: () => {
        if (runs === this.#runs) this.#sharedBy--;
      },
    });
  }

  /**
   * Hashes what was written since it was last looked at, so that the next pass has nothing to hash: for whoever wants passes in a moment, and has time
   * between them. Resolves with the bytes that were read.
   */
  async settle(options: MerkleViewOptions): Promise<number> {
    const view = this.view(options);
    try {
      await view.digests([{ from: NO_BYTES, to: undefined }]);
    } finally {
      await view.close();
    }
    return view.bytesRead;
  }

  /** Forgets those that are there no more, once they may be as many as the others. */
  #sweep(): void {
    if (this.#touched.length <= this.#touchedMax) return;
    const runs = this.#runs.peek();
    this.#touched = this.#touched.filter((run) => runs.get(run.key) === run);
    this.#touchedMax = Math.max(TOUCHED_MIN, 2 * this.#touched.length);
  }

  /** What a view has put into its tree for one run, if that is still as the view saw it. */
  #adopt(learning: SortedTree<Run, Sum>, run: Run | Tail, found: readonly Run[], behind: Tail | undefined): void {
    // Nothing was written in the meantime: the view's tree is the index's still.
    const known = learning === this.#runs;
    if ("key" in run) {
      if (!known && this.#runs.peek().get(run.key) === run) replace(this.#runs, run, found);
      return;
    }
    if (this.#tail !== run || behind === undefined) return;
    if (!known) for (const one of found) this.#runs.set(one);
    this.#tail = behind;
  }
}
