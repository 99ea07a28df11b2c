import type { UncertainTailLike, WalLike, WalStreamLike } from "../../src/storage/index.js";

/** The log's contract in memory. `crash(n)` keeps the first n appends of everything, as a power cut would. */
export class FakeWal implements WalLike {
  readonly streams = new Map<string, FakeStream>();
  failing: Error | undefined;
  uncertainFrom: UncertainTailLike | null = null;

  stream(name: string): FakeStream {
    const stream = this.streams.get(name) ?? new FakeStream(this);
    this.streams.set(name, stream);
    return stream;
  }
}

export class FakeStream implements WalStreamLike {
  readonly #wal: FakeWal;
  #records: { sequence: number; data: Uint8Array }[] = [];
  /** The number of records after each append: the places where a crash may leave the log. */
  readonly boundaries: number[] = [0];
  firstSequence = 1;
  lastSequence = 0;
  recordsRead = 0;
  /** The last record there was when records were last let go: no crash finds those gone and less than this. */
  truncatedAt = 0;

  constructor(wal: FakeWal) {
    this.#wal = wal;
  }

  append(records: readonly Uint8Array[]): Promise<number> {
    if (this.#wal.failing) return Promise.reject(this.#wal.failing);
    for (const data of records) this.#records.push({ sequence: ++this.lastSequence, data: data.slice() });
    this.boundaries.push(this.lastSequence);
    return Promise.resolve(this.lastSequence);
  }

  async *read({ from = this.firstSequence }: { from?: number } = {}) {
    if (from < this.firstSequence) throw new Error("truncated");
    for (let sequence = from; sequence <= this.lastSequence; sequence++) {
      const record = this.#records[sequence - this.firstSequence];
      if (!record) throw new Error("truncated under the reader");
      this.recordsRead++;
      yield { sequence, data: record.data.slice() };
    }
  }

  async truncateBefore(sequence: number): Promise<void> {
    this.#records.splice(0, sequence - this.firstSequence);
    this.truncatedAt = this.lastSequence;
    this.firstSequence = sequence;
  }

  /** The stream as a crash right after `sequence` would have left it. */
  until(sequence: number): FakeStream {
    const copy = new FakeStream(this.#wal);
    copy.#records = this.#records.filter((record) => record.sequence <= sequence);
    copy.firstSequence = this.firstSequence;
    copy.lastSequence = Math.max(sequence, this.firstSequence - 1);
    return copy;
  }
}
