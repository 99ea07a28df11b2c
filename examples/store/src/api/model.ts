import type { TableSettings } from "./control/settings.js";
import type { Throughput } from "./control/throughput.js";
import type { ThroughputHistory } from "./control/throughput-history.js";
import type { LatestStream, StreamViewType } from "./streams/model.js";
import type { TimeToLive } from "./time-to-live.js";

/**
 * The words that the router and the storage nodes have in common. Everything here is data: it travels between processes as it is.
 * Attribute values stand as in the JSON protocol (numbers as normalized decimal strings, binary as base64).
 */
export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: string }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: string[] }
  | { BOOL: boolean }
  | { NULL: true }
  | { L: AttributeValue[] }
  | { M: Item };

export interface Item {
  [name: string]: AttributeValue;
}

export type KeyAttributeType = "S" | "N" | "B";

export interface KeyAttribute {
  readonly name: string;
  readonly type: KeyAttributeType;
}

export interface KeySchema {
  readonly partition: KeyAttribute;
  readonly sort?: KeyAttribute;
}

/** A global index may have up to four attributes for either part; tables and local indexes have one each. */
export interface IndexKeySchema {
  readonly partition: readonly KeyAttribute[];
  readonly sort: readonly KeyAttribute[];
}

/** What an index shows of an item, its keys aside. */
export type IndexProjection =
  | { readonly type: "ALL" }
  | { readonly type: "KEYS_ONLY" }
  | { readonly type: "INCLUDE"; readonly names: readonly string[] };

export interface IndexDefinition {
  readonly name: string;
  readonly keySchema: IndexKeySchema;
  readonly projection: IndexProjection;
}

/** Lies beside the items that it points to; made with the table and never changed. */
export interface LocalIndex extends IndexDefinition {
  /** Part of its entries' keys. */
  readonly number: number;
}

/** Has partitions of its own. */
export interface GlobalIndexDefinition extends IndexDefinition, Throughput {
  /** Units a second; 0 under PAY_PER_REQUEST. */
  readonly readUnitsPerSecond: number;
  readonly writeUnitsPerSecond: number;
}

export interface GlobalIndex extends GlobalIndexDefinition, ThroughputHistory {
  /** Never used again; the id of the hidden table that holds its entries. */
  readonly indexId: string;
  readonly status: "CREATING" | "UPDATING" | "ACTIVE" | "DELETING";
  /** Items that were there before it are being put into it. */
  readonly backfilling?: boolean;
}

/** What a user asked for when the table was created. */
export interface TableDefinition extends Throughput {
  readonly name: string;
  readonly keySchema: KeySchema;
  readonly localIndexes?: readonly LocalIndex[];
  readonly globalIndexes?: readonly GlobalIndexDefinition[];
  readonly billingMode: "PROVISIONED" | "PAY_PER_REQUEST";
  /** Units a second; 0 under PAY_PER_REQUEST. */
  readonly readUnitsPerSecond: number;
  readonly writeUnitsPerSecond: number;
  readonly settings?: TableSettings;
  /** The table is to have a stream from the beginning. */
  readonly streamViewType?: StreamViewType;
}

/** UPDATING: what was asked for is on its way, and the table can be used meanwhile. ARCHIVED is the service's word for a table that is there and cannot be used, with a reason: here, one whose restore can never succeed. */
export type TableStatus = "CREATING" | "ACTIVE" | "UPDATING" | "DELETING" | "ARCHIVED";

export interface TableRecord extends Omit<TableDefinition, "globalIndexes"> {
  /** Never used again for another table, not even one of the same name. */
  readonly tableId: string;
  readonly status: TableStatus;
  readonly createdAtMs: number;
  readonly partitions: number;
  readonly latestStream?: LatestStream;
  readonly timeToLive?: TimeToLive;
  readonly globalIndexes?: readonly GlobalIndex[];
  /** While the table is being restored: what from. */
  readonly restore?: RestoreOrigin;
  /** Once it is restored: what it was from. */
  readonly restoredFrom?: RestoreOrigin;
  /** Why the table is ARCHIVED. */
  readonly failure?: { readonly reason: string; readonly atMs: number };
}

export interface RestoreOrigin {
  /** The table that it was; absent: asked for of a program that did not note it. */
  readonly source?: string;
  /** By its id; absent: from the table itself. */
  readonly backup?: string;
  /** As it was at this moment (Unix time). */
  readonly untilMs: number;
}

/** How many items, or entries of an index, and what they weigh as the service counts. */
export interface Sizes {
  readonly items: number;
  readonly bytes: number;
}

export interface TableSizes extends Sizes {
  /** Of each index, by its name. */
  readonly indexes: Readonly<Record<string, Sizes>>;
}

/**
 * Where an item lives. `bytes` orders items as the table does: hash of the partition key (4 bytes, big-endian), length of the partition
 * key (2 bytes), partition key, sort key in an encoding that sorts bytewise as the service sorts values.
 */
export interface ItemKey {
  /** The first four bytes of `bytes`, as an unsigned number: the position on the table's hash ring. */
  readonly hash: number;
  readonly bytes: Uint8Array;
}

/** A path into an item, names already substituted: `["a", 3, "b"]` is `a[3].b`. */
export type DocumentPath = readonly (string | number)[];

export type Operand =
  | { readonly kind: "path"; readonly path: DocumentPath }
  | { readonly kind: "value"; readonly value: AttributeValue }
  | { readonly kind: "size"; readonly path: DocumentPath };

export type Comparator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** A parsed condition or filter, names and values already substituted. */
export type Condition =
  | {
      readonly kind: "compare";
      readonly op: Comparator;
      readonly left: Operand;
      readonly right: Operand;
    }
  | { readonly kind: "between"; readonly value: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly kind: "in"; readonly value: Operand; readonly among: readonly Operand[] }
  | { readonly kind: "exists" | "not-exists"; readonly path: DocumentPath }
  | { readonly kind: "type"; readonly path: DocumentPath; readonly type: string }
  | { readonly kind: "begins-with" | "contains"; readonly value: Operand; readonly search: Operand }
  | { readonly kind: "and" | "or"; readonly left: Condition; readonly right: Condition }
  | { readonly kind: "not"; readonly condition: Condition };

/** The right-hand side of a SET. */
export type UpdateValue =
  | Operand
  | { readonly kind: "plus" | "minus"; readonly left: UpdateValue; readonly right: UpdateValue }
  | { readonly kind: "if-not-exists"; readonly path: DocumentPath; readonly otherwise: UpdateValue }
  | { readonly kind: "list-append"; readonly left: UpdateValue; readonly right: UpdateValue };

export type UpdateAction =
  | { readonly kind: "set"; readonly path: DocumentPath; readonly value: UpdateValue }
  | { readonly kind: "remove"; readonly path: DocumentPath }
  | {
      readonly kind: "add" | "delete";
      readonly path: DocumentPath;
      readonly value: AttributeValue;
      /** Asked for by AttributeUpdates, which have an error text of their own. */
      readonly legacy?: true;
    };

export type ReturnValues = "NONE" | "ALL_OLD" | "UPDATED_OLD" | "ALL_NEW" | "UPDATED_NEW";

interface WriteOpBase {
  readonly condition?: Condition;
  readonly returnValues: ReturnValues;
  /** Put the item as it is into the error of a failed condition. */
  readonly returnOldOnConditionFailure?: boolean;
}

/** One write to one item, decided at the leader of its partition against the item as it is there. */
export type WriteOp =
  | (WriteOpBase & { readonly kind: "put"; readonly item: Item })
  | (WriteOpBase & { readonly kind: "delete" })
  | (WriteOpBase & {
      readonly kind: "update";
      readonly keyAttributes: Item;
      readonly actions: readonly UpdateAction[];
    });

/** What a page reads instead of the table's own items. Its keys (`from`, `to`, `after`, `lastKey`) are then those of the index. */
export interface IndexRead {
  readonly name: string;
  /** Of the index and of the table: their values of the last entry are what a page can be continued by. */
  readonly keyNames: readonly string[];
  /** Entries of a local index point to items: how to make of one what the index shows of it. */
  readonly local?: {
    readonly number: number;
    /** Absent: all attributes. */
    readonly shown?: readonly string[];
    /** Answer (and filter) with whole items, each at the price of a read of its own. */
    readonly wholeItems: boolean;
  };
}

/** One action of a transaction. A check writes nothing, and has to hold. */
export type TransactOp =
  | WriteOp
  | { readonly kind: "check"; readonly condition: Condition; readonly returnOldOnConditionFailure?: boolean };

/** A run of items in key order, from one partition on into the next ones. */
export interface PageRequest {
  readonly index?: IndexRead;
  /** First key, included; absent: from the beginning of the table. */
  readonly from?: Uint8Array;
  /** First key no longer wanted; absent: to the end of the table. */
  readonly to?: Uint8Array;
  readonly reverse?: boolean;
  /** Go on behind this key (before it, when `reverse`). */
  readonly after?: Uint8Array;
  readonly consistent: boolean;
  readonly filter?: Condition;
  /** Items evaluated, before the filter; at least 1. */
  readonly itemsMax?: number;
  /** Bytes evaluated, before the filter; the item that crosses the bound is still taken. */
  readonly bytesMax: number;
}

export interface Page {
  /** What passed the filter. */
  readonly items: readonly Item[];
  readonly scannedCount: number;
  /** Bytes evaluated, before the filter: what read capacity is charged by. */
  readonly scannedBytes: number;
  /** Present when there may be more: the key of the last item evaluated. */
  readonly lastKey?: Uint8Array;
  /** With `lastKey` in an index, whose keys do not tell them: the attributes of `keyNames`. */
  readonly lastItem?: Item;
  /** Read units, before halving, for items fetched from the table because the index does not show all that was asked for. */
  readonly fetchedUnits?: number;
}
