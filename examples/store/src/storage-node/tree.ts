import { mkdirSync } from "node:fs";
import { open, type RootDatabase, type Transaction } from "lmdb";
import { StoreError } from "./errors.js";
import { halfPace } from "./half-pace.js";
import type { StateEntry } from "./partition-state.js";
import { decodeStored, encodeStored, type StoredValue } from "./stored-value.js";
import {
  type Applied,
  AREAS,
  type Area,
  decodeApplied,
  encodeApplied,
  NOTHING_APPLIED,
  otherArea,
} from "./tree-applied.js";
import { assertTreeFiles, inWords } from "./tree-file.js";

/**
 * The B-tree of a node: one lmdb environment for all its partitions, so that one transaction carries the writes of all of them.
 *
 * Keys: `u8 area | u32 partition | item key` for items, `u8 0 | u32 partition` for the slot through which the partition is applied, which is
 * written in the same transaction as the items (applying and knowing what was applied must not come apart; etcd 3.5 lost that). That entry also
 * says in which of two areas the partition's items lie: a whole state that comes from another replica is put into the other one, and one small
 * transaction makes it the partition's.
 * Pages of 8 KiB, because an item's key may be 3,086 bytes long. lmdb's default `overlappingSync` with `safeRestore`: after a power cut the
 * tree may be some transactions behind the log, never ahead of it and never torn; the log replays the rest.
 */
export interface TreeEntry {
  readonly key: Uint8Array;
  readonly value: StoredValue;
}

export interface TreeRange {
  readonly from?: Uint8Array | undefined;
  /** First key no longer wanted. */
  readonly to?: Uint8Array | undefined;
  readonly reverse?: boolean | undefined;
}

export interface TreeWrite {
  readonly partition: number;
  readonly appliedThrough: number;
  /** Time of the last entry, Unix ms; 0: not known. */
  readonly timeMs: number;
  readonly puts: Iterable<PreparedPut>;
}

/** What a key is to hold. */
export interface TreePut {
  readonly key: Uint8Array;
  readonly slot: number;
  readonly itemSizeBytes: number;
  /** Undefined: the key is removed. */
  readonly json: Uint8Array | undefined;
}

/** The same as bytes. */
export interface PreparedPut {
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

/** In one transaction, and so in one turn of the event loop. Then others have as long as it took. */
const REMOVED_AT_ONCE_MAX = 200;
const PAGE_BYTES = 8192;
/**
 * Addresses set aside for the file, not memory: one that outgrows what is set aside is mapped anew at another place, while the old mapping stays; every page is then faulted in once
 * more, and counts twice in the process's size. Elsewhere than here a file may be made as long as its mapping.
 */
const MAP_BYTES = process.platform === "linux" || process.platform === "darwin" ? 64 * 1024 ** 3 : undefined;

function appliedKey(partition: number): Buffer {
  const key = Buffer.alloc(5);
  key.writeUInt32BE(partition, 1);
  return key;
}

function treeKey(area: Area, partition: number, key: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + key.length);
  out[0] = area;
  out.writeUInt32BE(partition, 1);
  out.set(key, 5);
  return out;
}

function partitionEnd(area: Area, partition: number): Buffer {
  const end = Buffer.from([area, 0, 0, 0, 0]);
  if (partition === 0xffffffff) end[0] = area + 1;
  else end.writeUInt32BE(partition + 1, 1);
  return end;
}

/**
 * What lmdb found: its own memory, which the next read is written to. It would copy as well, but to memory that is asked of the system for each read, and given back.
 */
function copied(found: Buffer): Buffer {
  const { length } = found;
  const bytes = Buffer.allocUnsafe(length);
  // Its length is what was found, but to who asks V8 that of all the memory.
  bytes.set(found.subarray(0, length));
  return bytes;
}

/** Every read takes an optional snapshot; without one it sees the newest committed transaction. */
export class Tree {
  readonly #lmdb: RootDatabase<Buffer, Buffer>;
  /** Where each partition's items lie, as of the newest commit. Absent: in the first area. */
  readonly #areas = new Map<number, Area>();
  /** Why it has refused a commit: then it can neither go on nor be closed. */
  refusal: StoreError | undefined;
  #closed = false;

  private constructor(db: RootDatabase<Buffer, Buffer>) {
    this.#lmdb = db;
    for (const partition of this.partitions()) this.#areas.set(partition, this.applied(partition).area);
  }

  static open(dir: string): Tree {
    mkdirSync(dir, { recursive: true });
    const path = `${dir}/data.mdb`;
    assertTreeFiles(path, PAGE_BYTES);
    try {
      return new Tree(
        open<Buffer, Buffer>({
          path,
          keyEncoding: "binary",
          encoding: "binary",
          pageSize: PAGE_BYTES,
          safeRestore: true,
          maxReaders: 512,
          // All writes here are batches. What lmdb would begin for those of a turn has a promise that nobody holds: where the disk is full it would end the process.
          eventTurnBatching: false,
          ...(MAP_BYTES !== undefined && { mapSize: MAP_BYTES }),
        } as Parameters<typeof open>[0] & { path: string }) as RootDatabase<Buffer, Buffer>,
      );
    } catch (error) {
      throw inWords(path, error);
    }
  }

  /** While it closes lmdb would read with a transaction that is no more, of which it says so on stderr or knows nothing. */
  get #db(): RootDatabase<Buffer, Buffer> {
    if (this.#closed) throw new StoreError("ERR_STORE_CLOSED", "the B-tree is closed");
    return this.#lmdb;
  }

  /** Throws ERR_STORE_FORMAT where a newer program has written it. */
  applied(partition: number, snapshot?: Snapshot): Applied {
    const bytes = this.#db.get(appliedKey(partition), snapshot);
    return bytes === undefined ? NOTHING_APPLIED : decodeApplied(partition, bytes);
  }

  appliedThrough(partition: number, snapshot?: Snapshot): number {
    return this.applied(partition, snapshot).slot;
  }

  #area(partition: number, snapshot?: Snapshot): Area {
    if (snapshot !== undefined) return this.applied(partition, snapshot).area;
    return this.#areas.get(partition) ?? NOTHING_APPLIED.area;
  }

  /** Partitions that have something here, from their applied slots. */
  partitions(): number[] {
    const found: number[] = [];
    for (const key of this.#db.getKeys({ start: Buffer.from([0]), end: Buffer.from([1]) }))
      found.push(Buffer.from(key).readUInt32BE(1));
    return found;
  }

  /** Throws ERR_STORE_CORRUPT where the value's checksum does not hold. */
  get(partition: number, key: Uint8Array): StoredValue | undefined {
    const found = this.#db.getBinaryFast(treeKey(this.#area(partition), partition, key));
    return found === undefined ? undefined : decodeStored(key, copied(found));
  }

  /** The raw bytes under a key, unverified: for the scrubber. */
  *rawRange(
    partition: number,
    range: TreeRange,
    snapshot?: Snapshot,
  ): IterableIterator<{ key: Buffer; bytes: Buffer }> {
    const area = this.#area(partition, snapshot);
    const low = treeKey(area, partition, range.from ?? new Uint8Array(0));
    const high = range.to === undefined ? partitionEnd(area, partition) : treeKey(area, partition, range.to);
    if (low.compare(high) >= 0) return;
    const options = range.reverse
      ? { start: high, end: low, reverse: true, exclusiveStart: true, inclusiveEnd: true }
      : { start: low, end: high };
    for (const { key, value } of this.#db.getRange(snapshot === undefined ? options : { ...options, ...snapshot })) {
      yield { key: Buffer.from(key).subarray(5), bytes: value };
    }
  }

  *range(partition: number, range: TreeRange): IterableIterator<TreeEntry> {
    for (const { key, bytes } of this.rawRange(partition, range)) yield { key, value: decodeStored(key, bytes) };
  }

  /** The same in pieces of about `bytesMax`, copied: others have their turn between them, and no cursor stays open meanwhile. */
  *rawPages(partition: number, snapshot: Snapshot, bytesMax: number): Generator<StateEntry[], void, undefined> {
    let from: Uint8Array = new Uint8Array(0);
    for (;;) {
      const page: StateEntry[] = [];
      let bytes = 0;
      for (const { key, bytes: value } of this.rawRange(partition, { from }, snapshot)) {
        page.push({ key: Uint8Array.from(key), bytes: Uint8Array.from(value) });
        bytes += key.length + value.length;
        if (bytes >= bytesMax) break;
      }
      if (page.length === 0) return;
      yield page;
      if (bytes < bytesMax) return;
      from = Buffer.concat([(page.at(-1) as StateEntry).key, Buffer.alloc(1)]);
    }
  }

  /** For the next commit, before which no other state may be switched to. Most of the work of a commit is this, and it can be done in pieces. */
  prepare(partition: number, { key, slot, itemSizeBytes, json }: TreePut): PreparedPut {
    const value = json && encodeStored(key, slot, itemSizeBytes, json);
    return { key: treeKey(this.#area(partition), partition, key), value };
  }

  /** One transaction; resolves when it is visible. What is durable follows from `flushed()`. */
  async commit(writes: readonly TreeWrite[]): Promise<void> {
    const committed = this.#db.batch(() => {
      for (const { partition, appliedThrough, timeMs, puts } of writes) {
        const area = this.#area(partition);
        for (const { key, value } of puts) void (value === undefined ? this.#db.remove(key) : this.#db.put(key, value));
        void this.#db.put(appliedKey(partition), encodeApplied({ slot: appliedThrough, timeMs, area }));
      }
    });
    await committed.catch(this.#refused);
  }

  /** Puts entries of a state that is being taken over beside the one that the partition has. */
  async stage(partition: number, entries: readonly StateEntry[]): Promise<void> {
    const area = otherArea(this.#area(partition));
    const committed = this.#db.batch(() => {
      for (const { key, bytes } of entries) void this.#db.put(treeKey(area, partition, key), Buffer.from(bytes));
    });
    await committed.catch(this.#refused);
  }

  /**
   * What was staged is the partition's state from now on, as of this slot; resolves when that is on disk. `switched` is called where reads here begin to
   * see it. What the partition had before stays until `removeStaged`. Nothing else may be committed for it meanwhile.
   */
  async switchOver(
    partition: number,
    applied: { readonly slot: number; readonly timeMs: number },
    switched: () => void,
  ): Promise<void> {
    const area = otherArea(this.#area(partition));
    await this.#db
      .batch(() => void this.#db.put(appliedKey(partition), encodeApplied({ ...applied, area })))
      .catch(this.#refused);
    this.#areas.set(partition, area);
    switched();
    await this.flushed();
  }

  /** Removes what lies in the area that the partition does not use, in bounded transactions, as long as `goesOn` says so. */
  async removeStaged(partition: number, goesOn: () => boolean): Promise<void> {
    const area = otherArea(this.#area(partition));
    const pace = halfPace();
    while (goesOn() && (await this.#removeSome(area, partition))) await pace();
  }

  /** Resolves when everything committed so far is on disk. */
  async flushed(): Promise<void> {
    await this.#db.flushed;
  }

  /** Removes a partition in bounded transactions; its applied slot goes last, so that a crash half-way is found again. */
  async removePartition(partition: number): Promise<void> {
    const pace = halfPace();
    for (const area of AREAS) while (await this.#removeSome(area, partition)) await pace();
    await this.#db.batch(() => void this.#db.remove(appliedKey(partition))).catch(this.#refused);
    this.#areas.delete(partition);
  }

  /** Resolves with whether there is more. */
  async #removeSome(area: Area, partition: number): Promise<boolean> {
    const start = treeKey(area, partition, new Uint8Array(0));
    const keys = [...this.#db.getKeys({ start, end: partitionEnd(area, partition), limit: REMOVED_AT_ONCE_MAX })];
    if (keys.length === 0) return false;
    const committed = this.#db.batch(() => {
      for (const key of keys) void this.#db.remove(Buffer.from(key));
    });
    await committed.catch(this.#refused);
    return keys.length === REMOVED_AT_ONCE_MAX;
  }

  /** A read transaction as of the newest commit. Close it soon: lmdb keeps every page that it can still see. */
  snapshot(): Snapshot {
    this.#db.resetReadTxn();
    return { transaction: this.#db.useReadTransaction() };
  }

  /** Of a tree that has refused a commit nothing is left to be done: lmdb would wait for ever for what it has not written to be on disk. */
  async close(): Promise<void> {
    if (this.refusal !== undefined || this.#closed) return;
    await this.flushed();
    this.#closed = true;
    await this.#lmdb.close();
  }

  /** lmdb keeps the reason of a failed commit in a promise of its own, which rejects whether somebody looks at it or not. */
  readonly #refused = async (error: unknown): Promise<never> => {
    this.refusal ??= new StoreError("ERR_STORE_TREE", `the B-tree refused a commit: ${String(error)}`, {
      cause: error,
    });
    const { commitError } = error as { commitError?: Promise<unknown> };
    const soon = new Promise<unknown>((resolve) => setImmediate(resolve, error));
    const cause = await Promise.race([commitError?.catch((reason: unknown) => reason) ?? error, soon]);
    this.refusal = new StoreError("ERR_STORE_TREE", `the B-tree refused a commit: ${String(cause)}`, { cause });
    throw this.refusal;
  };
}

export interface Snapshot {
  readonly transaction: Transaction;
}

export function assertPartition(partition: number): void {
  if (!Number.isInteger(partition) || partition < 0 || partition > 0xffffffff) {
    throw new StoreError(
      "ERR_STORE_ARGUMENT",
      `partition must be a whole number from 0 to 4294967295; got ${partition}`,
    );
  }
}
