import { compareBytes, NO_BYTES } from "../core/bytes.js";
import type { CreateHash } from "../core/digest.js";
import { badArgument, behind, checkedInteger, checkOptions, ScrubberError } from "../core/errors.js";
import { MerkleIndex } from "../core/merkle.js";
import type { MerkleView, MerkleViewOptions } from "../core/merkle-view.js";
import type { Entry, KeyRange, Position, ReplicaSnapshot, ReplicaSource } from "../core/source.js";
import { streamingSnapshot } from "../core/streaming.js";
import { sha256 } from "../sha256.js";
import type { LmdbLike, LmdbReadTransaction } from "./lmdb-like.js";
import { decodePosition, encodePosition } from "./position-record.js";

export interface LmdbReplicaOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** Opened with `keyEncoding: "binary"` and `encoding: "binary"`. It stays its owner's to close, after the replica. */
  readonly db: LmdbLike;
  /** Begins each of the replica's keys, so that many share a database: no prefix may begin with another one. Empty by default. */
  readonly prefix?: Uint8Array;
  /** Whether an entry matches the checksum that its value carries, for values that carry one: tells rot from what was applied wrongly. */
  readonly verify?: (entry: Entry) => boolean;
  /** Snapshots that wait for their pass, 4 by default; past it the oldest is let go of. lmdb keeps every page that one of them can see. */
  readonly heldMax?: number;
  /** How long one waits for its pass, in milliseconds. 60,000 by default. */
  readonly heldMs?: number;
  /** How long `snapshot` waits for a position that is not applied yet, in milliseconds. 5,000 by default. */
  readonly waitMs?: number;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
  /** See `MerkleViewOptions`. */
  readonly pause?: MerkleViewOptions["pause"];
}

const optionNames: Record<keyof LmdbReplicaOptions, 0> = {
  name: 0,
  db: 0,
  prefix: 0,
  verify: 0,
  heldMax: 0,
  heldMs: 0,
  waitMs: 0,
  createHash: 0,
  pause: 0,
};

export interface LmdbChange {
  readonly key: Uint8Array;
  /** Absent: deleted. */
  readonly value?: Uint8Array | undefined;
}

export interface LmdbReplicaStats {
  /** Through here everything is in the tree, and visible. */
  readonly position: Position;
  /** Through here it is on disk. */
  readonly durablePosition: Position;
  /** Applied, and not in the tree yet. Its owner slows down when it grows: `apply` cannot refuse what a group has chosen. */
  readonly pendingBytes: number;
  readonly held: number;
}

interface Pending {
  readonly position: Position;
  readonly changes: readonly LmdbChange[];
  readonly mark: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Held {
  readonly transaction: LmdbReadTransaction;
  readonly view: MerkleView;
  users: number;
  /** No longer to be found: its transaction ends with its last user. */
  dropped: boolean;
  timer: NodeJS.Timeout | undefined;
}

const TRANSACTION_BYTES = 1024 * 1024;
/** lmdb's own bound with pages of 4 KiB. */
const KEY_BYTES_MAX = 1978;

/**
 * A replica whose contents lie in an lmdb B-tree: what a group's log says is applied to it, and it can be looked at exactly as of one position while
 * writes go on.
 *
 * lmdb's read transactions are what makes that cheap: one that is opened between two commits sees the tree as it was there, for as long as it is held,
 * and stops nobody. So all that is needed is to be there at the right moment. Changes go into the tree in large transactions, each with its position
 * (the two must not come apart: etcd 3.5 lost that); a transaction ends where a *marked* position is, and before the next one is begun the
 * snapshot of it is taken. A `MerkleIndex` goes along, told of each key when its change has become visible: a snapshot shows the position up to which that is.
 */
export class LmdbReplica implements ReplicaSource {
  readonly name: string;
  readonly #db: LmdbLike;
  readonly #prefix: Uint8Array;
  readonly #positionKey: Buffer;
  readonly #verify: ((entry: Entry) => boolean) | undefined;
  readonly #createHash: CreateHash;
  readonly #pause: MerkleViewOptions["pause"];
  readonly #heldMax: number;
  readonly #heldMs: number;
  readonly #waitMs: number;
  readonly #index: MerkleIndex;
  readonly #held = new Map<Position, Held>();
  /** Who waits for a position: the transaction that reaches it ends there. */
  readonly #waiters = new Map<Position, Set<(error: unknown) => void>>();
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #pump: Promise<void> | undefined;
  #applied: Position;
  #committed: Position;
  #durable: Position;
  #failure: ScrubberError | undefined;
  #closed = false;

  /** Goes on where the tree says it is. Throws ERR_SCRUBBER_LMDB where that cannot be read. */
  constructor(options: LmdbReplicaOptions) {
    options = checkOptions("LmdbReplica", options, optionNames);
    const { name, db, prefix = NO_BYTES, createHash = sha256 } = options;
    if (typeof name !== "string" || name === "") throw badArgument("name", "a name", name);
    if (typeof db !== "object") throw badArgument("db", "a database of lmdb", db);
    // Anything else would change keys or values, or their order, on their way.
    for (const property of ["encoding", "keyEncoding"] as const) {
      const found = (db as LmdbLike & Record<typeof property, unknown>)[property];
      if (found !== "binary") throw badArgument(`db.${property}`, '"binary"', found);
    }
    this.name = name;
    this.#db = db;
    this.#prefix = Uint8Array.from(prefix);
    this.#positionKey = this.#keyOf(0, NO_BYTES);
    this.#heldMax = checkedInteger("heldMax", options.heldMax ?? 4, 1);
    this.#heldMs = checkedInteger("heldMs", options.heldMs ?? 60_000, 1);
    this.#waitMs = checkedInteger("waitMs", options.waitMs ?? 5_000, 0);
    this.#verify = options.verify;
    this.#pause = options.pause;
    this.#createHash = createHash;
    this.#index = new MerkleIndex(createHash);
    db.resetReadTxn();
    this.#committed = decodePosition(name, db.get(this.#positionKey));
    this.#applied = this.#committed;
    this.#durable = this.#committed;
  }

  /** Through here `apply` was called: where a log's replay goes on is `stats().durablePosition`, of a replica that was just opened. */
  get applied(): Position {
    return this.#applied;
  }

  /**
   * The changes of the next position, which must be greater than the last; an empty list for one that changes nothing. With `mark`, a snapshot of exactly
   * this position is taken on the way and kept for `snapshot` (`heldMs`). Returns at once; resolves when the changes are visible. Keys and values must
   * not change until then. After a commit that failed everything rejects: the owner has to open the tree anew, and to replay.
   */
  apply(position: Position, changes: readonly LmdbChange[], options: { readonly mark?: boolean } = {}): Promise<void> {
    const { mark = false } = checkOptions("apply", options, { mark: 0 });
    checkedInteger("position", position, this.#applied + 1);
    for (const { key } of changes)
      if (key.length > KEY_BYTES_MAX - this.#prefix.length - 1)
        throw badArgument("key", `at most ${KEY_BYTES_MAX - this.#prefix.length - 1} bytes long`, key.length);
    this.#applied = position;
    const visible = new Promise<void>((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#pending.push({ position, changes, mark, resolve, reject });
    });
    // Who does not wait learns of a failure by the next snapshot, or from who does.
    visible.catch(() => {});
    for (const { key, value } of changes) this.#pendingBytes += key.length + (value?.length ?? 0);
    this.#pump ??= this.#commitAll();
    return visible;
  }

  /** As far as it is visible; a view of it that stays as it is. */
  get(key: Uint8Array): Buffer | undefined {
    return this.#db.get(this.#keyOf(1, key));
  }

  /** Resolves when everything that was applied so far is on disk: what the log may forget. */
  async flushed(): Promise<Position> {
    while (this.#pump !== undefined) await this.#pump;
    if (this.#failure !== undefined) throw this.#failure;
    const position = this.#committed;
    await this.#db.flushed;
    this.#durable = Math.max(this.#durable, position);
    return position;
  }

  /**
   * The contents at exactly this position: where a snapshot is held there (`mark`, or another pass's), where it is the newest one, or when it comes to be
   * within `waitMs`. Otherwise ERR_SCRUBBER_BEHIND.
   */
  async snapshot(at: Position): Promise<ReplicaSnapshot> {
    if (this.#failure !== undefined) throw this.#failure;
    let held = this.#held.get(at) ?? (at === this.#committed ? this.#hold(at) : undefined);
    if (held === undefined && at > this.#committed) {
      await this.#reached(at);
      held = this.#held.get(at);
    }
    if (held === undefined) throw behind(this.name, at, `it has gone on to ${this.#committed}`);
    return this.#snapshotOf(held);
  }

  /** Hashes what was written since the last time, so that the next kept pass has nothing to hash. Resolves with the bytes that were read. */
  async settle(): Promise<number> {
    const { transaction, view } = this.#open();
    try {
      await view.digests([{ from: NO_BYTES, to: undefined }]);
      return view.bytesRead;
    } finally {
      transaction.done();
    }
  }

  stats(): LmdbReplicaStats {
    return {
      position: this.#committed,
      durablePosition: this.#durable,
      pendingBytes: this.#pendingBytes,
      held: this.#held.size,
    };
  }

  /** Takes no more, waits for what is under way, and lets go of snapshots that nobody reads. */
  async close(): Promise<void> {
    const closed = new ScrubberError("ERR_SCRUBBER_CLOSED", `${this.name} was closed`);
    this.#failure ??= closed;
    this.#closed = true;
    await this.#pump;
    for (const waiters of this.#waiters.values())
      for (const waiter of waiters) waiter(behind(this.name, this.#applied, "it was closed"));
    for (const at of [...this.#held.keys()]) this.#drop(at);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #commitAll(): Promise<void> {
    // What is applied in one turn goes together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const group = this.#takeGroup();
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#commit(group);
        for (const { resolve } of group) resolve();
      } catch (cause) {
        this.#fail(cause, group);
      }
    }
    // In the turn in which nothing was left: what is applied in the next one begins anew.
    this.#pump = undefined;
  }

  /** Up to a position that is marked or waited for, or a transaction's worth. */
  #takeGroup(): Pending[] {
    let count = 0;
    for (let bytes = 0; count < this.#pending.length && bytes < TRANSACTION_BYTES; ) {
      const { changes, mark, position } = this.#pending[count++] as Pending;
      for (const { key, value } of changes) bytes += key.length + (value?.length ?? 0);
      if (mark || this.#waiters.has(position)) break;
    }
    return this.#pending.splice(0, count);
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    const { position, mark } = group.at(-1) as Pending;
    const committed = this.#db.batch(() => {
      for (const { changes } of group) {
        for (const { key, value } of changes) {
          if (value === undefined) void this.#db.remove(this.#keyOf(1, key));
          else void this.#db.put(this.#keyOf(1, key), bufferOf(value));
        }
      }
      void this.#db.put(this.#positionKey, encodePosition(position));
    });
    await committed.then(undefined, refused);
    for (const { changes } of group) {
      for (const { key, value } of changes) {
        this.#index.touch(key);
        this.#pendingBytes -= key.length + (value?.length ?? 0);
      }
    }
    this.#committed = position;
    if (mark || this.#waiters.has(position)) this.#hold(position);
    for (const [at, waiters] of this.#waiters) if (at <= position) for (const waiter of waiters) waiter(undefined);
  }

  #fail(cause: unknown, group: readonly Pending[]): void {
    this.#failure ??= new ScrubberError("ERR_SCRUBBER_LMDB", `${this.name}: the B-tree refused a commit`, { cause });
    for (const { reject } of [...group, ...this.#pending.splice(0)]) reject(this.#failure);
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter(this.#failure);
  }

  /** Resolves when the position is committed. */
  async #reached(at: Position): Promise<void> {
    const waiters = this.#waiters.get(at) ?? new Set();
    this.#waiters.set(at, waiters);
    let timer: NodeJS.Timeout | undefined;
    let done!: (error: unknown) => void;
    try {
      await new Promise<void>((resolve, reject) => {
        done = (error) => (error === undefined ? resolve() : reject(error));
        waiters.add(done);
        const late = () => done(behind(this.name, at, `it has applied ${this.#committed}`));
        timer = setTimeout(late, this.#waitMs).unref();
      });
    } finally {
      clearTimeout(timer);
      waiters.delete(done);
      if (waiters.size === 0) this.#waiters.delete(at);
    }
  }

  /** A read transaction of now, which has to show the position up to which the index was told. */
  #open(): { transaction: LmdbReadTransaction; view: MerkleView } {
    this.#db.resetReadTxn();
    const transaction = this.#db.useReadTransaction();
    try {
      const seen = decodePosition(this.name, this.#db.get(this.#positionKey, { transaction }));
      if (seen !== this.#committed) throw behind(this.name, this.#committed, `its tree shows ${seen} already`);
      const pause = this.#pause;
      const entries = (range: KeyRange) => this.#entries(transaction, range);
      return { transaction, view: this.#index.view({ entries, ...(pause === undefined ? {} : { pause }) }) };
    } catch (error) {
      transaction.done();
      throw error;
    }
  }

  #hold(at: Position): Held {
    const held: Held = { ...this.#open(), users: 0, dropped: false, timer: undefined };
    for (const oldest of this.#held.keys()) {
      if (this.#held.size < this.#heldMax) break;
      this.#drop(oldest);
    }
    held.timer = setTimeout(() => this.#drop(at), this.#heldMs).unref();
    this.#held.set(at, held);
    return held;
  }

  /** Its transaction ends with its last reader. */
  #drop(at: Position): void {
    const held = this.#held.get(at);
    if (held === undefined) return;
    this.#held.delete(at);
    clearTimeout(held.timer);
    held.dropped = true;
    if (held.users === 0) release(held);
  }

  #snapshotOf(held: Held): ReplicaSnapshot {
    held.users++;
    held.timer?.refresh();
    let open = true;
    return streamingSnapshot({
      entries: (range) => this.#entries(held.transaction, range),
      createHash: this.#createHash,
      kept: held.view,
      ...(this.#verify === undefined ? {} : { verify: this.#verify }),
      close: () => {
        if (!open) return;
        open = false;
        held.users--;
        if (held.dropped && held.users === 0) release(held);
      },
    });
  }

  *#entries(transaction: LmdbReadTransaction, { from, to }: KeyRange): IterableIterator<Entry> {
    if (to !== undefined && compareBytes(from, to) >= 0) return;
    const start = this.#keyOf(1, from);
    const end = to === undefined ? this.#keyOf(2, NO_BYTES) : this.#keyOf(1, to);
    const skipped = this.#prefix.length + 1;
    try {
      for (const { key, value } of this.#db.getRange({ start, end, transaction }))
        yield { key: key.subarray(skipped), value };
    } catch (error) {
      // Its owner has closed the database under a reader: the snapshot is lost, which says nothing of what lies there.
      if (this.#closed) throw behind(this.name, this.#committed, "it was closed");
      throw error;
    }
  }

  /** Under 0 the position, under 1 the entries: lmdb knows no empty key, and the replica may have one. */
  #keyOf(area: 0 | 1 | 2, key: Uint8Array): Buffer {
    const { length } = this.#prefix;
    const out = Buffer.allocUnsafe(length + 1 + key.length);
    out.set(this.#prefix);
    out[length] = area;
    out.set(key, length + 1);
    return out;
  }
}

function release({ transaction, view }: Pick<Held, "transaction" | "view">): void {
  void view.close();
  try {
    transaction.done();
  } catch {
    // The database was closed under it: that has ended it as well.
  }
}

/** lmdb keeps the reason of a failed commit in a promise of its own, which rejects whether somebody looks at it or not. */
async function refused(error: unknown): Promise<never> {
  const { commitError } = error as { commitError?: Promise<unknown> };
  const soon = new Promise<unknown>((resolve) => setImmediate(resolve, error));
  throw await Promise.race([commitError?.catch((reason: unknown) => reason) ?? error, soon]);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
