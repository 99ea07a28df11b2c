import type { Backup } from "../api/control/backups.js";
import type { GlobalIndex, RestoreOrigin, TableRecord } from "../api/model.js";
import type { PutWrite, Write } from "../storage-node/command.js";

/** Hashes from `hashFrom` (included) to `hashTo` (left out, at most 2^32). */
export interface HashRange {
  readonly hashFrom: number;
  readonly hashTo: number;
}

export const holds = ({ hashFrom, hashTo }: HashRange, hash: number): boolean => hashFrom <= hash && hash < hashTo;

/**
 * How the metadata lies in its own partition, and in memds, which is fed from it:
 * `t/<table name>` a table, `s/<table name>/<label>` a stream, `r/<table id>/<first hash, 8 hex digits>` a partition of it, `b/<id>` a backup, `n` the next partition number.
 * Of the same kind as a partition, but not found by its hash: `c/<partition>` one that is being filled with a part of another, `h/<partition>` one that was split.
 * `d/<partition>` one that is no more, and whose archive is there yet.
 */
export interface PartitionRecord extends HashRange {
  /** The Paxos group, the B-tree's prefix, the archive's stream. Never used again. */
  readonly partition: number;
  readonly tableId: string;
  /** Nodes that hold a replica: whom to ask. */
  readonly members: readonly string[];
  /** With which nodes its group was founded; absent: `members`. */
  readonly founders?: readonly string[];
  /** Nodes that keep its log and nothing else, until they hold a replica. */
  readonly log?: readonly string[];
  /** Nodes on which a replica is being built. */
  readonly building?: readonly string[];
  /** The node whose place in the group is being taken. */
  readonly replacing?: string;
  /** Nodes that were replaced: their names never come back. */
  readonly gone?: readonly string[];
  /** Unix ms: what it took over from a partition that was split was written before, what was written to it since then. Absent: as old as its table. */
  readonly sinceMs?: number;
  /** It is to be split: hashes below `at` go to one partition, the others to another. */
  readonly splitting?: { readonly at: number; readonly lower: number; readonly upper: number };
  /** It is being filled with what that partition has in its range, and nobody asks it yet. */
  readonly filledFrom?: number;
  /** It was split, and others have taken its place. */
  readonly closed?: ClosedPartition;
}

/** What is left of a partition that was split: its archive says what was written before that. */
export interface ClosedPartition {
  /** Unix ms: what was written before is here, what was written since then in its parts. */
  readonly untilMs: number;
  /** No write stands behind this slot. */
  readonly slot: number;
  readonly parts: readonly number[];
  /** All of its log is in the archive: the nodes have let go of it. */
  readonly archived?: true;
}

/** What a partition that is no more has left in the archive. It goes when nothing that was promised needs it any more. */
export interface Remains {
  readonly partition: number;
  /** Unix ms: it has nothing to say of any moment since then. */
  readonly goneAtMs: number;
}

/** Found by its hash: neither a part that is still being filled nor one that was split. */
export const isLive = ({ filledFrom, closed }: PartitionRecord): boolean =>
  filledFrom === undefined && closed === undefined;

/** What a node is to do about a partition. */
export function roleOf(
  { members, building = [], log = [] }: PartitionRecord,
  nodeId: string,
): "storage" | "log" | undefined {
  if (members.includes(nodeId) || building.includes(nodeId)) return "storage";
  return log.includes(nodeId) ? "log" : undefined;
}

/** A global index as the metadata know it. */
export interface IndexEntry extends GlobalIndex {
  /** By which the table's partitions know it; never used again in the table. */
  readonly number: number;
}

export interface TableEntry extends TableRecord {
  readonly globalIndexes?: readonly IndexEntry[];
  /** How many global indexes the table has ever had. */
  readonly indexesMade?: number;
  readonly restore?: RestoreOrigin & { readonly partitions: readonly PartitionRecord[] };
}

/** The table's partitions are found under its own id, those of a global index under the index's. */
export const ringIds = ({ tableId, globalIndexes = [] }: TableEntry): string[] => [
  tableId,
  ...globalIndexes.map(({ indexId }) => indexId),
];

export interface BackupRecord extends Backup {
  /** Those of the table at that moment: where in the archive it is. */
  readonly partitions: readonly PartitionRecord[];
}

export const METADATA_PARTITION = 0;
export const HASH_END = 0x1_0000_0000;

export const tableKey = (name: string): Buffer => Buffer.from(`t/${name}`);
export const backupKey = (id: string): Buffer => Buffer.from(`b/${id}`);
export const streamKey = (tableName: string, label: string): Buffer => Buffer.from(`s/${tableName}/${label}`);
export const remainsKey = (partition: number): Buffer => Buffer.from(`d/${partition}`);
export const nextPartitionKey = (): Buffer => Buffer.from("n");

const hex8 = (hash: number): string => hash.toString(16).padStart(8, "0");
export const routeKey = (tableId: string, hashFrom: number): Buffer => Buffer.from(`r/${tableId}/${hex8(hashFrom)}`);

/** Where a partition stands among the metadata, whatever it is at the moment. */
export function partitionKey(record: PartitionRecord): Buffer {
  const { partition, tableId, hashFrom, filledFrom, closed } = record;
  if (closed !== undefined) return Buffer.from(`h/${partition}`);
  return filledFrom === undefined ? routeKey(tableId, hashFrom) : Buffer.from(`c/${partition}`);
}

/** Metadata are JSON under their keys. */
export function putRecord(key: Uint8Array, value: unknown): PutWrite {
  const bytes = Buffer.from(JSON.stringify(value));
  return { op: "put", key, bytes, itemSizeBytes: bytes.length };
}

export function groupId(partition: number): string {
  return `p${partition}`;
}

/** The partition is forgotten, but for what it has left in the archive. */
export function forgotten(record: PartitionRecord, goneAtMs: number): Write[] {
  const { partition } = record;
  const remains: Remains = { partition, goneAtMs };
  return [{ op: "delete", key: partitionKey(record) }, putRecord(remainsKey(partition), remains)];
}

/** Every hash has one of them, in the order of their hashes. */
export function coversRing(ranges: readonly HashRange[]): boolean {
  let next = 0;
  for (const { hashFrom, hashTo } of ranges) {
    if (hashFrom !== next) return false;
    next = hashTo;
  }
  return next === HASH_END;
}

/** The ring cut into `count` equal ranges. */
export function hashRanges(count: number): { hashFrom: number; hashTo: number }[] {
  return Array.from({ length: count }, (_, i) => ({
    hashFrom: Math.floor((i * HASH_END) / count),
    hashTo: Math.floor(((i + 1) * HASH_END) / count),
  }));
}
