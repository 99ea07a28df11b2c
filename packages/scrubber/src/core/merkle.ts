import { compareBytes, NO_BYTES } from "./bytes.js";
import type { CreateHash, RangeDigester } from "./digest.js";
import { measure, type Run, replace, type Sum, type Tail } from "./merkle-runs.js";
import { type Learned, type LearnedRun, MerkleView, type MerkleViewOptions } from "./merkle-view.js";
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
  readonly #digesters: RangeDigester[] = [];
  #runs = new SortedTree<Run, Sum>(measure);
  #tail: Tail = { sum: undefined, epoch: 0 };
  #epoch = 0;
  /** Changes whenever the index does. */
  #touches = 0;
  /** Every run without a sum, and some that are there no more. */
  #touched: Run[] = [];
  #touchedMax = TOUCHED_MIN;

  constructor(createHash: CreateHash) {
    this.#createHash = createHash;
  }

  /** The entry under this key was put, changed or deleted. To be called in one turn with the write, before the next `view()`. */
  touch(key: Uint8Array): void {
    this.#touches++;
    let run = this.#runs.peek().ceiling(key);
    if (run !== undefined && compareBytes(run.key, key) === 0) {
      // It may end a run no more: what follows belongs to the same run then.
      this.#runs.delete(run.key);
      run = this.#runs.peek().ceiling(key);
    }
    const unknown = { sum: undefined, epoch: this.#epoch };
    if (run === undefined) this.#tail = unknown;
    else if (run.sum !== undefined || run.epoch !== this.#epoch) {
      const touched = { key: run.key, ...unknown };
      this.#runs.set(touched);
      this.#touched.push(touched);
    }
  }

  /** The index as it is now, over the entries as they are now. */
  view({ entries, pause }: MerkleViewOptions): MerkleView {
    this.#epoch++;
    this.#sweep();
    let touches = this.#touches;
    const adopt = ({ runs, tail, touched }: Learned, learned: readonly LearnedRun[]): void => {
      if (touches === this.#touches) {
        // Nothing was written in the meantime, and no other view was ahead: the view's tree is the index's, sums and all.
        this.#runs = runs.fork();
        this.#tail = tail;
        this.#touched = [...touched];
        touches = ++this.#touches;
        return;
      }
      for (const { run, found, behind } of learned) this.#adopt(run, found, behind);
    };
    return new MerkleView({
      runs: this.#runs.fork(),
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
      adopt,
    });
  }

  /**
   * Hashes what was written since it was last looked at, so that the next pass has nothing to hash: for whoever wants passes in a moment, and has time
   * between them. Resolves with the bytes that were read.
   */
  async settle(options: MerkleViewOptions): Promise<number> {
    const view = this.view(options);
    await view.digests([{ from: NO_BYTES, to: undefined }]);
    return view.bytesRead;
  }

  /** Forgets those that are there no more, once they may be as many as the others. */
  #sweep(): void {
    if (this.#touched.length <= this.#touchedMax) return;
    const runs = this.#runs.peek();
    this.#touched = this.#touched.filter((run) => runs.get(run.key) === run);
    this.#touchedMax = Math.max(TOUCHED_MIN, 2 * this.#touched.length);
  }

  /** What a view learned of one run, if that is still as the view saw it. */
  #adopt(run: Run | Tail, found: readonly Run[], behind: Tail | undefined): void {
    if ("key" in run) {
      if (this.#runs.peek().get(run.key) !== run) return;
      replace(this.#runs, run, found);
      return;
    }
    if (this.#tail !== run || behind === undefined) return;
    for (const one of found) this.#runs.set(one);
    this.#tail = behind;
  }
}
