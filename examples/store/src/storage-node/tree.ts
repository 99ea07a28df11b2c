import { mkdirSync } from "node:fs";
import { open, type RootDatabase, type Transaction } from "lmdb";
import { StoreError } from "./errors.js";
import { decodeStored, encodeStored, type StoredValue } from "./stored-value.js";

/**
 * The B-tree of a node: one lmdb environment for all its partitions, so that one transaction carries the writes of all of them.
 *
 * Keys: `u8 1 | u32 partition | item key` for items, `u8 0 | u32 partition` for the slot through which the partition is applied, which is
 * written in the same transaction as the items (applying and knowing what was applied must not come apart; etcd 3.5 lost that).
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
  readonly puts: Iterable<{
    key: Uint8Array;
    slot: number;
    value: { json: Uint8Array; itemSizeBytes: number } | undefined;
  }>;
}

/** lmdb keeps the reason of a failed commit in a promise of its own, which rejects whether somebody looks at it or not. */
async function refused(error: unknown): Promise<never> {
  const { commitError } = error as { commitError?: Promise<unknown> };
  const soon = new Promise<unknown>((resolve) => setImmediate(resolve, error));
  const cause = await Promise.race([commitError?.catch((reason: unknown) => reason) ?? error, soon]);
  throw new StoreError("ERR_STORE_TREE", `the B-tree refused a commit: ${String(cause)}`, { cause });
}

function appliedKey(partition: number): Buffer {
  const key = Buffer.alloc(5);
  key.writeUInt32BE(partition, 1);
  return key;
}

function treeKey(partition: number, key: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + key.length);
  out[0] = 1;
  out.writeUInt32BE(partition, 1);
  out.set(key, 5);
  return out;
}

function partitionEnd(partition: number): Buffer {
  const end = Buffer.from([1, 0, 0, 0, 0]);
  if (partition === 0xffffffff) end[0] = 2;
  else end.writeUInt32BE(partition + 1, 1);
  return end;
}

/** Every read takes an optional snapshot; without one it sees the newest committed transaction. */
export class Tree {
  readonly #db: RootDatabase<Buffer, Buffer>;

  private constructor(db: RootDatabase<Buffer, Buffer>) {
    this.#db = db;
  }

  static open(dir: string): Tree {
    mkdirSync(dir, { recursive: true });
    return new Tree(
      open<Buffer, Buffer>({
        path: `${dir}/data.mdb`,
        keyEncoding: "binary",
        encoding: "binary",
        pageSize: 8192,
        safeRestore: true,
        maxReaders: 512,
      } as Parameters<typeof open>[0] & { path: string }) as RootDatabase<Buffer, Buffer>,
    );
  }

  appliedThrough(partition: number, snapshot?: Snapshot): number {
    const bytes = this.#db.get(appliedKey(partition), snapshot);
    return bytes === undefined ? 0 : Number(bytes.readBigUInt64BE(0));
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
    const bytes = this.#db.get(treeKey(partition, key));
    return bytes === undefined ? undefined : decodeStored(key, bytes);
  }

  /** The raw bytes under a key, unverified: for the scrubber. */
  *rawRange(
    partition: number,
    range: TreeRange,
    snapshot?: Snapshot,
  ): IterableIterator<{ key: Buffer; bytes: Buffer }> {
    const low = range.from === undefined ? treeKey(partition, new Uint8Array(0)) : treeKey(partition, range.from);
    const high = range.to === undefined ? partitionEnd(partition) : treeKey(partition, range.to);
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

  /** One transaction; resolves when it is visible. What is durable follows from `flushed()`. */
  async commit(writes: readonly TreeWrite[]): Promise<void> {
    const committed = this.#db.batch(() => {
      for (const { partition, appliedThrough, puts } of writes) {
        for (const { key, slot, value } of puts) {
          if (value === undefined) void this.#db.remove(treeKey(partition, key));
          else void this.#db.put(treeKey(partition, key), encodeStored(key, slot, value.itemSizeBytes, value.json));
        }
        const applied = Buffer.alloc(8);
        applied.writeBigUInt64BE(BigInt(appliedThrough));
        void this.#db.put(appliedKey(partition), applied);
      }
    });
    await committed.catch(refused);
  }

  /** Resolves when everything committed so far is on disk. */
  async flushed(): Promise<void> {
    await this.#db.flushed;
  }

  /** Removes a partition in bounded transactions; its applied slot goes last, so that a crash half-way is found again. */
  async removePartition(partition: number): Promise<void> {
    for (;;) {
      const keys = [
        ...this.#db.getKeys({
          start: treeKey(partition, new Uint8Array(0)),
          end: partitionEnd(partition),
          limit: 5_000,
        }),
      ];
      await this.#db.batch(() => {
        for (const key of keys) void this.#db.remove(Buffer.from(key));
        if (keys.length === 0) void this.#db.remove(appliedKey(partition));
      });
      if (keys.length === 0) return;
    }
  }

  /** A read transaction as of the newest commit. Close it soon: lmdb keeps every page that it can still see. */
  snapshot(): Snapshot {
    this.#db.resetReadTxn();
    return { transaction: this.#db.useReadTransaction() };
  }

  async close(): Promise<void> {
    await this.flushed();
    await this.#db.close();
  }
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
