/** A write is remembered for this long at least and for twice as long at most: several times as long as followers take to hear of it. */
const RECENT_MS = 250;
/** Keys written in that time; past it the older half is forgotten earlier. */
const KEYS_MAX = 10_000;

type Hashes = Map<string, Set<number>>;

/**
 * What this router has just written. A follower learns of a write with what its leader says next, some tens of milliseconds after the answer: who reads
 * eventually right behind a write of his own would miss it more often than not, where the service misses it now and then. So such reads begin with the leader;
 * those of everything else go round the replicas.
 */
export class RecentWrites {
  readonly #now: () => number;
  #newer: Hashes = new Map();
  #older: Hashes = new Map();
  #keys = 0;
  #turnAtMs: number;

  /** `now`: monotonic, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#turnAtMs = now() + RECENT_MS;
  }

  wrote(tableId: string, hash: number): void {
    this.#forget();
    if (this.#newer.get(tableId)?.has(hash) === true) return;
    if (this.#keys >= KEYS_MAX) this.#turn();
    this.#keys++;
    const hashes = this.#newer.get(tableId);
    if (hashes === undefined) this.#newer.set(tableId, new Set([hash]));
    else hashes.add(hash);
  }

  /** Whether a key of this hash has been written to; without one, whether any key of the table has. */
  has(tableId: string, hash?: number): boolean {
    this.#forget();
    if (hash === undefined) return this.#newer.has(tableId) || this.#older.has(tableId);
    return this.#newer.get(tableId)?.has(hash) === true || this.#older.get(tableId)?.has(hash) === true;
  }

  /** All hashes that have been written to. */
  all(tableId: string): ReadonlySet<number> {
    this.#forget();
    return new Set([...(this.#newer.get(tableId) ?? []), ...(this.#older.get(tableId) ?? [])]);
  }

  #forget(): void {
    const lateMs = this.#now() - this.#turnAtMs;
    if (lateMs < 0) return;
    this.#turn();
    if (lateMs >= RECENT_MS) this.#older = new Map();
    this.#turnAtMs += lateMs + RECENT_MS;
  }

  #turn(): void {
    this.#older = this.#newer;
    this.#newer = new Map();
    this.#keys = 0;
  }
}
